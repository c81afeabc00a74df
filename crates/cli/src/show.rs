//! Aggregates, states and events, for people and as JSON.

use headwater_core::{AggregateId, JSON, Name, RecordedEvent};
use headwater_nats::event;
use serde_json::{Value, json};

use crate::output::{Output, Style, plain};

/// Which aggregate, as JSON.
pub(crate) fn aggregate(aggregate: &AggregateId) -> Value {
    let mut shown = json!({ "type": aggregate.kind(), "id": aggregate.id() });
    if let Some(tenant) = aggregate.tenant() {
        shown["tenant"] = json!(tenant);
    }
    shown
}

/// A JSON text of the protocol as a value; null for what is none, which a checked reply never is.
pub(crate) fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_default()
}

/// A JSON text in lines, for people.
pub(crate) fn pretty(json: &[u8]) -> Vec<String> {
    let value = value(json);
    let text = serde_json::to_string_pretty(&value).unwrap_or_else(|_| value.to_string());
    text.lines().map(plain).collect()
}

/// An event as JSON, in the form of the journal: a CloudEvent, with its sequence.
pub(crate) fn event_json(service: &Name, event: &RecordedEvent) -> Value {
    let mut shown = value(&event::to_history_json(service, event));
    if let Some(tenant) = event.aggregate.tenant() {
        shown["aggregatetenant"] = json!(tenant);
    }
    shown
}

/// An event in one line. `whose` is shown where events of several aggregates come by.
pub(crate) fn event_line(event: &RecordedEvent, whose: bool, output: &Output) -> String {
    let RecordedEvent { aggregate, revision, sequence, event } = event;
    let time = event.time.format("%Y-%m-%d %H:%M:%S%.3f");
    let at = output.styled(Style::Quiet, &format!("{time}  {sequence:>8}"));
    let whose = match whose {
        true => format!("{}  ", plain(&of(aggregate))),
        false => String::new(),
    };
    let name = output.styled(Style::Heading, event.name.as_str());
    let data = match event.content_type == JSON {
        true => plain(&value(&event.data).to_string()),
        false => format!("{} bytes of {}", event.data.len(), plain(&event.content_type)),
    };
    format!("{at}  {whose}r{revision}  {name}  {data}")
}

/// `receipt/order-1`, and with a tenant `acme:receipt/order-1`.
pub(crate) fn of(aggregate: &AggregateId) -> String {
    let tenant = aggregate.tenant().map(|tenant| format!("{tenant}:")).unwrap_or_default();
    format!("{tenant}{}/{}", aggregate.kind(), aggregate.id())
}
