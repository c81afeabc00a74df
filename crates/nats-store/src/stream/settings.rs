//! The configuration the journal's stream is created with.

use headwater_nats::subject::Subjects;
use serde_json::{Value, json};

use super::StreamConfig;
use crate::config::StoreConfig;

/// No limit, as JetStream writes it.
const UNLIMITED: i64 = -1;

/// The whole configuration. What is not named here is left at the server's default.
pub(super) fn wanted(subjects: &Subjects, config: &StoreConfig) -> StreamConfig {
    let mut wanted = object(json!({
        "name": subjects.journal_stream(),
        "description": format!("The journal of {}", config.service),
        "subjects": [subjects.journal_all()],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": 0,
        "max_msgs_per_subject": UNLIMITED,
        "allow_direct": true,
        "allow_atomic": true,
        "deny_delete": true,
        "deny_purge": true,
        "republish": { "src": subjects.republish_source(), "dest": subjects.republish_destination() },
    }));
    wanted.extend(limits(config));
    if let Some(placement) = placement(config) {
        wanted.insert("placement".to_owned(), placement);
    }
    wanted
}

/// What the server has, with limits, replicas, duplicate window and placement as the settings say. A limit the
/// settings do not name stays as somebody set it, and replicas are never taken away.
pub(super) fn updated(mut found: StreamConfig, config: &StoreConfig) -> StreamConfig {
    let mut named = limits(config);
    named.retain(|field, value| match field.as_str() {
        "max_bytes" | "max_msgs" => *value != json!(UNLIMITED),
        "num_replicas" => found.get(field).and_then(Value::as_u64).unwrap_or(1) < u64::from(config.replicas),
        _ => true,
    });
    found.extend(named);
    if let Some(placement) = placement(config) {
        found.insert("placement".to_owned(), placement);
    }
    found
}

fn limits(config: &StoreConfig) -> StreamConfig {
    let limit = |limit: Option<u64>| limit.map_or(json!(UNLIMITED), Value::from);
    object(json!({
        "num_replicas": config.replicas,
        "max_bytes": limit(config.max_bytes),
        "max_msgs": limit(config.max_msgs),
        "duplicate_window": nanoseconds(config),
    }))
}

/// The duplicate window as JetStream counts it.
pub(super) fn nanoseconds(config: &StoreConfig) -> u64 {
    u64::try_from(config.duplicate_window.get().as_nanos()).unwrap_or(u64::MAX)
}

/// None when the server is to choose.
pub(super) fn placement(config: &StoreConfig) -> Option<Value> {
    let placement = &config.placement;
    if placement.cluster.is_none() && placement.tags.is_empty() {
        return None;
    }
    let mut value = json!({ "tags": placement.tags });
    if let Some(cluster) = &placement.cluster {
        value["cluster"] = json!(cluster);
    }
    Some(value)
}

fn object(value: Value) -> StreamConfig {
    match value {
        Value::Object(map) => map,
        _ => StreamConfig::new(),
    }
}
