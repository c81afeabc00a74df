//! Streams on JetStream, read and cleared message by message. The stream's leader is asked, which is never behind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{ApiError, Trouble, code, persist};
use super::replies::Replies;
use super::{JetStream, OPEN_WITHIN};
use crate::archive::{Archive, ArchiveError, Archived};
use crate::message::{Headers, Message};

/// No message is there, or none that was asked for.
const NO_MESSAGE: u32 = 10037;

#[derive(Deserialize)]
struct Answer {
    message: Raw,
}

#[derive(Deserialize)]
struct Raw {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Info {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    retention: String,
}

/// Asks for one message of a stream; none when it has none like that.
pub(super) async fn get(replies: &Replies, stream: &str, which: &Value) -> Result<Option<Archived>, Trouble> {
    let subject = format!("STREAM.MSG.GET.{stream}");
    let asked = persist(Instant::now() + OPEN_WITHIN, || replies.ask::<Answer>(&subject, Some(which))).await;
    match asked {
        Ok(answer) => read(answer.message).map(Some).ok_or_else(|| Trouble::ForGood("a message cannot be read".into())),
        Err(Trouble::Refused(ApiError { err_code: NO_MESSAGE, .. })) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

fn read(raw: Raw) -> Option<Archived> {
    let body = STANDARD.decode(raw.data).ok()?;
    let headers = headers(&String::from_utf8_lossy(&STANDARD.decode(raw.hdrs).ok()?));
    let message = Message { subject: raw.subject, headers, body: body.into() };
    Some(Archived { message, sequence: raw.seq, timestamp: raw.time })
}

/// Headers as they are stored: a line with the version, then a line for each.
fn headers(block: &str) -> Headers {
    let lines = block.split("\r\n").skip(1);
    lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect()
}

impl Archive for JetStream {
    fn next(
        &self,
        stream: String,
        pattern: String,
        from: u64,
    ) -> BoxFuture<'_, Result<Option<Archived>, ArchiveError>> {
        async move {
            let which = json!({ "seq": from.max(1), "next_by_subj": pattern });
            get(&self.replies, &stream, &which).await.map_err(|trouble| failed(stream, trouble))
        }
        .boxed()
    }

    fn remove(&self, stream: String, sequence: u64) -> BoxFuture<'_, Result<bool, ArchiveError>> {
        async move {
            let which = json!({ "seq": sequence });
            let removed = match get(&self.replies, &stream, &which).await {
                // Of a message that is not there some servers say that it was deleted.
                Ok(None) => Ok(false),
                Ok(Some(_)) => {
                    let subject = format!("STREAM.MSG.DELETE.{stream}");
                    self.replies.ask::<Value>(&subject, Some(&which)).await.map(|_| true)
                }
                Err(trouble) => Err(trouble),
            };
            removed.map_err(|trouble| failed(stream, trouble))
        }
        .boxed()
    }

    fn keeps_acknowledged(&self, stream: String) -> BoxFuture<'_, Result<bool, ArchiveError>> {
        async move {
            let subject = format!("STREAM.INFO.{stream}");
            let asked = persist(Instant::now() + OPEN_WITHIN, || self.replies.ask::<Info>(&subject, None)).await;
            let info = asked.map_err(|trouble| failed(stream, trouble))?;
            Ok(info.config.retention == "limits")
        }
        .boxed()
    }
}

fn failed(stream: String, trouble: Trouble) -> ArchiveError {
    match trouble {
        Trouble::Refused(ApiError { err_code: code::STREAM_NOT_FOUND, .. }) => ArchiveError::NoStream { stream },
        Trouble::Refused(error) => ArchiveError::Refused { stream, reason: error.to_string() },
        Trouble::ForGood(reason) => ArchiveError::Refused { stream, reason },
        Trouble::ForNow(source) => ArchiveError::Unavailable { stream, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_message_is_read_whole() {
        let encode = |text: &str| STANDARD.encode(text);
        let raw = Raw {
            subject: "a.b".to_owned(),
            seq: 7,
            hdrs: encode("NATS/1.0\r\nA: 1:2\r\nB:ü\r\nA: 3\r\n\r\n"),
            data: encode("body"),
            time: DateTime::UNIX_EPOCH,
        };
        let read = read(raw).unwrap();
        let headers: Vec<_> = read.message.headers.iter().collect();
        assert_eq!(headers, [("A", "1:2"), ("B", "ü"), ("A", "3")]);
        assert_eq!((read.sequence, &read.message.body[..]), (7, &b"body"[..]));
    }

    #[test]
    fn a_message_without_headers_has_none_and_one_that_is_no_base64_is_not_read() {
        let raw = |data: &str| Raw {
            subject: "a".to_owned(),
            seq: 1,
            hdrs: String::new(),
            data: data.to_owned(),
            time: DateTime::UNIX_EPOCH,
        };
        assert!(read(raw("")).unwrap().message.headers.is_empty());
        assert!(read(raw("%")).is_none());
    }
}
