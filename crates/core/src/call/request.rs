//! Requests and replies without their envelope.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{AggregateId, CommandId, EventId, Name, RecordedEvent, Revision, Sequence};

/// A command for one aggregate.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// Whose command it is.
    pub aggregate: AggregateId,
    /// The command's name, such as `add-item`.
    pub command: String,
    /// Its payload, as JSON.
    pub payload: Bytes,
    /// The revision the caller decided on; 0 means "must not exist yet". It can only make the
    /// check stricter.
    pub expected_revision: Option<Revision>,
    /// Whether the reply shows the state.
    pub return_mode: ReturnMode,
    /// Who and what the command goes back to.
    pub metadata: RequestMetadata,
}

/// What the reply to a command shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnMode {
    /// The revision, the events and the state.
    #[default]
    Entity,
    /// The revision and the events.
    Revision,
}

/// What a caller says about a request. Every member is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestMetadata {
    /// The command's intent; a retry carries the same one. The service makes one when absent.
    pub command_id: Option<CommandId>,
    /// The whole conversation.
    pub correlation_id: Option<String>,
    /// What caused the request.
    pub causation_id: Option<String>,
    /// The user, as the caller claims.
    pub user_id: Option<String>,
    /// The tenant, as the caller claims.
    pub tenant_id: Option<String>,
    /// The W3C trace context.
    pub traceparent: Option<String>,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct CommandReply {
    /// Whose command it was.
    pub aggregate: AggregateId,
    /// The aggregate's revision after it.
    pub revision: Revision,
    /// The journal place of the aggregate's last event then.
    pub sequence: Sequence,
    /// The events of the command.
    pub events: Vec<EventSummary>,
    /// The state after it, as JSON; none when the request asked for the revision only.
    pub state: Option<Bytes>,
    /// The command's id, also when the service made it.
    pub command_id: CommandId,
    /// The conversation.
    pub correlation_id: Option<String>,
    /// Whether this is the answer to an earlier attempt at the same command.
    pub replayed: bool,
}

/// One event of a command, without its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSummary {
    /// The event's id.
    pub id: EventId,
    /// Its name.
    #[serde(rename = "type")]
    pub name: Name,
    /// The aggregate's revision with it.
    pub revision: Revision,
}

/// Asks for an aggregate's state.
#[derive(Debug, Clone)]
pub struct GetRequest {
    /// Whose state.
    pub aggregate: AggregateId,
    /// As it was at this revision; the newest by default.
    pub at_revision: Option<Revision>,
    /// As it was at this time.
    pub at_time: Option<DateTime<Utc>>,
    /// Read your writes: the answer reflects at least this revision, or is a 504.
    pub min_revision: Option<Revision>,
    /// What the caller says about the request.
    pub metadata: RequestMetadata,
}

/// An aggregate's state at a revision.
#[derive(Debug, Clone)]
pub struct EntityReply {
    /// Whose state.
    pub aggregate: AggregateId,
    /// The revision it reflects.
    pub revision: Revision,
    /// The journal place of the event of that revision.
    pub sequence: Sequence,
    /// The state, as JSON.
    pub state: Bytes,
}

/// Asks for a page of an aggregate's events.
#[derive(Debug, Clone)]
pub struct HistoryRequest {
    /// Whose events.
    pub aggregate: AggregateId,
    /// Only events after this revision.
    pub after_revision: Revision,
    /// At most this many; the service has a limit of its own.
    pub limit: Option<usize>,
    /// What the caller says about the request.
    pub metadata: RequestMetadata,
}

/// A page of an aggregate's events.
#[derive(Debug, Clone)]
pub struct HistoryReply {
    /// Whose events.
    pub aggregate: AggregateId,
    /// The revision of the whole history.
    pub revision: Revision,
    /// The events, oldest first.
    pub events: Vec<RecordedEvent>,
    /// What to pass as `after_revision` for the next page; none when this is the last.
    pub next: Option<Revision>,
}

/// One of the service's further queries.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// Whose state it asks.
    pub aggregate: AggregateId,
    /// The query's name.
    pub query: String,
    /// Its payload, as JSON.
    pub payload: Bytes,
    /// Read your writes: the answer reflects at least this revision, or is a 504.
    pub min_revision: Option<Revision>,
    /// What the caller says about the request.
    pub metadata: RequestMetadata,
}

/// The answer to a further query.
#[derive(Debug, Clone)]
pub struct QueryReply {
    /// Whose state it asked.
    pub aggregate: AggregateId,
    /// The revision the answer reflects.
    pub revision: Revision,
    /// The journal place of the event of that revision.
    pub sequence: Sequence,
    /// The answer, as JSON.
    pub answer: Bytes,
}
