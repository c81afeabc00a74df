//! A restored stream beside what the file says: nothing may be missing.

use std::collections::HashMap;

use serde_json::Value;

use super::format::{ConsumerRecord, Counts, Object, StreamHeader};

/// What is wrong with a restored stream; each is one sentence.
pub(crate) type Shortcomings = Vec<String>;

/// Compares the counts. A stream that came back may have been written to since, so more is right; a stream whose messages
/// grow old may have lost some that were due.
pub(crate) fn counts(header: &StreamHeader, found: Counts) -> Shortcomings {
    let wanted = header.counts();
    let mut wrong = Vec::new();
    if found.last_seq < wanted.last_seq {
        wrong.push(format!("its last sequence is {}, and was {}", found.last_seq, wanted.last_seq));
        return wrong;
    }
    let since = found.last_seq - wanted.last_seq;
    let kept = found.messages.saturating_sub(since);
    let may_lose = loses_messages(&header.config);
    if kept < wanted.messages && !may_lose {
        wrong.push(format!("it holds {kept} messages of {}", wanted.messages));
    }
    if found.messages > wanted.messages + since {
        wrong.push(format!("it holds {} messages, and {} were taken", found.messages, wanted.messages));
    }
    let moved = found.first_seq != wanted.first_seq && wanted.messages > 0;
    if moved && !(may_lose && found.first_seq > wanted.first_seq) {
        wrong.push(format!("its first sequence is {}, and was {}", found.first_seq, wanted.first_seq));
    }
    wrong
}

/// Whether messages go by themselves: by age, by a limit that is reached, or when they are consumed.
fn loses_messages(config: &Object) -> bool {
    let is_set = |field: &str| config.get(field).and_then(Value::as_i64).is_some_and(|limit| limit > 0);
    let retention = config.get("retention").and_then(Value::as_str).unwrap_or("limits");
    let discards = config.get("discard").and_then(Value::as_str) != Some("new");
    is_set("max_age")
        || config.get("allow_msg_ttl") == Some(&Value::Bool(true))
        || retention != "limits"
        || (discards && (is_set("max_msgs") || is_set("max_bytes") || is_set("max_msgs_per_subject")))
}

/// Compares the consumers: each that lasts must be there, and as far as it was.
pub(crate) fn consumers(wanted: &[ConsumerRecord], found: &[ConsumerRecord]) -> Shortcomings {
    let found: HashMap<&str, &ConsumerRecord> = found.iter().map(|found| (found.name.as_str(), found)).collect();
    let mut wrong = Vec::new();
    for wanted in wanted.iter().filter(|consumer| lasts(consumer)) {
        let name = &wanted.name;
        match found.get(name.as_str()) {
            None => wrong.push(format!("its consumer {name} is not there")),
            Some(found) if found.ack_floor.stream_seq < wanted.ack_floor.stream_seq => wrong.push(format!(
                "its consumer {name} has acknowledged up to {}, and had up to {}",
                found.ack_floor.stream_seq, wanted.ack_floor.stream_seq
            )),
            Some(found) if found.delivered.stream_seq < wanted.delivered.stream_seq => wrong.push(format!(
                "its consumer {name} was delivered up to {}, and had been up to {}",
                found.delivered.stream_seq, wanted.delivered.stream_seq
            )),
            Some(_) => {}
        }
    }
    wrong
}

/// Whether a consumer stays when nobody uses it.
fn lasts(consumer: &ConsumerRecord) -> bool {
    let field = |name: &str| consumer.config.get(name);
    field("durable_name").is_some_and(Value::is_string)
        && field("inactive_threshold").and_then(Value::as_u64).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::format::Progress;
    use super::*;

    fn header(config: Value, messages: u64, first: u64, last: u64) -> StreamHeader {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let state = object(json!({ "messages": messages, "first_seq": first, "last_seq": last }));
        StreamHeader { name: "A".into(), config: object(config), state, consumers: 0 }
    }

    fn found(messages: u64, first_seq: u64, last_seq: u64) -> Counts {
        Counts { messages, first_seq, last_seq, bytes: 0 }
    }

    #[test]
    fn all_there_is_right_and_anything_missing_is_told() {
        let plain = header(json!({ "discard": "new" }), 8, 3, 10);
        for (counts_found, fine) in [
            (found(8, 3, 10), true),
            (found(10, 3, 12), true),
            (found(7, 3, 10), false),
            (found(8, 3, 12), false),
            (found(8, 3, 9), false),
            (found(8, 4, 10), false),
            (found(9, 3, 10), false),
        ] {
            assert_eq!(counts(&plain, counts_found).is_empty(), fine, "{counts_found:?}");
        }
    }

    #[test]
    fn messages_that_grow_old_may_be_gone() {
        let aged = header(json!({ "max_age": 1_000_000_000 }), 8, 3, 10);
        assert!(counts(&aged, found(2, 9, 10)).is_empty());
        assert!(!counts(&aged, found(2, 9, 9)).is_empty());
        assert!(!counts(&aged, found(9, 2, 10)).is_empty());
    }

    #[test]
    fn a_consumer_that_is_missing_or_behind_is_told() {
        let consumer = |name: &str, delivered, acknowledged, durable: bool| ConsumerRecord {
            name: name.into(),
            config: json!({ "durable_name": durable.then_some(name) }).as_object().cloned().unwrap(),
            delivered: Progress { consumer_seq: 0, stream_seq: delivered },
            ack_floor: Progress { consumer_seq: 0, stream_seq: acknowledged },
            num_ack_pending: 0,
            num_pending: 0,
        };
        let wanted = [consumer("reader", 5, 3, true), consumer("passing", 5, 3, false)];
        assert!(consumers(&wanted, &[consumer("reader", 6, 6, true)]).is_empty());
        for found in [vec![], vec![consumer("reader", 5, 2, true)], vec![consumer("reader", 4, 3, true)]] {
            assert_eq!(consumers(&wanted, &found).len(), 1, "{found:?}");
        }
    }
}
