//! Single streams, and streams that want the same subjects.

use crate::subject::overlaps as overlap;
use crate::topology::form::number;
use crate::topology::mistakes::Found;
use crate::topology::model::Stream;
use crate::topology::units;

use super::{flag, word};

const SHORTEST: i64 = 100_000_000;

pub(super) fn check(stream: &Stream, found: &mut Found) {
    subjects(stream, found);
    times(stream, found);
    let config = &stream.config;
    let mut refuse = |wire: &'static str, message: &str| {
        found.add(stream.places.of(wire), stream.field(wire), message);
    };
    if flag(config, "discard_new_per_subject") {
        if word(config, "discard") != "new" {
            refuse("discard_new_per_subject", "needs `discard = \"new\"`");
        }
        if number(config, "max_msgs_per_subject").is_none() {
            refuse("discard_new_per_subject", "needs `max_messages_per_subject`");
        }
    }
    if flag(config, "deny_purge") && flag(config, "allow_rollup_hdrs") {
        refuse(
            "deny_purge",
            "does not go with roll-ups, which empty a subject (`allow_rollup`, delete markers, schedules)",
        );
    }
    if word(config, "persist_mode") == "async" && number(config, "num_replicas").is_some_and(|replicas| replicas > 1) {
        refuse("persist_mode", "\"async\" goes with one replica only");
    }
    if let Some(republish) = config.get("republish") {
        let destination = republish["dest"].as_str().unwrap_or_default();
        if destination.is_empty() {
            refuse("republish", "needs a `destination`");
        }
        let pattern = pattern_of(destination);
        if let Some(own) = stream.subjects().into_iter().find(|own| overlap(own, &pattern)) {
            refuse(
                "republish",
                &format!(
                    "goes round in a circle: the destination {destination:?} is among the stream's own subjects ({own:?})"
                ),
            );
        }
    }
    if let Some(transform) = config.get("subject_transform")
        && transform["dest"].as_str().unwrap_or_default().is_empty()
    {
        refuse("subject_transform", "needs a `destination`");
    }
}

fn subjects(stream: &Stream, found: &mut Found) {
    let subjects = stream.subjects();
    let has_mirror = stream.config.contains_key("mirror");
    let is_misread = found.has_field(&stream.field("subjects"));
    if subjects.is_empty() && !is_misread && !has_mirror && !stream.config.contains_key("sources") {
        let already = stream.places.fields.contains_key("subjects");
        let message = if already {
            "is empty; a stream needs subjects, a mirror or sources"
        } else {
            "is missing; a stream needs subjects, a mirror or sources"
        };
        found.add(stream.places.of("subjects"), stream.field("subjects"), message);
    }
    for (index, subject) in subjects.iter().enumerate() {
        let place = stream.places.of_item("subjects", subject);
        if let Some(other) = subjects[..index].iter().find(|other| overlap(other, subject)) {
            let message = match other == subject {
                true => format!("{subject:?} is there twice"),
                false => format!("{subject:?} overlaps with {other:?} of the same stream"),
            };
            found.add(place, stream.field("subjects"), message);
        }
        if ["$JS.>", "$SYS.>"].iter().any(|taken| overlap(subject, taken)) && *subject != ">" {
            found.add(place, stream.field("subjects"), format!("{subject:?} is the server's own"));
        }
    }
    if subjects.contains(&">") && !flag(&stream.config, "no_ack") {
        let place = stream.places.of_item("subjects", ">");
        found.add(
            place,
            stream.field("subjects"),
            "\">\" takes the server's own messages too; name what the stream is for",
        );
    }
}

fn times(stream: &Stream, found: &mut Found) {
    let (age, window) = (number(&stream.config, "max_age"), number(&stream.config, "duplicate_window"));
    for (wire, time) in [("max_age", age), ("duplicate_window", window)] {
        if time.is_some_and(|time| time < SHORTEST) && stream.places.fields.contains_key(wire) {
            found.add(stream.places.of(wire), stream.field(wire), "is less than 100ms, which the server refuses");
        }
    }
    if let (Some(age), Some(window)) = (age, window)
        && window > age
    {
        let message = format!("{} is longer than `max_age`, {}", units::time(window), units::time(age));
        found.add(stream.places.of("duplicate_window"), stream.field("duplicate_window"), message);
    }
    if number(&stream.config, "subject_delete_marker_ttl").is_some_and(|time| time < 1_000_000_000) {
        let wire = "subject_delete_marker_ttl";
        found.add(stream.places.of(wire), stream.field(wire), "is less than 1s, which the server refuses");
    }
}

/// Every pair of streams that want the same messages.
pub(super) fn overlaps(streams: &[Stream], found: &mut Found) {
    for (index, stream) in streams.iter().enumerate() {
        for earlier in streams[..index].iter().filter(|earlier| earlier.name != stream.name) {
            for subject in stream.subjects() {
                for other in earlier.subjects().into_iter().filter(|other| overlap(subject, other)) {
                    let place = stream.places.of_item("subjects", subject);
                    let line = earlier.places.of_item("subjects", other).line;
                    let message =
                        format!("{subject:?} overlaps with {other:?} of stream {:?}, in line {line}", earlier.name);
                    found.add(place, stream.field("subjects"), message);
                }
            }
        }
    }
}

/// The subjects that a destination with `{{wildcard(1)}}` or `$1` can stand for.
fn pattern_of(destination: &str) -> String {
    let token =
        |token: &str| if token.contains("{{") || token.starts_with('$') { "*".to_owned() } else { token.to_owned() };
    destination.split('.').map(token).collect::<Vec<_>>().join(".")
}
