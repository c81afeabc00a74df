//! Consumers: alone, with their stream, and with the others of a work queue.

use serde_json::Value;

use crate::subject::{covers, overlaps};
use crate::topology::form::number;
use crate::topology::mistakes::Found;
use crate::topology::model::{Consumer, Stream};
use crate::topology::read::{Draft, nearest};

use super::{flag, word};

pub(super) fn check(consumer: &Consumer, streams: &[Stream], found: &mut Found) {
    let Some(stream) = streams.iter().find(|stream| stream.name == consumer.stream) else {
        let message = match nearest(&consumer.stream, streams.iter().map(|stream| stream.name.as_str())) {
            Some(meant) => format!("there is no stream {:?} in this file; is {meant:?} meant?", consumer.stream),
            None => format!("there is no stream {:?} in this file", consumer.stream),
        };
        return found.add(consumer.places.of("stream"), format!("{}.stream", consumer.label()), message);
    };
    filters(consumer, &subjects(stream, streams, 0), found);
    for (wire, message) in flaws(consumer, stream) {
        found.add(consumer.places.of(wire), consumer.field(wire), message);
    }
}

/// The subjects that a stream's messages have, also those that it copies from others of the file; none when that is not known.
fn subjects(stream: &Stream, streams: &[Stream], depth: usize) -> Option<Vec<String>> {
    let sources = stream.config.get("sources").and_then(Value::as_array).into_iter().flatten();
    let mut subjects: Vec<String> = stream.subjects().into_iter().map(str::to_owned).collect();
    for origin in stream.config.get("mirror").into_iter().chain(sources) {
        if depth > streams.len() || origin.get("subject_transforms").is_some() || origin.get("external").is_some() {
            return None;
        }
        let known = streams.iter().find(|known| Some(known.name.as_str()) == origin["name"].as_str())?;
        subjects.extend(self::subjects(known, streams, depth + 1)?);
    }
    let is_changed = stream.config.contains_key("subject_transform");
    (!is_changed).then_some(subjects)
}

fn filters(consumer: &Consumer, subjects: &Option<Vec<String>>, found: &mut Found) {
    let filters = consumer.filters();
    for (index, filter) in filters.iter().enumerate() {
        let place = consumer.places.of_item("filter_subjects", filter);
        let field = consumer.field("filter_subjects");
        if let Some(subjects) = subjects
            && !subjects.iter().any(|own| covers(own, filter) || overlaps(own, filter))
        {
            let own = subjects.join("\", \"");
            found.add(
                place,
                &field,
                format!("{filter:?} is outside the subjects of stream {:?}, \"{own}\"", consumer.stream),
            );
        }
        if let Some(other) = filters[..index].iter().find(|other| overlaps(other, filter)) {
            found.add(place, &field, format!("{filter:?} overlaps with {other:?}, and messages would come twice"));
        }
    }
}

type Flaws = Vec<(&'static str, String)>;

fn flaws(consumer: &Consumer, stream: &Stream) -> Flaws {
    let mut flaws = Vec::new();
    beginning(consumer, &mut flaws);
    delivering(consumer, stream, &mut flaws);
    let config = &consumer.config;
    let backoff = config.get("backoff").and_then(Value::as_array).map_or(0, Vec::len);
    if backoff > 0 && consumer.places.fields.contains_key("ack_wait") && consumer.places.fields.contains_key("backoff")
    {
        flaws.push(("ack_wait", "does not go with `backoff`, which says how long each time".to_owned()));
    }
    if let Some(most) = number(config, "max_deliver")
        && backoff as i64 > most
    {
        flaws.push(("backoff", format!("has {backoff} times, and a message is delivered {most} times at the most")));
    }
    if let (Some(own), Some(of_stream)) = (number(config, "num_replicas"), number(&stream.config, "num_replicas")) {
        let retention = word(&stream.config, "retention");
        if own > of_stream {
            flaws.push(("num_replicas", format!("{own} is more than its stream's {of_stream}")));
        } else if own != of_stream && retention != "limits" {
            flaws.push((
                "num_replicas",
                format!("must be its stream's, {of_stream}, for the stream keeps what is not acknowledged"),
            ));
        }
    }
    let limits = stream.config.get("consumer_limits").and_then(Value::as_object);
    for wire in ["max_ack_pending", "inactive_threshold"] {
        if let (Some(own), Some(limit)) = (number(config, wire), limits.and_then(|limits| number(limits, wire)))
            && (own > limit || own < 0)
        {
            flaws.push((wire, "is more than its stream's `consumer_limits` allow".to_owned()));
        }
    }
    flaws
}

fn beginning(consumer: &Consumer, flaws: &mut Flaws) {
    let config = &consumer.config;
    let policy = word(config, "deliver_policy");
    for (wire, own, ours) in
        [("opt_start_seq", "by_start_sequence", "from-sequence"), ("opt_start_time", "by_start_time", "from-time")]
    {
        match (config.contains_key(wire), policy == own) {
            (true, false) => flaws.push((wire, format!("goes with `deliver = \"{ours}\"` only"))),
            (false, true) => {
                let key = if wire == "opt_start_seq" { "start_sequence" } else { "start_time" };
                flaws.push(("deliver_policy", format!("\"{ours}\" needs `{key}`")));
            }
            _ => {}
        }
    }
    if policy == "last_per_subject" && consumer.filters().is_empty() {
        flaws.push(("deliver_policy", "\"last-per-subject\" needs a `filter`".to_owned()));
    }
}

fn delivering(consumer: &Consumer, stream: &Stream, flaws: &mut Flaws) {
    let config = &consumer.config;
    let said = |wire: &str| consumer.places.fields.contains_key(wire) && config.contains_key(wire);
    let Some(subject) = config.get("deliver_subject").and_then(Value::as_str) else {
        for wire in ["deliver_group", "flow_control", "idle_heartbeat", "rate_limit_bps"] {
            if said(wire) {
                flaws.push((wire, "is for push consumers; a pull consumer has none".to_owned()));
            }
        }
        if word(config, "priority_policy") != "none" && !config.contains_key("priority_groups") {
            flaws.push(("priority_policy", "needs `priority_groups`".to_owned()));
        }
        if word(config, "priority_policy") == "none" && config.contains_key("priority_groups") {
            flaws.push(("priority_groups", "need a `priority_policy`".to_owned()));
        }
        return;
    };
    for wire in ["max_waiting", "max_batch", "max_expires", "max_bytes", "priority_groups", "priority_timeout"] {
        if said(wire) {
            flaws.push((wire, "is for pull consumers; a push consumer has none".to_owned()));
        }
    }
    if let Some(flaw) = crate::subject::flaw(subject) {
        flaws.push(("deliver_subject", format!("{subject:?} is no subject to send to: {flaw}")));
    }
    if stream.subjects().iter().any(|own| covers(own, subject)) {
        flaws.push(("deliver_subject", format!("{subject:?} goes round in a circle: the stream stores it again")));
    }
    if flag(config, "flow_control") && !config.contains_key("idle_heartbeat") {
        flaws.push(("flow_control", "needs a `heartbeat`".to_owned()));
    }
    if number(config, "idle_heartbeat").is_some_and(|time| time < 100_000_000) {
        flaws.push(("idle_heartbeat", "is less than 100ms, which the server refuses".to_owned()));
    }
}

/// In a work queue every message has one consumer.
pub(super) fn work_queues(draft: &Draft, found: &mut Found) {
    for stream in draft.streams.iter().filter(|stream| word(&stream.config, "retention") == "workqueue") {
        let consumers: Vec<_> = draft.consumers.iter().filter(|consumer| consumer.stream == stream.name).collect();
        for (index, consumer) in consumers.iter().enumerate() {
            let own = |wire| (consumer.places.of(wire), consumer.field(wire));
            if word(&consumer.config, "ack_policy") != "explicit" {
                let (place, field) = own("ack_policy");
                found.add(place, field, "must be \"explicit\" on a work queue");
            }
            if word(&consumer.config, "deliver_policy") != "all" {
                let (place, field) = own("deliver_policy");
                found.add(place, field, "must be \"all\" on a work queue");
            }
            if let Some(other) = consumers[..index].iter().find(|other| share(other, consumer)) {
                let (place, field) = own("filter_subjects");
                let message = format!(
                    "takes messages that consumer {:?} takes too; a work queue's message has one consumer",
                    other.name
                );
                found.add(place, field, message);
            }
        }
    }
}

fn share(one: &Consumer, other: &Consumer) -> bool {
    let (one, other) = (one.filters(), other.filters());
    one.is_empty() || other.is_empty() || one.iter().any(|filter| other.iter().any(|with| overlaps(filter, with)))
}
