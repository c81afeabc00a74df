//! An append as the messages that carry it.

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use headwater_core::store::{Append, AppendError, Head, MAX_EVENTS_PER_APPEND, MAX_PREVIOUS};
use headwater_core::{AggregateId, NewEvent};
use headwater_nats::event::{self, Previous};
use headwater_nats::header;
use headwater_nats::subject::Subjects;

/// The most bytes one append may have, all of its events together. A larger one would hold up everybody else's.
const MAX_APPEND_SIZE: usize = 8 * 1024 * 1024;

/// What a message of a batch has beside its own headers: `Nats-Batch-Id`, `-Sequence` and `-Commit`.
const BATCH_HEADERS: usize = 120;

// Made once: as texts they would be checked and copied for every message.
const MSG_ID: HeaderName = HeaderName::from_static(header::MSG_ID);
const EXPECTED_SEQUENCE: HeaderName = HeaderName::from_static(header::EXPECTED_LAST_SUBJECT_SEQUENCE);
const EXPECTED_SEQUENCE_SUBJECT: HeaderName = HeaderName::from_static(header::EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT);

/// One event, ready to be sent. Headers of a batch are added when it is.
#[derive(Debug, Clone)]
pub(crate) struct EventMessage {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl EventMessage {
    /// The same as the message at `place`, from 1, of a batch of `count`, with the batch's headers.
    pub(super) fn in_batch(&self, batch: &str, place: usize, count: usize) -> Self {
        let mut message = self.clone();
        message.headers.insert(header::BATCH_ID, batch);
        message.headers.insert(header::BATCH_SEQUENCE, place.to_string());
        if place == count {
            message.headers.insert(header::BATCH_COMMIT, "1");
        }
        message
    }

    /// Its bytes, headers included, as the server counts them.
    pub(super) fn size(&self) -> usize {
        self.payload.len() + header_size(&self.headers)
    }

    /// The most bytes it can have in a batch.
    pub(crate) fn size_in_batch(&self) -> usize {
        self.size() + BATCH_HEADERS
    }
}

/// How large a message may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SizeLimits {
    /// The settings' limit on the body of one event.
    pub(crate) event: usize,
    /// The server's limit on body and headers together.
    pub(crate) message: usize,
}

/// The messages of an append, in order. The first carries the expectation about where the history ends.
pub(crate) fn messages(
    subjects: &Subjects,
    append: &Append,
    limits: SizeLimits,
) -> Result<Vec<EventMessage>, AppendError> {
    let too_large = |what| AppendError::TooLarge { aggregate: append.aggregate.clone(), what };
    let count = append.events.len();
    if count > MAX_EVENTS_PER_APPEND {
        return Err(too_large(format!("{count} events, and one append holds at most {MAX_EVENTS_PER_APPEND}")));
    }
    let mut total = 0;
    let mut messages = Vec::with_capacity(count);
    for (place, event) in append.events.iter().enumerate() {
        let message = message(subjects, &append.aggregate, &append.head, place, event);
        let size = message.payload.len();
        if size > limits.event {
            let limit = limits.event;
            return Err(too_large(format!(
                "event {} of {count} takes {size} bytes, and {limit} are allowed",
                place + 1
            )));
        }
        let whole = size + header_size(&message.headers) + if count > 1 { BATCH_HEADERS } else { 0 };
        if whole > limits.message {
            let limit = limits.message;
            return Err(too_large(format!(
                "event {} of {count} takes {whole} bytes with its headers, and the server allows {limit}",
                place + 1
            )));
        }
        total += whole;
        if total > MAX_APPEND_SIZE {
            return Err(too_large(format!("the {count} events take more than {MAX_APPEND_SIZE} bytes together")));
        }
        messages.push(message);
    }
    Ok(messages)
}

fn message(subjects: &Subjects, aggregate: &AggregateId, head: &Head, place: usize, event: &NewEvent) -> EventMessage {
    let revision = head.revision().plus(place + 1);
    let mut headers = HeaderMap::new();
    headers.insert(MSG_ID, event.id.to_string());
    if place == 0 {
        headers.insert(EXPECTED_SEQUENCE, head.sequence().to_string());
        headers.insert(EXPECTED_SEQUENCE_SUBJECT, subjects.journal_of(aggregate));
    }
    EventMessage {
        subject: subjects.journal(aggregate, &event.name),
        headers,
        payload: event::encode(subjects.service(), aggregate, revision, event, &previous(head, place)),
    }
}

/// The places before the event at `place` of its append: first those in the same append, then those before it.
fn previous(head: &Head, place: usize) -> Vec<Previous> {
    let here = (1..=place).filter_map(|back| u32::try_from(back).ok()).map(Previous::Back);
    here.chain(head.recent().iter().copied().map(Previous::At)).take(MAX_PREVIOUS).collect()
}

/// The bytes of a header block, as the client writes it.
fn header_size(headers: &HeaderMap) -> usize {
    let lines = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |value| name.len() + value.as_str().len() + ": \r\n".len())
    });
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_core::{CommandId, EventId, JSON, Metadata, Name, Revision, Sequence};

    use super::*;

    const LIMITS: SizeLimits = SizeLimits { event: 2000, message: 4000 };

    fn append(head: Head, data: &[String]) -> Append {
        let aggregate = AggregateId::new("receipt", "order.1").unwrap();
        let command = CommandId::new("c-1").unwrap();
        let event = |(place, data): (usize, &String)| NewEvent {
            id: EventId::derive(&command, &aggregate, place),
            name: Name::new("item-added").unwrap(),
            schema_version: 1,
            time: chrono::DateTime::UNIX_EPOCH,
            content_type: JSON.into(),
            data: Bytes::copy_from_slice(data.as_bytes()),
            metadata: Arc::new(Metadata::new(command.clone())),
        };
        let events = data.iter().enumerate().map(event).collect();
        Append { aggregate, head, events }
    }

    fn built(append: &Append) -> Result<Vec<EventMessage>, AppendError> {
        messages(&Subjects::new(Name::new("receipts").unwrap()), append, LIMITS)
    }

    fn text(size: usize) -> String {
        format!("\"{}\"", "x".repeat(size))
    }

    #[test]
    fn only_the_first_event_carries_the_expectation() {
        let head = Head::new(Revision::new(2), [41, 17].map(Sequence::new).to_vec());
        let append = append(head, &["1".into(), "2".into()]);
        let messages = built(&append).unwrap();
        let value =
            |message: &EventMessage, name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
        let [first, second] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(first.subject, "receipts.journal.receipt.order%2E1.item-added");
        assert_eq!(value(first, "Nats-Expected-Last-Subject-Sequence").as_deref(), Some("41"));
        assert_eq!(
            value(first, "Nats-Expected-Last-Subject-Sequence-Subject").as_deref(),
            Some("receipts.journal.receipt.order%2E1.*")
        );
        assert_eq!(value(first, "Nats-Msg-Id"), Some(append.events[0].id.to_string()));
        assert_eq!(second.headers.len(), 1, "{:?}", second.headers);
        let stored = event::decode(&append.aggregate, None, &second.payload, Sequence::new(100)).unwrap();
        assert_eq!(stored.recorded.revision, Revision::new(4));
        assert_eq!(stored.previous, [99, 41, 17].map(Sequence::new));
    }

    #[test]
    fn a_new_aggregate_must_not_exist_yet() {
        let messages = built(&append(Head::EMPTY, &["1".into()])).unwrap();
        let expected = messages[0].headers.get(header::EXPECTED_LAST_SUBJECT_SEQUENCE);
        assert_eq!(expected.map(|value| value.as_str()), Some("0"));
    }

    #[test]
    fn the_limit_on_the_size_of_an_event_is_exact() {
        let size = built(&append(Head::EMPTY, &[text(10)])).unwrap()[0].payload.len();
        let fits = 10 + LIMITS.event - size;
        assert_eq!(built(&append(Head::EMPTY, &[text(fits)])).unwrap()[0].payload.len(), LIMITS.event);
        let refused = built(&append(Head::EMPTY, &[text(fits + 1)])).unwrap_err();
        assert!(matches!(refused, AppendError::TooLarge { .. }));
        assert!(refused.to_string().contains("event 1 of 1 takes 2001 bytes"), "{refused}");
    }

    #[test]
    fn an_append_of_more_than_a_thousand_events_or_eight_mebibytes_is_too_large() {
        assert_eq!(built(&append(Head::EMPTY, &vec!["1".into(); 1000])).unwrap().len(), 1000);
        let refused = built(&append(Head::EMPTY, &vec!["1".into(); 1001])).unwrap_err().to_string();
        assert!(refused.contains("1001 events"), "{refused}");
        let limits = SizeLimits { event: 1 << 20, message: 1 << 20 };
        let subjects = Subjects::new(Name::new("receipts").unwrap());
        let refused = messages(&subjects, &append(Head::EMPTY, &vec![text(900_000); 10]), limits).unwrap_err();
        assert!(refused.to_string().contains("8388608 bytes together"), "{refused}");
    }

    #[test]
    fn the_servers_limit_counts_headers_too() {
        let append = append(Head::EMPTY, &[text(100)]);
        let message = &built(&append).unwrap()[0];
        let whole = message.payload.len() + header_size(&message.headers);
        let subjects = Subjects::new(Name::new("receipts").unwrap());
        let limits = |message| SizeLimits { event: 2000, message };
        assert!(messages(&subjects, &append, limits(whole)).is_ok());
        assert!(messages(&subjects, &append, limits(whole - 1)).is_err());
    }
}
