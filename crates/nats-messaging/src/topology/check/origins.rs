//! Mirrors and sources.

use serde_json::Value;

use crate::subject::{covers, overlaps};
use crate::topology::form::Config;
use crate::topology::mistakes::Found;
use crate::topology::model::Stream;

pub(super) fn check(stream: &Stream, streams: &[Stream], found: &mut Found) {
    if stream.config.contains_key("mirror") {
        for (wire, message) in [
            ("subjects", "a mirror has no subjects of its own: it has what the mirrored stream has"),
            ("sources", "a mirror has no further sources"),
            ("subject_transform", "a mirror transforms by `mirror.transforms`"),
            ("first_seq", "a mirror has the numbers of the mirrored stream"),
        ] {
            if stream.config.contains_key(wire) {
                found.add(stream.places.of(wire), stream.field(wire), message);
            }
        }
    }
    let sources = stream.config.get("sources").and_then(Value::as_array).into_iter().flatten();
    let origins = stream.config.get("mirror").map(|origin| ("mirror", origin));
    for (wire, origin) in origins.into_iter().chain(sources.map(|source| ("sources", source))) {
        if let Some(message) = origin.as_object().and_then(|origin| flaw(stream, origin, streams)) {
            found.add(stream.places.of(wire), stream.field(wire), message);
        }
    }
}

fn flaw(stream: &Stream, origin: &Config, streams: &[Stream]) -> Option<String> {
    let Some(name) = origin.get("name").and_then(Value::as_str) else {
        return Some("needs a `stream`".to_owned());
    };
    if origin.contains_key("external") {
        return None;
    }
    if name == stream.name {
        return Some("a stream cannot be copied from itself".to_owned());
    }
    if origin.contains_key("opt_start_seq") && origin.contains_key("opt_start_time") {
        return Some("`start_sequence` and `start_time` exclude each other".to_owned());
    }
    let filter = origin.get("filter_subject").and_then(Value::as_str)?;
    if origin.contains_key("subject_transforms") {
        return Some("`filter` and `transforms` exclude each other; a transform filters by its `source`".to_owned());
    }
    let known = streams.iter().find(|known| known.name == name)?;
    let subjects = known.subjects();
    let is_there = subjects.is_empty() || subjects.iter().any(|own| covers(own, filter) || overlaps(own, filter));
    (!is_there).then(|| format!("the filter {filter:?} is outside the subjects of stream {name:?}"))
}
