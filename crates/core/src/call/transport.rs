//! The way to a service, in process or over the wire.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;

use super::{
    CallError, CommandReply, CommandRequest, EntityReply, GetRequest, HistoryReply, HistoryRequest, QueryReply,
    QueryRequest,
};
use crate::store::EventFilter;
use crate::{Failure, RecordedEvent};

/// Carries calls to one service. Implemented by the dispatcher and by the NATS client.
#[async_trait]
pub trait Transport: Send + Sync + std::fmt::Debug + 'static {
    /// Sends a command.
    ///
    /// # Errors
    /// See [`CallError`]; a lost reply is [`CallError::OutcomeUnknown`].
    async fn command(&self, request: CommandRequest, options: &CallOptions) -> Result<CommandReply, CallError>;

    /// Asks for an aggregate's state.
    ///
    /// # Errors
    /// See [`CallError`].
    async fn get(&self, request: GetRequest, options: &CallOptions) -> Result<EntityReply, CallError>;

    /// Asks for a page of an aggregate's events.
    ///
    /// # Errors
    /// See [`CallError`].
    async fn history(&self, request: HistoryRequest, options: &CallOptions) -> Result<HistoryReply, CallError>;

    /// Sends one of the service's further queries.
    ///
    /// # Errors
    /// See [`CallError`].
    async fn query(&self, request: QueryRequest, options: &CallOptions) -> Result<QueryReply, CallError>;

    /// Committed events from now on, at most once: events of the time of a lost connection are
    /// missing. The subscription is in place when this returns.
    ///
    /// # Errors
    /// When the subscription cannot be made.
    async fn live(&self, filter: EventFilter) -> Result<LiveEvents, CallError>;
}

/// How one call is made. Everything has a default.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CallOptions {
    /// How long to wait for the reply, all retries included. The transport's default when absent.
    pub timeout: Option<Duration>,
    /// When the answer stops mattering; the service is told. Now plus the timeout when absent.
    pub deadline: Option<DateTime<Utc>>,
    /// Further headers of the request, such as `Authorization`. Names starting with `Nats-` or
    /// `Headwater-` are refused.
    pub headers: Vec<(String, String)>,
}

/// Live events, in the order the server sent them. Dropping it unsubscribes.
pub type LiveEvents = BoxStream<'static, LiveEvent>;

/// What a live feed shows.
#[derive(Debug)]
#[non_exhaustive]
pub enum LiveEvent {
    /// An event was committed.
    Event(Box<RecordedEvent>),
    /// A message on the feed's subjects is not an event of the protocol; the feed goes on.
    Unreadable(Failure),
    /// The connection was lost and is back; events in between may be missing.
    Gap,
}
