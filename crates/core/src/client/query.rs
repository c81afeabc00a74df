//! Calls that ask: the state, the history, further queries.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::command::{read_state, unreadable};
use super::settings::{CallSettings, call_settings};
use super::{AggregateClient, TypedEvent, aggregate_id};
use crate::call::{CallError, GetRequest, HistoryRequest, QueryRequest, Transport};
use crate::description::EventCatalog;
use crate::{Aggregate, AggregateId, Query, Revision, Sequence};

/// An aggregate's identity, revision and state at a moment.
#[derive(Debug, Clone)]
pub struct Entity<A> {
    /// Whose state.
    pub id: AggregateId,
    /// The revision the state reflects.
    pub revision: Revision,
    /// The journal place of the event of that revision.
    pub sequence: Sequence,
    /// The state.
    pub state: A,
}

/// Asks for an aggregate's state when awaited.
#[must_use = "a call is made when it is awaited"]
pub struct GetCall<A> {
    transport: Arc<dyn Transport>,
    settings: CallSettings,
    request: Result<GetRequest, CallError>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> GetCall<A> {
    pub(super) fn new(client: &AggregateClient<A>, id: &str) -> Self {
        let request = aggregate_id::<A>(id).map(|aggregate| GetRequest {
            aggregate,
            at_revision: None,
            at_time: None,
            min_revision: None,
            metadata: client.settings.metadata.clone(),
        });
        let transport = Arc::clone(&client.transport);
        Self { transport, settings: client.settings.clone(), request, aggregate: PhantomData }
    }

    call_settings!();

    /// The state as it was at this revision.
    pub fn at_revision(mut self, revision: impl Into<Revision>) -> Self {
        self.change(|request| request.at_revision = Some(revision.into()));
        self
    }

    /// The state as it was at this time.
    pub fn at_time(mut self, time: DateTime<Utc>) -> Self {
        self.change(|request| request.at_time = Some(time));
        self
    }

    /// Read your writes: the answer reflects at least this revision, or there is none in time.
    pub fn min_revision(mut self, revision: impl Into<Revision>) -> Self {
        self.change(|request| request.min_revision = Some(revision.into()));
        self
    }

    fn change(&mut self, change: impl FnOnce(&mut GetRequest)) {
        if let Ok(request) = &mut self.request {
            change(request);
        }
    }
}

impl<A: Aggregate> IntoFuture for GetCall<A> {
    type Output = Result<Entity<A>, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let CallSettings { options, metadata } = self.settings;
            let request = GetRequest { metadata, ..self.request? };
            let reply = self.transport.get(request, &options).await?;
            let state = read_state(&reply.state)?;
            Ok(Entity { id: reply.aggregate, revision: reply.revision, sequence: reply.sequence, state })
        }
        .boxed()
    }
}

/// Asks for a page of an aggregate's events when awaited.
#[must_use = "a call is made when it is awaited"]
pub struct HistoryCall<A> {
    transport: Arc<dyn Transport>,
    settings: CallSettings,
    catalog: Arc<EventCatalog>,
    request: Result<HistoryRequest, CallError>,
    aggregate: PhantomData<fn() -> A>,
}

/// A page of an aggregate's events.
#[derive(Debug)]
pub struct HistoryPage<E> {
    /// The revision of the whole history.
    pub revision: Revision,
    /// The events, oldest first.
    pub events: Vec<TypedEvent<E>>,
    /// What to pass to [`HistoryCall::after`] for the next page; none when this is the last.
    pub next: Option<Revision>,
}

impl<A: Aggregate> HistoryCall<A> {
    pub(super) fn new(client: &AggregateClient<A>, id: &str) -> Self {
        let request = aggregate_id::<A>(id).map(|aggregate| HistoryRequest {
            aggregate,
            after_revision: Revision::ZERO,
            limit: None,
            metadata: client.settings.metadata.clone(),
        });
        Self {
            transport: Arc::clone(&client.transport),
            settings: client.settings.clone(),
            catalog: Arc::clone(&client.catalog),
            request,
            aggregate: PhantomData,
        }
    }

    call_settings!();

    /// Only events after this revision.
    pub fn after(mut self, revision: impl Into<Revision>) -> Self {
        if let Ok(request) = &mut self.request {
            request.after_revision = revision.into();
        }
        self
    }

    /// At most this many events; the service has a limit of its own.
    pub fn limit(mut self, limit: usize) -> Self {
        if let Ok(request) = &mut self.request {
            request.limit = Some(limit);
        }
        self
    }
}

impl<A: Aggregate> IntoFuture for HistoryCall<A> {
    type Output = Result<HistoryPage<A::Event>, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let CallSettings { options, metadata } = self.settings;
            let request = HistoryRequest { metadata, ..self.request? };
            let reply = self.transport.history(request, &options).await?;
            let events = reply.events.into_iter().map(|event| TypedEvent::new(&self.catalog, event)).collect();
            Ok(HistoryPage { revision: reply.revision, events, next: reply.next })
        }
        .boxed()
    }
}

/// Sends one of the further queries when awaited.
#[must_use = "a call is made when it is awaited"]
pub struct QueryCall<A, Q> {
    transport: Arc<dyn Transport>,
    settings: CallSettings,
    request: Result<QueryRequest, CallError>,
    query: PhantomData<fn() -> (A, Q)>,
}

/// The answer to a further query.
#[derive(Debug, Clone)]
pub struct QueryAnswer<T> {
    /// The answer.
    pub answer: T,
    /// The revision it reflects.
    pub revision: Revision,
    /// The journal place of the event of that revision.
    pub sequence: Sequence,
}

impl<A: Aggregate, Q: Query> QueryCall<A, Q> {
    pub(super) fn new(client: &AggregateClient<A>, id: &str, payload: Result<Vec<u8>, serde_json::Error>) -> Self {
        let request = aggregate_id::<A>(id).and_then(|aggregate| {
            let payload = payload.map_err(|error| {
                CallError::NotSent(format!("the payload of `{}` cannot be written as JSON: {error}", Q::NAME))
            })?;
            Ok(QueryRequest {
                aggregate,
                query: Q::NAME.to_owned(),
                payload: payload.into(),
                min_revision: None,
                metadata: client.settings.metadata.clone(),
            })
        });
        let transport = Arc::clone(&client.transport);
        Self { transport, settings: client.settings.clone(), request, query: PhantomData }
    }

    call_settings!();

    /// Read your writes: the answer reflects at least this revision, or there is none in time.
    pub fn min_revision(mut self, revision: impl Into<Revision>) -> Self {
        if let Ok(request) = &mut self.request {
            request.min_revision = Some(revision.into());
        }
        self
    }
}

impl<A: Aggregate, Q: Query> IntoFuture for QueryCall<A, Q> {
    type Output = Result<QueryAnswer<Q::Answer>, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let CallSettings { options, metadata } = self.settings;
            let request = QueryRequest { metadata, ..self.request? };
            let reply = self.transport.query(request, &options).await?;
            let answer = serde_json::from_slice(&reply.answer)
                .map_err(|error| unreadable(&format!("the answer of `{}`: {error}", Q::NAME)))?;
            Ok(QueryAnswer { answer, revision: reply.revision, sequence: reply.sequence })
        }
        .boxed()
    }
}

macro_rules! debug_by_request {
    ($name:literal, $($call:tt)*) => {
        impl $($call)* {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let aggregate = self.request.as_ref().map(|request| &request.aggregate);
                f.debug_struct($name).field("aggregate", &aggregate).finish_non_exhaustive()
            }
        }
    };
}

debug_by_request!("GetCall", <A> std::fmt::Debug for GetCall<A>);
debug_by_request!("HistoryCall", <A> std::fmt::Debug for HistoryCall<A>);
debug_by_request!("QueryCall", <A, Q> std::fmt::Debug for QueryCall<A, Q>);
