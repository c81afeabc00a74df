//! Committed events as they happen, with the aggregate's own event type.

use std::future::IntoFuture;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};

use super::{AggregateClient, TypedEvent, aggregate_id};
use crate::call::{CallError, LiveEvent, LiveEvents, Transport};
use crate::description::EventCatalog;
use crate::store::EventFilter;
use crate::{Aggregate, Event, Failure, Name};

/// Subscribes to committed events when awaited.
///
/// The feed shows each event at most once and nothing of the past; a reader that must not miss
/// any reads the journal instead.
#[must_use = "a subscription is made when it is awaited"]
pub struct LiveCall<A> {
    transport: Arc<dyn Transport>,
    catalog: Arc<EventCatalog>,
    filter: Result<EventFilter, CallError>,
    aggregate: std::marker::PhantomData<fn() -> A>,
}

/// Committed events as they happen. Dropping it unsubscribes.
#[must_use = "a feed shows events when it is polled"]
pub struct LiveFeed<E> {
    events: LiveEvents,
    catalog: Arc<EventCatalog>,
    event: std::marker::PhantomData<fn() -> E>,
}

/// What a typed live feed shows.
#[derive(Debug)]
#[non_exhaustive]
pub enum LiveItem<E> {
    /// An event was committed. One that this program does not know has an error in
    /// [`TypedEvent::decoded`].
    Event(Box<TypedEvent<E>>),
    /// A message on the feed's subjects is no event of the protocol; the feed goes on.
    Unreadable(Failure),
    /// The connection was lost and is back; events in between may be missing.
    Gap,
}

impl<A: Aggregate> LiveCall<A> {
    pub(super) fn new(client: &AggregateClient<A>) -> Self {
        let filter = Name::new(A::TYPE).map(|kind| EventFilter::all().kind(kind));
        Self {
            transport: Arc::clone(&client.transport),
            catalog: Arc::clone(&client.catalog),
            filter: filter.map_err(|error| CallError::NotSent(error.to_string())),
            aggregate: std::marker::PhantomData,
        }
    }

    /// Only events of the aggregate `id`.
    pub fn aggregate(self, id: impl AsRef<str>) -> Self {
        let filter = self.filter.and_then(|filter| Ok(filter.aggregate(aggregate_id::<A>(id.as_ref())?)));
        Self { filter, ..self }
    }

    /// Only events called `name`; several calls add up.
    pub fn event(self, name: impl Into<String>) -> Self {
        let name = Name::new(name.into()).map_err(|error| CallError::NotSent(error.to_string()));
        let filter = self.filter.and_then(|filter| Ok(filter.event(name?)));
        Self { filter, ..self }
    }
}

impl<A: Aggregate> IntoFuture for LiveCall<A> {
    type Output = Result<LiveFeed<A::Event>, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let events = self.transport.live(self.filter?).await?;
            Ok(LiveFeed { events, catalog: self.catalog, event: std::marker::PhantomData })
        }
        .boxed()
    }
}

impl<E: Event> LiveFeed<E> {
    /// Hands every item to `handler`, one after the other, until the feed ends. A handler that
    /// fails or panics is logged and the next item is handed over: one bad event never ends a
    /// subscription.
    pub async fn for_each<H, F, X>(mut self, mut handler: H)
    where
        H: FnMut(LiveItem<E>) -> F,
        F: Future<Output = Result<(), X>>,
        X: std::fmt::Display,
    {
        while let Some(item) = self.next().await {
            // The call itself may panic as well as the future it returns.
            let handling = AssertUnwindSafe(async { handler(item).await });
            match handling.catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a handler of live events failed"),
                Err(_) => tracing::error!("a handler of live events panicked"),
            }
        }
    }
}

impl<E: Event> Stream for LiveFeed<E> {
    type Item = LiveItem<E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context).map(|event| {
            Some(match event? {
                LiveEvent::Event(recorded) => LiveItem::Event(Box::new(TypedEvent::new(&self.catalog, *recorded))),
                LiveEvent::Unreadable(failure) => LiveItem::Unreadable(failure),
                LiveEvent::Gap => LiveItem::Gap,
            })
        })
    }
}

impl<A> std::fmt::Debug for LiveCall<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCall").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl<E> std::fmt::Debug for LiveFeed<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveFeed").finish_non_exhaustive()
    }
}
