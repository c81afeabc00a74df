//! Publishing to streams: handed over at once, acknowledged later.

use std::borrow::Cow;
use std::sync::Arc;

use async_nats::Subject;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::api::ApiError;
use super::replies::{NoAnswer, NotSent, Replies, Sent};
use super::{JetStream, lookup, translate};
use crate::message::Message;
use crate::publish::{Acknowledgement, Publish, PublishError, Published};

impl Publish for JetStream {
    fn send(&self, message: Message, deadline: Instant) -> BoxFuture<'_, Result<Acknowledgement, PublishError>> {
        async move {
            let outgoing =
                translate::outgoing(message).map_err(|(subject, reason)| PublishError::Refused { subject, reason })?;
            let subject = outgoing.subject.clone();
            match self.replies.send(outgoing, deadline).await {
                Ok(sent) => Ok(acknowledged(Arc::clone(&self.replies), sent, subject, deadline).boxed()),
                Err(NotSent::Refused(reason)) => Err(PublishError::Refused { subject: subject.into_string(), reason }),
                Err(NotSent::Unavailable(source)) => {
                    Err(PublishError::Unavailable { subject: subject.into_string(), source })
                }
            }
        }
        .boxed()
    }
}

async fn acknowledged(
    replies: Arc<Replies>,
    sent: Sent,
    subject: Subject,
    deadline: Instant,
) -> Result<Published, PublishError> {
    let none = match sent.answer(deadline).await {
        Ok(answer) => return read(&answer.payload, &subject),
        Err(none) => none,
    };
    // Seldom, and with a future of its own; it must not be carried around by each message.
    Box::pin(without_answer(&replies, none, subject.into_string(), deadline)).await
}

async fn without_answer(
    replies: &Replies,
    none: NoAnswer,
    subject: String,
    deadline: Instant,
) -> Result<Published, PublishError> {
    match none {
        NoAnswer::Forbidden => Err(PublishError::Refused { subject, reason: none.to_string() }),
        NoAnswer::TimedOut | NoAnswer::Disconnected => Err(PublishError::Unknown { subject, source: none.into() }),
        // Also a stream without a leader has nobody there.
        NoAnswer::NobodyThere => match timeout_at(deadline, lookup::stream_of(replies, &subject)).await {
            Ok(Ok(None)) => Err(PublishError::NoStream { subject }),
            Ok(Ok(Some(stream))) => {
                let source = format!("the stream `{stream}` does not take messages at the moment");
                Err(PublishError::Unavailable { subject, source: source.into() })
            }
            Ok(Err(source)) => Err(PublishError::Unavailable { subject, source }),
            Err(late) => Err(PublishError::Unavailable { subject, source: late.into() }),
        },
    }
}

#[derive(Deserialize)]
struct Ack<'a> {
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

fn read(payload: &[u8], subject: &str) -> Result<Published, PublishError> {
    let subject = || subject.to_owned();
    match serde_json::from_slice::<Ack<'_>>(payload) {
        Ok(Ack { error: Some(error), .. }) if error.is_passing() => {
            Err(PublishError::Unavailable { subject: subject(), source: error.into() })
        }
        Ok(Ack { error: Some(error), .. }) => {
            Err(PublishError::Refused { subject: subject(), reason: error.to_string() })
        }
        Ok(Ack { stream, seq, duplicate, .. }) if seq > 0 && !stream.is_empty() => {
            Ok(Published { stream: stream.into_owned(), sequence: seq, duplicate })
        }
        // Somebody else answered, who listens to the subject.
        Ok(_) => Err(PublishError::Unknown { subject: subject(), source: "no stream has answered".into() }),
        Err(unreadable) => Err(PublishError::Unknown { subject: subject(), source: unreadable.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &str) -> Result<Published, PublishError> {
        super::read(payload.as_bytes(), "a.b")
    }

    #[test]
    fn an_acknowledgement_tells_where_the_message_stands() {
        let stored = read(r#"{"stream":"S","seq":7}"#).unwrap();
        assert_eq!(stored, Published { stream: "S".into(), sequence: 7, duplicate: false });
        assert!(read(r#"{"stream":"S","seq":7,"duplicate":true,"domain":"hub"}"#).unwrap().duplicate);
    }

    #[test]
    fn a_refusal_is_told_from_what_passes() {
        let error = |code: u16, err_code: u32| {
            let error = format!(r#"{{"error":{{"code":{code},"err_code":{err_code},"description":"x"}},"seq":0}}"#);
            read(&error).unwrap_err()
        };
        assert!(matches!(error(400, 10054), PublishError::Refused { .. }));
        assert!(matches!(error(503, 10077), PublishError::Unavailable { .. }));
        assert!(matches!(error(500, 10047), PublishError::Unavailable { .. }));
    }

    #[test]
    fn what_no_stream_has_said_is_no_acknowledgement() {
        for answer in ["", "{}", "null", "7", "pong", r#"{"stream":"S"}"#, r#"{"seq":3}"#] {
            assert!(matches!(read(answer), Err(PublishError::Unknown { .. })), "{answer}");
        }
    }
}
