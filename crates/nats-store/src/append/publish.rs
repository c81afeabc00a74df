//! Messages sent to the journal once: one as a plain publish, several as one atomic batch.
//!
//! What is sent here may belong to several aggregates; each aggregate's first message carries its own expectation.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::store::{StoreError, Together};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::message::EventMessage;
use crate::MINIMUM_SERVER;
use crate::api::{self, ApiError, NoAnswer, code};
use crate::journal::Journal;

/// What became of messages that were sent once.
#[derive(Debug)]
pub(crate) enum Published {
    /// They are stored; the last one at this sequence, the others right before it.
    Stored {
        /// The last one's sequence.
        last: u64,
        /// With which other appends.
        together: Option<Arc<Together>>,
    },
    /// Nothing is stored now, because a message with the same id stands at this sequence.
    Duplicate {
        /// Where it stands.
        sequence: u64,
    },
    /// The server refuses; nothing is stored.
    Refused(Refusal),
    /// Nothing was sent.
    NotSent(StoreError),
    /// Nobody takes messages at the moment; nothing is stored.
    NotNow(StoreError),
    /// Nobody knows.
    Lost(StoreError),
}

/// Why the server refuses.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// An expectation does not hold: a history ends elsewhere.
    Moved,
    /// Another write to the same history is being replicated; it may be an earlier attempt at this one.
    InProcess,
    /// Some message of the batch is stored already.
    Known,
    /// Some message is larger than the server allows.
    TooLarge(ApiError),
    /// Some message of the batch did not get in, so nothing of it is stored.
    Incomplete(StoreError),
    /// The journal is full, or cannot be written for another reason that will not pass by itself.
    Unable(StoreError),
}

impl Journal {
    /// Sends messages of one append once and waits for the acknowledgement, at most for `limit`.
    pub(crate) async fn publish(&self, mut messages: Vec<EventMessage>, limit: Duration) -> Published {
        match messages.pop() {
            Some(message) if messages.is_empty() => self.publish_one(message, limit).await,
            last => {
                messages.extend(last);
                // Boxed, so that the many appends of one event do not carry the room for a batch around.
                Box::pin(async move {
                    let messages: Vec<&EventMessage> = messages.iter().collect();
                    self.publish_batch(&messages, limit).await
                })
                .await
            }
        }
    }

    /// Sends one message once and waits for the acknowledgement, at most for `limit`.
    async fn publish_one(&self, message: EventMessage, limit: Duration) -> Published {
        let EventMessage { subject, headers, payload } = message;
        match self.api.request(subject, Some(headers), payload, limit).await {
            Ok(answer) => read_ack(&self.stream, &answer.payload, None),
            Err(none) => none.into(),
        }
    }

    /// All but the last are sent without waiting; the last one commits, and its answer is the batch's.
    pub(crate) async fn publish_batch(&self, messages: &[&EventMessage], limit: Duration) -> Published {
        if let Err(error) = self.batches_work() {
            return Published::NotSent(error);
        }
        let deadline = Instant::now() + limit;
        let Ok(Ok(_room)) = timeout_at(deadline, self.batches.acquire()).await else {
            return Published::NotNow(StoreError::new("too many batches are under way"));
        };
        self.counters.batches.increment();
        let id = Uuid::new_v4().simple().to_string();
        let count = messages.len();
        let in_batch = messages.iter().enumerate().map(|(index, message)| message.in_batch(&id, index + 1, count));
        let mut others: Vec<_> = in_batch.collect();
        let Some(commit) = others.pop() else {
            return Published::NotSent(StoreError::new("a batch without messages"));
        };
        let send_others = async move |client: &async_nats::Client| {
            for EventMessage { subject, headers, payload } in others {
                client.publish_with_headers(subject, headers, payload).await?;
            }
            Ok(())
        };
        let limit = deadline.saturating_duration_since(Instant::now());
        let EventMessage { subject, headers, payload } = commit;
        let published = match self.api.request_after(send_others, subject, Some(headers), payload, limit).await {
            Ok(answer) => read_ack(&self.stream, &answer.payload, Some((&id, count))),
            Err(none) => none.into(),
        };
        match published {
            Published::Refused(Refusal::Incomplete(error)) => self.incomplete(&id, messages, error).await,
            published => published,
        }
    }

    /// A server that is too old stores a batch message by message and says nothing. We may have come to one by
    /// connecting again.
    fn batches_work(&self) -> Result<(), StoreError> {
        match self.api.connection.require_version(MINIMUM_SERVER) {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::new("atomic batches are not to be had").caused_by(error)),
        }
    }
}

/// What an acknowledgement from `stream` says; of a batch, given its id and number of messages, it has to say both.
fn read_ack(stream: &str, payload: &[u8], batch: Option<(&str, usize)>) -> Published {
    let ack = match api::parse::<Ack>(payload) {
        Ok(Ok(ack)) => ack,
        Ok(Err(error)) => return refused(error),
        Err(unreadable) => return Published::Lost(unreadable),
    };
    if ack.stream != stream {
        let wrong = format!("the stream {} took what was meant for {stream}", ack.stream);
        return Published::Refused(Refusal::Unable(StoreError::new(wrong)));
    }
    if ack.duplicate {
        return Published::Duplicate { sequence: ack.seq };
    }
    if batch.is_some_and(|(id, count)| ack.batch.as_deref() != Some(id) || ack.count != Some(count)) {
        return Published::Lost(StoreError::new("the server did not acknowledge the batch as one"));
    }
    Published::Stored { last: ack.seq, together: None }
}

#[derive(Deserialize)]
struct Ack {
    stream: String,
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    batch: Option<String>,
    count: Option<usize>,
}

impl From<NoAnswer> for Published {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::NotSent(error) => Self::NotSent(error),
            NoAnswer::NobodyThere => Self::NotNow(none.into()),
            NoAnswer::Lost(error) => Self::Lost(error),
        }
    }
}

/// Goes by the code alone; the words differ between versions of the server.
fn refused(error: ApiError) -> Published {
    let unable = |what: &str, error| Published::Refused(Refusal::Unable(StoreError::new(what).caused_by(error)));
    match error.err_code {
        code::WRONG_LAST_SEQUENCE => Published::Refused(Refusal::Moved),
        code::WRITE_IN_PROCESS | code::DUPLICATE_IN_PROCESS | code::EXPECTATION_NOT_READY => {
            Published::Refused(Refusal::InProcess)
        }
        code::BATCH_HOLDS_DUPLICATE => Published::Refused(Refusal::Known),
        code::MESSAGE_TOO_LARGE | code::HEADERS_TOO_LARGE | code::BATCH_TOO_LARGE => {
            Published::Refused(Refusal::TooLarge(error))
        }
        code::STORE_FAILED => unable("the journal is full", error),
        code::ACCOUNT_RESOURCES | code::INSUFFICIENT_RESOURCES | code::MEMORY_RESOURCES | code::STORAGE_RESOURCES => {
            unable("the journal is full: JetStream has no room left", error)
        }
        code::BATCH_INCOMPLETE => {
            let error = StoreError::new("JetStream took no part of the append").caused_by(error);
            Published::Refused(Refusal::Incomplete(error))
        }
        code::TOO_MANY_BATCHES | code::TOO_MANY_REQUESTS => {
            Published::NotNow(StoreError::new("JetStream took no part of the append").caused_by(error))
        }
        _ if error.is_transient() => {
            Published::NotNow(StoreError::new("JetStream cannot take the append at the moment").caused_by(error))
        }
        _ => unable("JetStream does not take the append", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, err_code: u32) -> Published {
        refused(ApiError { code, err_code, description: "wrong last sequence: 7".to_owned() })
    }

    #[test]
    fn an_acknowledgement_is_believed_only_if_it_is_ours_and_whole() {
        let ack = |text: &str, batch| read_ack("RECEIPTS_JOURNAL", text.as_bytes(), batch);
        let batch = Some(("b1", 3));
        assert!(matches!(ack(r#"{"stream":"RECEIPTS_JOURNAL","seq":7}"#, None), Published::Stored { last: 7, .. }));
        let duplicate = r#"{"stream":"RECEIPTS_JOURNAL","seq":7,"duplicate":true}"#;
        assert!(matches!(ack(duplicate, None), Published::Duplicate { sequence: 7 }));
        let whole = r#"{"stream":"RECEIPTS_JOURNAL","seq":7,"batch":"b1","count":3}"#;
        assert!(matches!(ack(whole, batch), Published::Stored { last: 7, .. }));
        // A server that knows no batches acknowledges the last message alone.
        for partial in [
            r#"{"stream":"RECEIPTS_JOURNAL","seq":7}"#,
            r#"{"stream":"RECEIPTS_JOURNAL","seq":7,"batch":"b1","count":2}"#,
            r#"{"stream":"RECEIPTS_JOURNAL","seq":7,"batch":"b2","count":3}"#,
        ] {
            assert!(matches!(ack(partial, batch), Published::Lost(_)), "{partial}");
        }
        assert!(matches!(ack(r#"{"stream":"OTHER","seq":7}"#, None), Published::Refused(Refusal::Unable(_))));
        for unreadable in ["", "{}", "null", "7", r#"{"stream":"RECEIPTS_JOURNAL"}"#] {
            assert!(matches!(ack(unreadable, None), Published::Lost(_)), "{unreadable}");
        }
        let error = r#"{"error":{"code":400,"err_code":10071,"description":"x"},"stream":"RECEIPTS_JOURNAL","seq":0}"#;
        assert!(matches!(ack(error, None), Published::Refused(Refusal::Moved)));
    }

    #[test]
    fn refusals_are_told_apart_by_their_code_alone() {
        assert!(matches!(answer(400, 10071), Published::Refused(Refusal::Moved)));
        assert!(matches!(answer(400, 10164), Published::Refused(Refusal::InProcess)));
        assert!(matches!(answer(400, 10158), Published::Refused(Refusal::InProcess)));
        assert!(matches!(answer(400, 10201), Published::Refused(Refusal::Known)));
        assert!(matches!(answer(400, 10054), Published::Refused(Refusal::TooLarge(_))));
        assert!(matches!(answer(503, 10077), Published::Refused(Refusal::Unable(_))));
        assert!(matches!(answer(500, 10047), Published::Refused(Refusal::Unable(_))));
        assert!(matches!(answer(400, 10176), Published::Refused(Refusal::Incomplete(_))));
        assert!(matches!(answer(429, 10210), Published::NotNow(_)));
        assert!(matches!(answer(503, 10008), Published::NotNow(_)));
        assert!(matches!(answer(404, 10059), Published::Refused(Refusal::Unable(_))));
    }
}
