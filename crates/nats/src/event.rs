//! Stored events on the wire: CloudEvents 1.0 in structured JSON mode, one NATS message each.
//!
//! [`encode`] writes what goes into the journal, [`decode`] reads what comes out of it, from the journal or from the
//! live feed. [`to_history_json`] and [`from_history_json`] do the same for an event inside a `history` reply, which
//! names its sequence and leaves `previous` out.

mod body;
mod error;
mod previous;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::SecondsFormat;
use headwater_core::{
    AggregateId, CommandId, EventId, JSON, Metadata, Name, NewEvent, RecordedEvent, Revision, Sequence,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

use body::Body;
pub use error::EventError;
pub use previous::Previous;

/// What the attributes of an event take as a rule, in bytes: the first guess at the size of its message.
const ATTRIBUTES: usize = 512;

/// The media type of a stored event and of a message on the live feed.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// An event out of the journal, with the places of the events before it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// The event.
    pub recorded: RecordedEvent,
    /// Where earlier events of the same aggregate stand in the journal, newest first, at most
    /// [`MAX_PREVIOUS`](headwater_core::store::MAX_PREVIOUS); empty exactly for revision 1.
    pub previous: Vec<Sequence>,
}

/// Writes an event as the journal keeps it.
///
/// `previous` are the places of the aggregate's earlier events, newest first; only the first
/// [`MAX_PREVIOUS`](headwater_core::store::MAX_PREVIOUS) are written. JSON data is embedded as it is; data of any other
/// content type, and data that claims to be JSON and is not, goes into `data_base64`.
///
/// `tenantid` is the tenant on whose behalf the command was sent; the tenant that is part of the aggregate's identity
/// stands in the subject alone.
#[must_use]
pub fn encode(
    service: &Name,
    aggregate: &AggregateId,
    revision: Revision,
    event: &NewEvent,
    previous: &[Previous],
) -> Bytes {
    write(service, aggregate, revision, event, (revision > Revision::new(1)).then(|| previous::write(previous)), None)
}

/// Writes an event as a `history` reply shows it: as stored, with a `sequence` and without `previous`.
#[must_use]
pub fn to_history_json(service: &Name, event: &RecordedEvent) -> Bytes {
    write(service, &event.aggregate, event.revision, &event.event, None, Some(event.sequence))
}

/// Reads an event of `aggregate` that the journal keeps at `sequence`.
///
/// The caller knows the aggregate, from the subject of the message as a rule, and the body has to agree with it. `name`
/// is the event's name in that subject, where there is one to agree with. Members this program does not know are
/// passed over.
///
/// # Errors
/// [`EventError`] that names the member: when it is not JSON, a required member is missing or of the wrong form, or the
/// body tells of another aggregate or event than the subject.
pub fn decode(
    aggregate: &AggregateId,
    name: Option<&str>,
    body: &[u8],
    sequence: Sequence,
) -> Result<StoredEvent, EventError> {
    let body = body::parse(body)?;
    if name.is_some_and(|name| name != body.name.as_str()) {
        return Err(EventError::disagrees("type"));
    }
    let previous = previous::read(body.previous.as_deref(), body.revision, sequence)?;
    Ok(StoredEvent { recorded: record(aggregate, body, sequence)?, previous })
}

/// Reads an event of a `history` reply about `aggregate`.
///
/// # Errors
/// As for [`decode`], and when `sequence` is missing.
pub fn from_history_json(aggregate: &AggregateId, body: &[u8]) -> Result<RecordedEvent, EventError> {
    let body = body::parse(body)?;
    let sequence = body.sequence.ok_or_else(|| EventError::member("sequence", "is missing"))?;
    record(aggregate, body, sequence)
}

fn write(
    service: &Name,
    aggregate: &AggregateId,
    revision: Revision,
    event: &NewEvent,
    previous: Option<String>,
    sequence: Option<Sequence>,
) -> Bytes {
    let metadata = &event.metadata;
    let (data, data_base64) = match serde_json::from_slice::<&RawValue>(&event.data) {
        // Only where it comes out again as it went in: white space around the value would not.
        Ok(json) if is_json(&event.content_type) && json.get().len() == event.data.len() => (Some(json), None),
        _ => (None, Some(Cow::Owned(STANDARD.encode(&event.data)))),
    };
    let body = Body {
        specversion: Cow::Borrowed("1.0"),
        id: event.id,
        source: Cow::Owned(format!("/{service}")),
        name: event.name.clone(),
        subject: Cow::Borrowed(aggregate.id()),
        time: Cow::Owned(event.time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        datacontenttype: Cow::Borrowed(&*event.content_type),
        aggregatetype: Cow::Borrowed(aggregate.kind().as_str()),
        revision,
        sequence,
        schemaversion: event.schema_version,
        commandid: Cow::Borrowed(metadata.command_id.as_str()),
        correlationid: metadata.correlation_id.as_deref().map(Cow::Borrowed),
        causationid: metadata.causation_id.as_deref().map(Cow::Borrowed),
        userid: metadata.user_id.as_deref().map(Cow::Borrowed),
        tenantid: metadata.tenant_id.as_deref().map(Cow::Borrowed),
        traceparent: metadata.traceparent.as_deref().map(Cow::Borrowed),
        previous: previous.map(Cow::Owned),
        data,
        data_base64,
    };
    let mut written = Vec::with_capacity(ATTRIBUTES + event.data.len());
    serde_json::to_writer(&mut written, &body).expect("texts, numbers and raw JSON can always be written");
    Bytes::from(written)
}

/// What the body says of `aggregate`'s event at `sequence`, once it has been found to be one.
fn record(aggregate: &AggregateId, body: Body<'_>, sequence: Sequence) -> Result<RecordedEvent, EventError> {
    for (member, agrees) in [
        ("aggregatetype", body.aggregatetype == aggregate.kind().as_str()),
        ("subject", body.subject == aggregate.id()),
    ] {
        if !agrees {
            return Err(EventError::disagrees(member));
        }
    }
    let data = match (body.data, body.data_base64) {
        (Some(json), None) => Bytes::copy_from_slice(json.get().as_bytes()),
        (None, Some(text)) => {
            let data = STANDARD.decode(text.as_bytes());
            data.map_err(|_| EventError::member("data_base64", "is not base64"))?.into()
        }
        (None, None) => return Err(EventError::member("data", "is missing")),
        (Some(_), Some(_)) => return Err(EventError::member("data_base64", "stands beside `data`")),
    };
    let time = chrono::DateTime::parse_from_rfc3339(&body.time)
        .map_err(|_| EventError::member("time", "is not an RFC 3339 time"))?;
    let command_id =
        CommandId::new(&body.commandid).map_err(|_| EventError::member("commandid", "is not a command id"))?;
    let metadata = Metadata {
        command_id,
        correlation_id: body.correlationid.map(Cow::into_owned),
        causation_id: body.causationid.map(Cow::into_owned),
        user_id: body.userid.map(Cow::into_owned),
        tenant_id: body.tenantid.map(Cow::into_owned),
        traceparent: body.traceparent.map(Cow::into_owned),
    };
    // Nearly every event is JSON, and that text needs no copy.
    let content_type =
        if body.datacontenttype == JSON { Cow::Borrowed(JSON) } else { Cow::Owned(body.datacontenttype.into_owned()) };
    let event = NewEvent {
        id: body.id,
        name: body.name,
        schema_version: body.schemaversion,
        time: time.to_utc(),
        content_type,
        data,
        metadata: Arc::new(metadata),
    };
    Ok(RecordedEvent { aggregate: aggregate.clone(), revision: body.revision, sequence, event })
}

/// The id alone, for telling whose event a message is before anything else of it is looked at.
#[must_use]
pub fn peek_id(body: &[u8]) -> Option<EventId> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: EventId,
    }
    serde_json::from_slice::<Id>(body).ok().map(|body| body.id)
}

/// Whether data of this media type is JSON, as CloudEvents tells it: subtype `json`, or one ending in `+json`.
fn is_json(content_type: &str) -> bool {
    if content_type == JSON {
        return true;
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}
