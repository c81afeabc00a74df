//! In-process dispatch: a command's way from a checked request to stored events and a reply,
//! behind the store port. A NATS service puts an edge before it; a test or a small program calls
//! it directly, through the same typed client.

mod append;
mod bounds;
mod build;
mod cache;
mod entity;
mod execute;
mod guard;
mod in_process;
mod index;
mod job;
mod joint;
mod lane;
mod load;
mod observer;
mod query;
mod replay;
mod snapshot;
mod stats;
mod wait;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use build::{BuildError, DispatcherBuilder};
pub use execute::PendingCommand;
pub use observer::{LoadedTo, ObservedDecision, ObservedLoad, Observer};
use stats::Counters;
pub use stats::DispatchStats;
use tokio::sync::Semaphore;
/// The moment after which an answer no longer matters, on tokio's clock.
pub use tokio::time::Instant as Deadline;

use self::cache::Cache;
use self::lane::Lanes;
use crate::store::EventStore;
use crate::{AggregateId, AggregateType, Clock, Failure, Name};

/// Runs commands and queries of described aggregate types against an event store. Clones share
/// everything.
///
/// What it promises, within one dispatcher:
/// - commands on one aggregate are decided one at a time, in the order they were submitted;
/// - nothing is stored on a stale state: the store's expected revision guards every append, and a
///   stale cached state costs a reload;
/// - a repeated command id is answered with what the first attempt did;
/// - a panic in the domain is one command's `internal` failure and nobody else's.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    types: BTreeMap<Name, AggregateType>,
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    lanes: Arc<Lanes<job::Job>>,
    cache: Cache,
    snapshots: Option<writer::SnapshotWriter>,
    followers: Semaphore,
    counters: Counters,
    observer: Option<Arc<dyn Observer>>,
    settings: build::Settings,
}

impl Dispatcher {
    /// Starts a dispatcher for events kept in `store`.
    pub fn builder(store: impl EventStore) -> DispatcherBuilder {
        Self::builder_shared(Arc::new(store))
    }

    /// Starts a dispatcher for events kept in a store that others use too.
    pub fn builder_shared(store: Arc<dyn EventStore>) -> DispatcherBuilder {
        DispatcherBuilder::new(store)
    }

    /// The aggregate types it serves, by name.
    pub fn types(&self) -> impl Iterator<Item = &AggregateType> {
        self.inner.types.values()
    }

    /// The aggregate type called `kind`.
    #[must_use]
    pub fn aggregate_type(&self, kind: &str) -> Option<&AggregateType> {
        self.inner.types.get(kind)
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.store
    }

    /// Writes snapshots of everything in memory that has newer events, and returns when they are
    /// written or given up. Call it before the end of a process, so that the next one finds them.
    /// Does nothing when there is no snapshot store.
    pub async fn flush_snapshots(&self) {
        self.inner.flush_snapshots().await;
    }

    /// What it has done so far, and what it is doing.
    #[must_use]
    pub fn stats(&self) -> DispatchStats {
        self.inner.counters.read(&self.inner.cache, &self.inner.lanes)
    }
}

impl Inner {
    fn type_of(&self, aggregate: &AggregateId) -> Result<&AggregateType, Failure> {
        self.types
            .get(aggregate.kind())
            .ok_or_else(|| Failure::invalid_request(format!("there is no aggregate type `{}`", aggregate.kind())))
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("types", &self.inner.types.keys())
            .field("store", &self.inner.store.name())
            .finish_non_exhaustive()
    }
}
