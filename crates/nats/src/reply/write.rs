//! Replies written. States and answers are spliced in as the JSON they are.

use headwater_core::call::{CommandReply, EntityReply, HistoryReply, QueryReply};
use headwater_core::{AggregateId, CommandId, Failure, Name, RecordedEvent, Revision, Sequence};
use serde::Serialize;

use super::Served;
use crate::{event, header};

/// Writes the reply to a command that was done.
#[must_use]
pub fn write_command(reply: &CommandReply, served: &Served<'_>) -> Vec<u8> {
    let state = reply.state.as_deref().unwrap_or_default();
    let mut out = begin(256 + reply.events.len() * 128 + state.len());
    head(&mut out, &reply.aggregate, reply.revision, reply.sequence);
    member(&mut out, "events", &reply.events);
    if reply.state.is_some() {
        raw(&mut out, "state", state);
    }
    end(out, served, Some((reply.command_id.as_str(), reply.correlation_id.as_deref())), reply.replayed)
}

/// Writes the reply to a `get`.
#[must_use]
pub fn write_entity(reply: &EntityReply, served: &Served<'_>) -> Vec<u8> {
    let mut out = begin(reply.state.len());
    head(&mut out, &reply.aggregate, reply.revision, reply.sequence);
    raw(&mut out, "state", &reply.state);
    end(out, served, None, false)
}

/// Writes the reply to a further query.
#[must_use]
pub fn write_query(reply: &QueryReply, served: &Served<'_>) -> Vec<u8> {
    let mut out = begin(reply.answer.len());
    head(&mut out, &reply.aggregate, reply.revision, reply.sequence);
    raw(&mut out, "answer", &reply.answer);
    end(out, served, None, false)
}

/// Writes the reply to a `history`, with as many of its events as fit into `max_bytes`; `next`
/// then names the last that did.
///
/// # Errors
/// 413 `payload-too-large` when not even the first event fits, with its `revision` in the details.
pub fn write_history(
    reply: &HistoryReply,
    service: &Name,
    served: &Served<'_>,
    max_bytes: usize,
) -> Result<Vec<u8>, Failure> {
    let mut out = begin(reply.events.len() * 512);
    push_name(&mut out, "aggregate");
    push_aggregate(&mut out, &reply.aggregate);
    member(&mut out, "revision", &reply.revision);
    raw(&mut out, "events", b"[");
    // The rest of the reply is written first, to know what room it leaves.
    let rest = |next: Option<Revision>| {
        let mut rest = vec![b']'];
        member(&mut rest, "next", &next);
        end(rest, served, None, false)
    };
    let room = max_bytes.saturating_sub(rest(Some(Revision::new(u64::MAX))).len());
    let written = push_events(&mut out, service, &reply.events, room);
    let next = match (written, reply.events.get(written)) {
        (_, None) => reply.next,
        (0, Some(first)) => return Err(too_large(first, max_bytes)),
        (_, Some(_)) => Some(reply.events[written - 1].revision),
    };
    out.extend_from_slice(&rest(next));
    Ok(out)
}

/// Appends events as long as the whole stays below `room` bytes; says how many it were.
fn push_events(out: &mut Vec<u8>, service: &Name, events: &[RecordedEvent], room: usize) -> usize {
    for (written, recorded) in events.iter().enumerate() {
        let json = event::to_history_json(service, recorded);
        if out.len() + json.len() + 1 > room {
            return written;
        }
        if written > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&json);
    }
    events.len()
}

fn too_large(event: &RecordedEvent, max_bytes: usize) -> Failure {
    let message = format!("the event at revision {} does not fit into a reply of {max_bytes} bytes", event.revision);
    Failure::payload_too_large(message).detail("revision", event.revision.get()).detail("limit", max_bytes)
}

/// Writes a failure. [`header::of_failure`] makes the headers that go with it.
#[must_use]
pub fn write_failure(failure: &Failure, served: &Served<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(384);
    out.extend_from_slice(b"{\"success\":false");
    member(&mut out, "error", &ErrorBody::of(failure));
    metadata(&mut out, served, None, false);
    out.push(b'}');
    out
}

/// The member `error`, whose `details` are there even when they are empty.
#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
    details: &'a serde_json::Map<String, serde_json::Value>,
}

impl<'a> ErrorBody<'a> {
    fn of(failure: &'a Failure) -> Self {
        let Failure { code, message, retryable, details } = failure;
        Self { code: code.as_str(), message, retryable: *retryable, details }
    }
}

/// Everything up to the result's first member.
fn begin(capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity + 384);
    out.extend_from_slice(b"{\"success\":true,\"result\":{");
    out
}

/// The members that every result starts with.
fn head(out: &mut Vec<u8>, aggregate: &AggregateId, revision: Revision, sequence: Sequence) {
    push_name(out, "aggregate");
    push_aggregate(out, aggregate);
    member(out, "revision", &revision);
    member(out, "sequence", &sequence);
}

/// Everything after the result's last member.
fn end(mut out: Vec<u8>, served: &Served<'_>, ids: Option<(&str, Option<&str>)>, replayed: bool) -> Vec<u8> {
    out.push(b'}');
    metadata(&mut out, served, ids, replayed);
    out.push(b'}');
    out
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetadataBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    timestamp: String,
    duration: f64,
    instance: &'a str,
    replayed: bool,
}

fn metadata(out: &mut Vec<u8>, served: &Served<'_>, ids: Option<(&str, Option<&str>)>, replayed: bool) {
    let said =
        served.request.map(|said| (said.command_id.as_ref().map(CommandId::as_str), said.correlation_id.as_deref()));
    let (command_id, correlation_id) = match ids {
        Some((command_id, correlation_id)) => (Some(command_id), correlation_id),
        None => said.unwrap_or_default(),
    };
    let body = MetadataBody {
        command_id,
        correlation_id,
        timestamp: header::format_time(served.timestamp),
        // Milliseconds with two decimals: finer than that is noise.
        duration: (served.duration.as_secs_f64() * 100_000.0).round() / 100.0,
        instance: served.instance,
        replayed,
    };
    member(out, "metadata", &body);
}

fn push_aggregate(out: &mut Vec<u8>, aggregate: &AggregateId) {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: &'a str,
        id: &'a str,
    }
    push(out, &Body { r#type: aggregate.kind().as_str(), id: aggregate.id() });
}

/// A further member of the object being written.
fn member(out: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    out.push(b',');
    push_name(out, name);
    push(out, value);
}

/// A further member whose value is JSON already.
fn raw(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    out.push(b',');
    push_name(out, name);
    out.extend_from_slice(json);
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("texts, numbers and JSON values can always be written to memory");
}
