//! The order of steps: what gives subjects away before what takes them, what is copied before its copies, and streams before
//! their consumers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::subject::overlaps;
use crate::topology::Topology;
use crate::topology::form::Config;
use crate::topology::model::{Stream, Target, texts};
use crate::topology::server::LiveStream;

use super::Change;

/// Sorts changes, which come with the streams first.
///
/// # Errors
/// When streams exchange subjects, so that none of them can go first. The changes are left as they were.
pub(in crate::topology) fn in_order(
    topology: &Topology,
    live: &BTreeMap<String, LiveStream>,
    changes: &mut [Change],
) -> Result<(), String> {
    let wanted: BTreeMap<&str, &Stream> =
        topology.streams.iter().map(|stream| (stream.name.as_str(), stream)).collect();
    let mut waiting: Vec<&Stream> = changes
        .iter()
        .filter_map(|change| match &change.target {
            Target::Stream { name } => wanted.get(name.as_str()).copied(),
            Target::Consumer { .. } => None,
        })
        .collect();
    let mut order: Vec<Target> = Vec::new();
    while !waiting.is_empty() {
        let names: BTreeSet<&str> = waiting.iter().map(|stream| stream.name.as_str()).collect();
        let free = |stream: &&Stream| {
            !waiting.iter().any(|other| other.name != stream.name && waits_for(stream, other, live.get(&other.name)))
        };
        let Some(next) = waiting.iter().position(free) else {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            return Err(format!(
                "streams {names} exchange subjects: apply it in two steps, with the subjects given away first"
            ));
        };
        order.push(Target::stream(&waiting.remove(next).name));
    }
    let place = |change: &Change| order.iter().position(|target| *target == change.target).unwrap_or(order.len());
    changes.sort_by_key(place);
    Ok(())
}

fn waits_for(stream: &Stream, other: &Stream, live: Option<&LiveStream>) -> bool {
    let has_now = live.map(|live| texts(&live.config, "subjects")).unwrap_or_default();
    let takes = stream.subjects().into_iter().any(|subject| has_now.iter().any(|theirs| overlaps(subject, theirs)));
    // Two streams may be sources of each other; then neither waits.
    takes || (copies(&stream.config, &other.name) && !copies(&other.config, &stream.name))
}

fn copies(config: &Config, name: &str) -> bool {
    let sources = config.get("sources").and_then(Value::as_array).into_iter().flatten();
    config.get("mirror").into_iter().chain(sources).any(|origin| origin["name"].as_str() == Some(name))
}
