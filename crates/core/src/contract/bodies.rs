//! The schemas of the bodies that are the same for every service but for what is in them.

use serde_json::{Value, json};

use crate::description::QueryType;
use crate::schema::DRAFT;
use crate::{AggregateType, MAX_ID_LENGTH, MAX_METADATA_LENGTH};

/// Matches what [`char::is_control`] finds nothing in.
const NO_CONTROL_CHARACTERS: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// The body of a `get` request.
pub(super) fn get() -> Value {
    request(
        json!({
            "atRevision": described(revision(), "The state as it was at this revision; the newest by default."),
            "atTime": described(date_time(), "The state as it was at this time."),
            "minRevision": min_revision(),
        }),
        &[],
    )
}

/// The body of a `history` request.
pub(super) fn history() -> Value {
    request(
        json!({
            "afterRevision": described(revision(), "Only events after this revision."),
            "limit": {
                "type": "integer", "minimum": 1,
                "description": "At most this many events; the service has a limit of its own.",
            },
        }),
        &[],
    )
}

/// The body of a further query's request.
pub(super) fn query(aggregate: &AggregateType, query: &QueryType) -> Value {
    let payload = embedded(query.schema(), aggregate, &format!("query:{}", query.name()));
    request(json!({ "query": payload, "minRevision": min_revision() }), &["query"])
}

/// The `result` of the reply to a command.
pub(super) fn result(aggregate: &AggregateType) -> Value {
    let events = json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": { "id": { "type": "string", "format": "uuid" }, "type": event_name(), "revision": revision() },
            "required": ["id", "type", "revision"],
        },
        "description": "The events of the command.",
    });
    let state = described(state(aggregate), "The state after it; left out when the request asked for the revision.");
    response(aggregate, json!({ "sequence": sequence(), "events": events, "state": state }), &["sequence", "events"])
}

/// The `result` of the reply to a `get`.
pub(super) fn entity(aggregate: &AggregateType) -> Value {
    response(aggregate, json!({ "sequence": sequence(), "state": state(aggregate) }), &["sequence", "state"])
}

/// The `result` of the reply to a `history`. The data of its events may be of older schema
/// versions and of event names that are gone, so it is left open here.
pub(super) fn page(aggregate: &AggregateType) -> Value {
    let text = json!({ "type": "string" });
    let event = json!({
        "type": "object",
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "format": "uuid" },
            "source": text,
            "type": event_name(),
            "subject": id(),
            "time": date_time(),
            "datacontenttype": text,
            "aggregatetype": { "const": aggregate.kind() },
            "revision": revision(),
            "schemaversion": { "type": "integer", "minimum": 1 },
            "sequence": sequence(),
            "commandid": id(),
            "correlationid": text,
            "causationid": text,
            "userid": text,
            "tenantid": text,
            "traceparent": text,
            "data": { "description": "The data, in the schema version the event was stored with." },
            "data_base64": { "type": "string", "contentEncoding": "base64" },
        },
        "required": [
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "aggregatetype", "revision", "schemaversion",
            "sequence", "commandid",
        ],
    });
    let next = json!({
        "type": ["integer", "null"], "minimum": 1,
        "description": "What to pass as `afterRevision` for the next page; null when this is the last.",
    });
    let events = json!({ "type": "array", "items": event, "description": "The events, oldest first." });
    response(aggregate, json!({ "events": events, "next": next }), &["events", "next"])
}

/// The `result` of the reply to a further query.
pub(super) fn answer(aggregate: &AggregateType, query: &QueryType) -> Value {
    let answer = embedded(query.answer_schema(), aggregate, &format!("answer:{}", query.name()));
    response(aggregate, json!({ "sequence": sequence(), "answer": answer }), &["sequence", "answer"])
}

fn request(members: Value, required: &[&str]) -> Value {
    object(json!({ "aggregateId": id(), "metadata": metadata() }), members, &["aggregateId"], required)
}

fn response(aggregate: &AggregateType, members: Value, required: &[&str]) -> Value {
    let whose = json!({
        "type": "object",
        "properties": { "type": { "const": aggregate.kind() }, "id": id() },
        "required": ["type", "id"],
    });
    object(json!({ "aggregate": whose, "revision": revision() }), members, &["aggregate", "revision"], required)
}

/// An object with these members and those; members it does not name are allowed, as the protocol ignores them.
fn object(mut these: Value, those: Value, required: &[&str], further: &[&str]) -> Value {
    if let (Value::Object(these), Value::Object(those)) = (&mut these, those) {
        these.extend(those);
    }
    let required: Vec<_> = required.iter().chain(further).collect();
    json!({ "$schema": DRAFT, "type": "object", "properties": these, "required": required })
}

fn state(aggregate: &AggregateType) -> Value {
    embedded(aggregate.state_schema(), aggregate, "state")
}

/// A schema as part of another one. With an `$id` of its own its references stay inside it.
fn embedded(schema: &Value, aggregate: &AggregateType, what: &str) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.entry("$id").or_insert_with(|| format!("urn:headwater:{}:{what}", aggregate.kind()).into());
    }
    schema
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Value::Object(members) = &mut schema {
        members.entry("description").or_insert_with(|| description.into());
    }
    schema
}

fn metadata() -> Value {
    let text = json!({ "type": "string", "maxLength": MAX_METADATA_LENGTH, "pattern": NO_CONTROL_CHARACTERS });
    json!({
        "type": "object",
        "properties": {
            "commandId": id(),
            "correlationId": text,
            "causationId": text,
            "timestamp": date_time(),
            "userId": text,
            "tenantId": text,
        },
    })
}

/// An id that a caller made. Its length is limited in bytes, which a schema cannot count; its
/// characters are never more than that.
fn id() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH,
        "pattern": NO_CONTROL_CHARACTERS,
    })
}

fn event_name() -> Value {
    json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,49}$" })
}

fn min_revision() -> Value {
    described(revision(), "Read your writes: the answer reflects at least this revision.")
}

fn revision() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn sequence() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn date_time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}
