//! Configurations in one form, so that two of them can be compared: what is nothing is left out, what has a default is
//! written out, and what the server notes for itself is not there.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::catalogue::{CONSUMER, Field, Kind, STREAM, Unset};

/// A configuration, by the server's names.
pub(crate) type Config = Map<String, Value>;

const SECOND: i64 = 1_000_000_000;
const NO_LIMIT: i64 = -1;

/// A stream's configuration in its one form.
pub(super) fn stream(config: &Config) -> Config {
    let mut formed = table(STREAM, config);
    // What the server puts in where nobody says anything, as it answers on 2.15.
    if formed.contains_key("subject_delete_marker_ttl") {
        formed.insert("allow_msg_ttl".into(), json!(true));
        formed.insert("allow_rollup_hdrs".into(), json!(true));
    }
    if formed.contains_key("allow_msg_schedules") {
        formed.insert("allow_rollup_hdrs".into(), json!(true));
    }
    let has_origin = formed.contains_key("mirror") || formed.contains_key("sources");
    if !has_origin && !formed.contains_key("duplicate_window") {
        let age = number(&formed, "max_age").unwrap_or(i64::MAX);
        formed.insert("duplicate_window".into(), json!(age.min(120 * SECOND)));
    }
    formed
}

/// A consumer's configuration in its one form. Its stream's configuration, in that form, has some of the defaults.
pub(super) fn consumer(config: &Config, stream: &Config) -> Config {
    let mut config = config.clone();
    if let Some(one) = config.get("filter_subject").and_then(Value::as_str).filter(|subject| !subject.is_empty()) {
        let one = json!([one]);
        config.insert("filter_subjects".into(), one);
    }
    let mut formed = table(CONSUMER, &config);
    if number(&config, "max_ack_pending") == Some(NO_LIMIT) {
        formed.insert("max_ack_pending".into(), json!(NO_LIMIT));
    }
    let limits = stream.get("consumer_limits").and_then(Value::as_object);
    let limit = |name: &str| limits.and_then(|limits| number(limits, name));
    let ack = formed.get("ack_policy").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut default = |name: &str, value: Option<i64>| {
        if let Some(value) = value
            && !formed.contains_key(name)
        {
            formed.insert(name.into(), json!(value));
        }
    };
    if matches!(ack.as_str(), "explicit" | "all") {
        default("max_ack_pending", Some(limit("max_ack_pending").unwrap_or(1_000)));
        default("ack_wait", Some(30 * SECOND));
    }
    default("inactive_threshold", limit("inactive_threshold"));
    let pulled = config.get("deliver_subject").and_then(Value::as_str).is_none_or(str::is_empty);
    default("max_waiting", pulled.then_some(512));
    let pinned = config.get("priority_policy").and_then(Value::as_str) == Some("pinned_client");
    default("priority_timeout", pinned.then_some(120 * SECOND));
    if let Some(first) = formed.get("backoff").and_then(|backoff| backoff.get(0)).cloned() {
        formed.insert("ack_wait".into(), first);
    }
    formed
}

/// The fields of a table in one form.
pub(super) fn table(fields: &[Field], config: &Config) -> Config {
    let mut formed = Config::new();
    for field in fields {
        let value = config.get(field.wire).and_then(|value| value_of(field.kind, value));
        if let Some(value) = value.or_else(|| unset(field.unset)) {
            formed.insert(field.wire.to_owned(), value);
        }
    }
    formed
}

fn unset(unset: Unset) -> Option<Value> {
    match unset {
        Unset::Nothing => None,
        Unset::Word(word) => Some(json!(word)),
        Unset::Number(number) => Some(json!(number)),
    }
}

/// A value in its one form; none for what is the same as nothing.
fn value_of(kind: Kind, value: &Value) -> Option<Value> {
    match kind {
        Kind::Text | Kind::Name | Kind::Subject | Kind::Choice(_) => {
            value.as_str().filter(|text| !text.is_empty()).map(|text| json!(text))
        }
        Kind::Moment => value.as_str().map(|text| json!(moment(text))),
        Kind::Percent => {
            let text = value.as_str()?.trim_end_matches('%');
            (!matches!(text, "" | "0")).then(|| json!(text))
        }
        Kind::Time | Kind::Size | Kind::Count(..) => value.as_i64().filter(|number| *number > 0).map(|n| json!(n)),
        Kind::Flag => (value == &Value::Bool(true)).then_some(Value::Bool(true)),
        Kind::Subjects => {
            let mut subjects: Vec<&str> = value.as_array()?.iter().filter_map(Value::as_str).collect();
            subjects.sort_unstable();
            (!subjects.is_empty()).then(|| json!(subjects))
        }
        Kind::Texts | Kind::Times => value.as_array().filter(|items| !items.is_empty()).map(|items| json!(items)),
        Kind::Metadata => {
            let entries = value.as_object()?.iter().filter(|(name, _)| !name.starts_with("_nats."));
            let entries: Config = entries.map(|(name, value)| (name.clone(), value.clone())).collect();
            (!entries.is_empty()).then_some(Value::Object(entries))
        }
        Kind::Table(fields) => {
            let config = value.as_object().filter(|config| config.values().any(|value| !is_nothing(value)))?;
            Some(Value::Object(table(fields, config)))
        }
        Kind::Tables(fields) => {
            let tables = value.as_array()?.iter().filter_map(Value::as_object);
            let tables: Vec<_> = tables.map(|one| Value::Object(table(fields, one))).collect();
            (!tables.is_empty()).then_some(Value::Array(tables))
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

pub(super) fn number(config: &Config, name: &str) -> Option<i64> {
    config.get(name).and_then(Value::as_i64)
}

/// A moment in one way of writing it.
pub(super) fn moment(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(moment) => moment.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::AutoSi, true),
        Err(_) => text.to_owned(),
    }
}

/// What to ask the server for: a configuration in our form, over what it has that we do not know.
pub(super) fn request(fields: &[Field], formed: &Config, live: Option<&Config>) -> Config {
    let mut asked = live.cloned().unwrap_or_default();
    asked.retain(|name, _| !fields.iter().any(|field| field.wire == name) && name != "filter_subject");
    asked.extend(formed.iter().map(|(name, value)| (name.clone(), value.clone())));
    // One filter goes by its old name, which every server and every tool knows.
    if let Some(Value::Array(filters)) = asked.get("filter_subjects")
        && let [one] = filters.as_slice()
    {
        let one = one.clone();
        asked.remove("filter_subjects");
        asked.insert("filter_subject".into(), one);
    }
    for word in ["persist_mode", "priority_policy"] {
        // The defaults of younger features are not said, for older servers do not know them.
        if asked.get(word).is_some_and(|value| value == "default" || value == "none") {
            asked.remove(word);
        }
    }
    asked
}
