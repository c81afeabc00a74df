//! Replies read.

use std::borrow::Cow;

use async_nats::HeaderMap;
use bytes::Bytes;
use headwater_core::call::{CommandReply, EntityReply, EventSummary, HistoryReply, QueryReply};
use headwater_core::{AggregateId, CommandId, Failure, Revision, Sequence};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::{self, ErrorBody};
use crate::event;

/// Why a reply holds no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// It tells of a failure.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// It is not a reply of the protocol, or one about something else than was asked.
    #[error("{0}")]
    Unreadable(String),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    success: bool,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorBody>,
    #[serde(default)]
    metadata: Option<MetadataBody>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct MetadataBody {
    #[serde(default)]
    command_id: Option<CommandId>,
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default)]
    replayed: Option<bool>,
}

#[derive(Deserialize)]
struct AggregateBody<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl AggregateBody<'_> {
    /// The aggregate, which must be the one that was asked for.
    fn check(&self, asked: &AggregateId) -> Result<AggregateId, ReplyError> {
        if self.r#type == asked.kind().as_str() && self.id == asked.id() {
            return Ok(asked.clone());
        }
        Err(ReplyError::Unreadable(format!("it is not about {asked}")))
    }
}

#[derive(Deserialize)]
struct CommandBody<'a> {
    #[serde(borrow)]
    aggregate: AggregateBody<'a>,
    revision: Revision,
    sequence: Sequence,
    #[serde(default)]
    events: Vec<EventSummary>,
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EntityBody<'a> {
    #[serde(borrow)]
    aggregate: AggregateBody<'a>,
    revision: Revision,
    sequence: Sequence,
    #[serde(borrow)]
    state: &'a RawValue,
}

#[derive(Deserialize)]
struct HistoryBody<'a> {
    #[serde(borrow)]
    aggregate: AggregateBody<'a>,
    revision: Revision,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    next: Option<Revision>,
}

#[derive(Deserialize)]
struct QueryBody<'a> {
    #[serde(borrow)]
    aggregate: AggregateBody<'a>,
    revision: Revision,
    sequence: Sequence,
    #[serde(borrow)]
    answer: &'a RawValue,
}

/// Reads the reply to the command `sent` for the aggregate `asked`. The state of the result shares
/// the body's memory.
///
/// # Errors
/// [`ReplyError::Failed`] with the service's failure, [`ReplyError::Unreadable`] for anything that
/// is not a reply to this command.
pub fn read_command(
    headers: Option<&HeaderMap>,
    body: &Bytes,
    asked: &AggregateId,
    sent: &CommandId,
) -> Result<CommandReply, ReplyError> {
    let (result, metadata) = open(headers, body)?;
    let read: CommandBody<'_> = parse(result)?;
    Ok(CommandReply {
        aggregate: read.aggregate.check(asked)?,
        revision: read.revision,
        sequence: read.sequence,
        events: read.events,
        state: read.state.map(|state| share(body, state)),
        command_id: metadata.command_id.unwrap_or_else(|| sent.clone()),
        correlation_id: metadata.correlation_id,
        replayed: metadata.replayed.unwrap_or_default(),
    })
}

/// Reads the reply to a `get` of the aggregate `asked`.
///
/// # Errors
/// As for [`read_command`].
pub fn read_entity(headers: Option<&HeaderMap>, body: &Bytes, asked: &AggregateId) -> Result<EntityReply, ReplyError> {
    let (result, _) = open(headers, body)?;
    let read: EntityBody<'_> = parse(result)?;
    Ok(EntityReply {
        aggregate: read.aggregate.check(asked)?,
        revision: read.revision,
        sequence: read.sequence,
        state: share(body, read.state),
    })
}

/// Reads the reply to a `history` of the aggregate `asked`.
///
/// # Errors
/// As for [`read_command`]; an event that cannot be read makes the whole page unreadable.
pub fn read_history(
    headers: Option<&HeaderMap>,
    body: &Bytes,
    asked: &AggregateId,
) -> Result<HistoryReply, ReplyError> {
    let (result, _) = open(headers, body)?;
    let read: HistoryBody<'_> = parse(result)?;
    let aggregate = read.aggregate.check(asked)?;
    let event = |(at, json): (usize, &&RawValue)| {
        event::from_history_json(asked, json.get().as_bytes())
            .map_err(|error| ReplyError::Unreadable(format!("event {at} of the page: {error}")))
    };
    let events = read.events.iter().enumerate().map(event).collect::<Result<_, _>>()?;
    Ok(HistoryReply { aggregate, revision: read.revision, events, next: read.next })
}

/// Reads the reply to a further query about the aggregate `asked`.
///
/// # Errors
/// As for [`read_command`].
pub fn read_query(headers: Option<&HeaderMap>, body: &Bytes, asked: &AggregateId) -> Result<QueryReply, ReplyError> {
    let (result, _) = open(headers, body)?;
    let read: QueryBody<'_> = parse(result)?;
    Ok(QueryReply {
        aggregate: read.aggregate.check(asked)?,
        revision: read.revision,
        sequence: read.sequence,
        answer: share(body, read.answer),
    })
}

/// The failure that a reply tells of, in its body or at least in its headers; none when it tells of
/// none. For answers that have no envelope when all is well, such as the contract.
#[must_use]
pub fn read_failure(headers: Option<&HeaderMap>, body: &[u8]) -> Option<Failure> {
    match serde_json::from_slice(body) {
        Ok(Envelope { success: false, error: Some(error), .. }) => Some(error.into()),
        _ => failure::of_headers(headers),
    }
}

/// The result and the metadata of a reply that tells of success.
fn open<'a>(headers: Option<&HeaderMap>, body: &'a Bytes) -> Result<(&'a RawValue, MetadataBody), ReplyError> {
    let envelope: Result<Envelope<'a>, _> = serde_json::from_slice(body);
    if let Ok(Envelope { success: false, error: Some(error), .. }) = envelope {
        return Err(ReplyError::Failed(error.into()));
    }
    if let Some(failure) = failure::of_headers(headers) {
        return Err(ReplyError::Failed(failure));
    }
    match envelope {
        Ok(Envelope { success: true, result: Some(result), metadata, .. }) => {
            Ok((result, metadata.unwrap_or_default()))
        }
        Ok(Envelope { success: true, .. }) => Err(ReplyError::Unreadable("it has no `result`".to_owned())),
        Ok(_) => Err(ReplyError::Unreadable("it tells of a failure and has no `error`".to_owned())),
        Err(error) => Err(unreadable(&error)),
    }
}

fn parse<'a, T: Deserialize<'a>>(result: &'a RawValue) -> Result<T, ReplyError> {
    serde_json::from_str(result.get()).map_err(|error| unreadable(&error))
}

/// The parser's message may quote values, so only its kind and place are told.
fn unreadable(error: &serde_json::Error) -> ReplyError {
    let what = match error.classify() {
        serde_json::error::Category::Data => "its members are not those of the protocol",
        _ => "it is not JSON",
    };
    let text = error.to_string();
    ReplyError::Unreadable(match text.split_once('`').and_then(|(_, rest)| rest.split_once('`')) {
        Some((member, _)) if text.starts_with("missing field") => format!("it has no `{member}`"),
        _ => format!("{what} (line {} column {})", error.line(), error.column()),
    })
}

/// The same bytes without a copy.
fn share(body: &Bytes, part: &RawValue) -> Bytes {
    body.slice_ref(part.get().as_bytes())
}
