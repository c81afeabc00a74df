//! Building a dispatcher.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::Bounds;
use super::cache::Cache;
use super::lane::Lanes;
use super::observer::Observer;
use super::stats::Counters;
use super::writer::{SnapshotPolicy, SnapshotWriter};
use super::{Dispatcher, Inner};
use crate::evolution::{Compatibility, SchemaLock};
use crate::store::{EventStore, SnapshotStore};
use crate::{AggregateType, Clock, DescribeError, Described, Name, SystemClock};

/// Collects what a dispatcher needs; [`build`](Self::build) checks it.
#[must_use]
pub struct DispatcherBuilder {
    store: Arc<dyn EventStore>,
    types: Vec<Result<AggregateType, DescribeError>>,
    clock: Arc<dyn Clock>,
    cache_bytes: u64,
    snapshots: Option<Arc<dyn SnapshotStore>>,
    policy: SnapshotPolicy,
    lock: Option<(SchemaLock, Compatibility)>,
    observer: Option<Arc<dyn Observer>>,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) lane_limit: usize,
    pub(super) attempts: u32,
    pub(super) retry_wait: Duration,
    pub(super) timeout: Duration,
    pub(super) history_page: usize,
    pub(super) query_staleness: Duration,
    pub(super) bounds: Bounds,
}

/// A dispatcher that cannot be built, with every reason.
#[derive(Debug, thiserror::Error)]
#[error("the dispatcher cannot be built: {}", problems.join("; "))]
pub struct BuildError {
    problems: Vec<String>,
}

impl BuildError {
    /// Every reason.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl DispatcherBuilder {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        let settings = Settings {
            lane_limit: 1024,
            attempts: 10,
            retry_wait: Duration::from_millis(2),
            timeout: Duration::from_secs(10),
            history_page: 500,
            query_staleness: Duration::ZERO,
            bounds: Bounds::default(),
        };
        Self {
            store,
            types: Vec::new(),
            clock: Arc::new(SystemClock),
            cache_bytes: 256 * 1024 * 1024,
            snapshots: None,
            policy: SnapshotPolicy { every: 32, idle: Duration::from_secs(30) },
            lock: None,
            observer: None,
            settings,
        }
    }

    /// Serves `A`, as it describes itself.
    pub fn aggregate<A: Described<Env = ()>>(self) -> Self {
        self.aggregate_with::<A>(Arc::new(()))
    }

    /// Serves `A`, whose handlers ask `env`.
    pub fn aggregate_with<A: Described>(mut self, env: Arc<A::Env>) -> Self {
        self.types.push(A::describe(env).build());
        self
    }

    /// Serves an aggregate type described by hand.
    pub fn aggregate_type(mut self, described: AggregateType) -> Self {
        self.types.push(Ok(described));
        self
    }

    /// Tells the time of decisions and events; the system's clock by default.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// How many bytes of aggregate states to keep in memory, by estimate; 256 MiB by default.
    pub fn cache_bytes(self, cache_bytes: u64) -> Self {
        Self { cache_bytes, ..self }
    }

    /// Refuses to start when the aggregate types break what released versions promised. The lock is mostly
    /// compiled in: `SchemaLock::from_json(include_str!("../schema.lock.json"))`.
    pub fn schema_lock(self, lock: SchemaLock, compatibility: Compatibility) -> Self {
        Self { lock: Some((lock, compatibility)), ..self }
    }

    /// Keeps snapshots in `snapshots`, so that an aggregate that is not in memory need not be
    /// folded from its first event on. Without one, it is.
    pub fn snapshots(self, snapshots: impl SnapshotStore) -> Self {
        self.snapshots_shared(Arc::new(snapshots))
    }

    /// The same with a store that others use too.
    pub fn snapshots_shared(self, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self { snapshots: Some(snapshots), ..self }
    }

    /// After how many events a snapshot is written; 32 by default. One is also written when an
    /// aggregate with newer events leaves the cache or goes idle.
    pub fn snapshot_every(mut self, events: u64) -> Self {
        self.policy.every = events;
        self
    }

    /// How long an aggregate with newer events may stay unchanged before a snapshot is written;
    /// 30 seconds by default.
    pub fn snapshot_idle(mut self, idle: Duration) -> Self {
        self.policy.idle = idle;
        self
    }

    /// How many commands may wait for one aggregate before further ones are refused as
    /// `unavailable` with the reason `overloaded`; 1024 by default.
    pub fn lane_limit(mut self, lane_limit: usize) -> Self {
        self.settings.lane_limit = lane_limit;
        self
    }

    /// How often a command is decided again after conflicts with other writers before it is
    /// refused as `unavailable`; 10 times in all by default.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts;
        self
    }

    /// How long a call may take when it brings no deadline of its own; 10 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long a handler may ask outside for one command before the command is given up as `deadline-exceeded` with the
    /// `limit` `handler` in its details, and the next one on its aggregate has its turn. The handler's future is dropped then,
    /// and nothing is stored. As long as the call's deadline by default. A command that is decided again after a conflict has
    /// the whole time again.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.settings.bounds.handler_timeout = Some(timeout);
        self
    }

    /// The most bytes that the data of one event may have. A command that leads to a larger one is refused as
    /// `payload-too-large` before anything is stored. The store's own limit by default, which holds in any case.
    pub fn max_event_size(mut self, bytes: usize) -> Self {
        self.settings.bounds.max_event_size = Some(bytes);
        self
    }

    /// The most events that one command may lead to; one with more is refused as `payload-too-large` before anything is
    /// stored. The store's own limit by default, [`MAX_EVENTS_PER_APPEND`](crate::store::MAX_EVENTS_PER_APPEND), which holds
    /// in any case.
    pub fn max_events(mut self, events: usize) -> Self {
        self.settings.bounds.max_events = Some(events);
        self
    }

    /// For how long after an aggregate in memory was last known to be the newest a query is
    /// answered from it without asking the store. None by default: a query sees what any instance
    /// has committed before it. On a replicated store it may miss the newest events for a moment; with
    /// a minimal revision it never does. A query whose minimal revision is in memory never asks.
    pub fn query_staleness(mut self, staleness: Duration) -> Self {
        self.settings.query_staleness = staleness;
        self
    }

    /// Tells `observer` what is loaded and decided. Nobody by default, and then nothing is measured.
    pub fn observer(self, observer: impl Observer) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// The dispatcher, checked.
    ///
    /// # Errors
    /// [`BuildError`] with every reason: no aggregate types, one described twice or badly, a
    /// setting out of range, a promise of the schema lock that is broken.
    pub fn build(self) -> Result<Dispatcher, BuildError> {
        let mut problems = Vec::new();
        let mut types = BTreeMap::<Name, AggregateType>::new();
        if self.types.is_empty() {
            problems.push("there are no aggregate types".to_owned());
        }
        for described in self.types {
            match described {
                Err(error) => problems.push(error.to_string()),
                Ok(described) => {
                    let kind = described.kind().clone();
                    if types.insert(kind.clone(), described).is_some() {
                        problems.push(format!("aggregate type `{kind}` is there twice"));
                    }
                }
            }
        }
        if self.settings.lane_limit == 0 {
            problems.push("lane_limit is 0; at least one command must be able to wait".to_owned());
        }
        if self.settings.attempts == 0 {
            problems.push("attempts is 0; a command needs at least one".to_owned());
        }
        if self.settings.timeout.is_zero() {
            problems.push("timeout is 0; no command could be answered".to_owned());
        }
        problems.extend(self.settings.bounds.problems());
        if self.policy.every == 0 {
            problems.push("snapshot_every is 0; a snapshot needs at least one event".to_owned());
        }
        if self.policy.idle.is_zero() {
            problems.push("snapshot_idle is 0; every event would write a snapshot".to_owned());
        }
        // An aggregate type that is not described well would only seem to be gone.
        if let (true, Some((lock, compatibility))) = (problems.is_empty(), self.lock) {
            let types: Vec<_> = types.values().cloned().collect();
            let broken = lock.check(&types, compatibility).err();
            problems.extend(broken.iter().flat_map(|broken| broken.problems()).map(ToString::to_string));
        }
        if !problems.is_empty() {
            return Err(BuildError { problems });
        }
        let inner = Arc::new_cyclic(|inner| Inner {
            types,
            store: self.store,
            clock: self.clock,
            lanes: Arc::new(Lanes::new(self.settings.lane_limit)),
            cache: Cache::new(self.cache_bytes, self.snapshots.is_some()),
            snapshots: self.snapshots.map(|snapshots| SnapshotWriter::new(snapshots, self.policy, inner.clone())),
            counters: Counters::default(),
            observer: self.observer,
            followers: tokio::sync::Semaphore::new(super::wait::FOLLOWERS),
            settings: self.settings,
        });
        Ok(Dispatcher { inner })
    }
}

impl std::fmt::Debug for DispatcherBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DispatcherBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
