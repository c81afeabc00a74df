//! The event store behind a circuit.

use std::sync::Arc;

use async_trait::async_trait;
use headwater_core::AggregateId;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, ReadError,
    ReadOptions, StartFrom, StoreError,
};
use headwater_nats::circuit_breaker::{Breaker, Call};

/// The event store behind a circuit.
///
/// Open, it refuses appends before anything of them is sent, and nothing else. Whoever has been let in may be looking up what
/// became of an append, and must get the store's own answer to that; new requests are turned away at the edge. What has been
/// sent is never cut short.
#[derive(Debug)]
pub(crate) struct GuardedStore {
    store: Arc<dyn EventStore>,
    breaker: Arc<Breaker>,
}

impl GuardedStore {
    pub(crate) fn new(store: Arc<dyn EventStore>, breaker: Arc<Breaker>) -> Self {
        Self { store, breaker }
    }
}

#[async_trait]
impl EventStore for GuardedStore {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let Ok(call) = self.breaker.begin_within() else {
            let source = StoreError::new("its circuit is open");
            return Err(AppendError::Unavailable { aggregate: append.aggregate, source });
        };
        let outcome = self.store.append(append).await;
        match &outcome {
            Ok(Appended { duplicate: false, .. }) => call.answered(),
            // These may take longer, because the store had to look something up.
            Ok(_) | Err(AppendError::Conflict { .. }) => call.good(),
            Err(AppendError::Unavailable { .. } | AppendError::OutcomeUnknown { .. }) => call.failed(),
            // It says nothing about the store: mostly it was not even asked.
            Err(_) => drop(call),
        }
        outcome
    }

    fn prefers_one_append(&self, waiting: usize) -> bool {
        self.store.prefers_one_append(waiting)
    }

    fn stats(&self) -> serde_json::Value {
        self.store.stats()
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        let call = self.breaker.begin_anyhow();
        ended(call, self.store.read(aggregate, read).await)
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        let call = self.breaker.begin_anyhow();
        ended(call, self.store.head(aggregate, freshness).await)
    }

    /// Has no end that could tell how it went.
    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.store.subscribe(filter, from).await
    }

    /// Tells how the store is, whatever the circuit thinks.
    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }
}

fn ended<T>(call: Call<'_>, outcome: Result<T, ReadError>) -> Result<T, ReadError> {
    match &outcome {
        Err(ReadError::Unavailable(_)) => call.failed(),
        // A broken history was read well enough to tell.
        Ok(_) | Err(_) => call.answered(),
    }
    outcome
}
