//! The typed client: an aggregate's commands and queries as calls with its own types, over any
//! [`Transport`].
//!
//! The aggregate macro writes a client with one method for each command and query; each is one
//! line over [`AggregateClient`]. A handle is immutable and cheap to clone: options set on it
//! hold for every call made from it, options set on a call for that call.

mod command;
mod error;
mod event;
mod live;
mod query;
mod settings;

use std::marker::PhantomData;
use std::sync::Arc;

pub use command::{CommandCall, Committed, Executed, RevisionCall};
pub use error::ExecuteError;
pub use event::{EventDecoder, TypedEvent};
pub use live::{LiveCall, LiveFeed, LiveItem};
pub use query::{Entity, GetCall, HistoryCall, HistoryPage, QueryAnswer, QueryCall};
use settings::{CallSettings, call_settings};

use crate::call::{CallError, Transport};
use crate::description::EventCatalog;
use crate::{Aggregate, AggregateId, Command, Query};

/// Calls to the aggregates of type `A`, over one transport.
#[must_use]
pub struct AggregateClient<A> {
    transport: Arc<dyn Transport>,
    settings: CallSettings,
    catalog: Arc<EventCatalog>,
    aggregate: PhantomData<fn() -> A>,
}

/// What a typed client can be made over: a transport, or one that is shared already.
pub trait IntoTransport {
    /// The transport, shared.
    fn into_transport(self) -> Arc<dyn Transport>;
}

impl<T: Transport> IntoTransport for T {
    fn into_transport(self) -> Arc<dyn Transport> {
        Arc::new(self)
    }
}

impl IntoTransport for Arc<dyn Transport> {
    fn into_transport(self) -> Self {
        self
    }
}

impl<A: Aggregate> AggregateClient<A> {
    /// A client over `transport`: a dispatcher, or a client of a NATS service.
    pub fn new(transport: impl IntoTransport) -> Self {
        Self {
            transport: transport.into_transport(),
            settings: CallSettings::default(),
            // What is wrong with an event enum is told where the service is built; a client just cannot decode such an event.
            catalog: Arc::new(EventCatalog::of::<A::Event>(&mut Vec::new())),
            aggregate: PhantomData,
        }
    }

    call_settings!();

    /// A command for the aggregate `id`. Await it, or set options on it first.
    pub fn command<C: Command>(&self, id: impl Into<String>, command: &C) -> CommandCall<A> {
        CommandCall::new(self, &id.into(), C::NAME, serde_json::to_vec(command))
    }

    /// The state of the aggregate `id`.
    pub fn get(&self, id: impl Into<String>) -> GetCall<A> {
        GetCall::new(self, &id.into())
    }

    /// The events of the aggregate `id`, page by page.
    pub fn history(&self, id: impl Into<String>) -> HistoryCall<A> {
        HistoryCall::new(self, &id.into())
    }

    /// One of the further queries of the aggregate `id`.
    pub fn query<Q: Query>(&self, id: impl Into<String>, query: &Q) -> QueryCall<A, Q> {
        QueryCall::new(self, &id.into(), serde_json::to_vec(query))
    }

    /// Committed events from now on, of all aggregates of the type unless narrowed.
    pub fn live(&self) -> LiveCall<A> {
        LiveCall::new(self)
    }

    /// The transport beneath.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }
}

impl<A> Clone for AggregateClient<A> {
    fn clone(&self) -> Self {
        Self {
            transport: Arc::clone(&self.transport),
            settings: self.settings.clone(),
            catalog: Arc::clone(&self.catalog),
            aggregate: PhantomData,
        }
    }
}

impl<A: Aggregate> std::fmt::Debug for AggregateClient<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregateClient")
            .field("type", &A::TYPE)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// The identity of `id` among the aggregates of type `A`.
fn aggregate_id<A: Aggregate>(id: &str) -> Result<AggregateId, CallError> {
    AggregateId::new(A::TYPE, id).map_err(|error| CallError::NotSent(error.to_string()))
}
