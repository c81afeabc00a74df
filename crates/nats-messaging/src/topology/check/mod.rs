//! Whether what a file says makes sense: everything that the server would refuse, and what it would take and nobody can want.

mod consumers;
mod names;
mod origins;
mod streams;

use serde_json::Value;

use super::form::Config;
use super::mistakes::Found;
use super::read::Draft;

pub(super) fn check(draft: &Draft, found: &mut Found) {
    names::check(draft, found);
    for stream in &draft.streams {
        streams::check(stream, found);
        origins::check(stream, &draft.streams, found);
    }
    streams::overlaps(&draft.streams, found);
    for consumer in &draft.consumers {
        consumers::check(consumer, &draft.streams, found);
    }
    consumers::work_queues(draft, found);
}

fn flag(config: &Config, name: &str) -> bool {
    config.get(name) == Some(&Value::Bool(true))
}

fn word<'a>(config: &'a Config, name: &str) -> &'a str {
    config.get(name).and_then(Value::as_str).unwrap_or_default()
}
