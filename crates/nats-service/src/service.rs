//! Describing a service.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::dispatch::DispatcherBuilder;
use headwater_core::evolution::{Compatibility, SchemaLock};
use headwater_core::store::{EventStore, SnapshotStore};
use headwater_core::{AggregateType, Clock, DescribeError, Described};
use headwater_nats::discovery::Metadata;
use headwater_nats::telemetry::Telemetry;

use crate::auth::Auth;
use crate::circuit_breaker::{CircuitBreaker, Dependency};
use crate::edge::{Answer, At, Layers, Next, Request};
use crate::limits::Limits;
use crate::probes::Probes;
use crate::queue_groups::QueueGroups;
use crate::rate_limit::RateLimit;

/// The queue group of a service that names none, as ADR-32 has it.
const DEFAULT_QUEUE_GROUP: &str = "q";

/// Describes a service; [`start`](Self::start) runs an instance of it. See the [crate](crate) for an example.
#[must_use]
pub struct Service {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) metadata: Metadata,
    pub(crate) queue_group: Option<String>,
    pub(crate) queue_groups: QueueGroups,
    pub(crate) types: Vec<Result<AggregateType, DescribeError>>,
    pub(crate) store: Option<Arc<dyn EventStore>>,
    pub(crate) limits: Limits,
    pub(crate) drain_timeout: Duration,
    pub(crate) has_snapshots: bool,
    pub(crate) probes: Option<Probes>,
    pub(crate) rate_limit: RateLimit,
    pub(crate) circuit_breaker: Option<CircuitBreaker>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) telemetry: Option<Telemetry>,
    pub(crate) layers: Layers,
    pub(crate) auth: Option<Auth>,
    pub(crate) tune: Vec<Tune>,
}

/// A setting that goes to the dispatcher.
pub(crate) type Tune = Box<dyn FnOnce(DispatcherBuilder) -> DispatcherBuilder + Send>;

impl Service {
    /// Describes the service called `name`, at `version` (semver).
    pub fn builder(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            metadata: Metadata::new(),
            queue_group: Some(DEFAULT_QUEUE_GROUP.to_owned()),
            queue_groups: QueueGroups::default(),
            types: Vec::new(),
            store: None,
            limits: Limits::default(),
            drain_timeout: Duration::from_secs(10),
            has_snapshots: false,
            probes: None,
            rate_limit: RateLimit::default(),
            circuit_breaker: None,
            dependencies: Vec::new(),
            telemetry: None,
            layers: Layers::default(),
            auth: None,
            tune: Vec::new(),
        }
    }

    /// Serves `A`, as it describes itself.
    pub fn aggregate<A: Described<Env = ()>>(self) -> Self {
        self.aggregate_with::<A>(())
    }

    /// Serves `A`, whose handlers ask `env`: the value itself or an `Arc` of it.
    pub fn aggregate_with<A: Described>(mut self, env: impl Into<Arc<A::Env>>) -> Self {
        self.types.push(A::describe(env.into()).build());
        self
    }

    /// Serves an aggregate type described by hand.
    pub fn aggregate_type(mut self, described: AggregateType) -> Self {
        self.types.push(Ok(described));
        self
    }

    /// Keeps the events in `store`. Required.
    pub fn store(self, store: impl EventStore) -> Self {
        self.shared_store(Arc::new(store))
    }

    /// Keeps the events in a store that others use too.
    pub fn shared_store(mut self, store: Arc<dyn EventStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// What the service is for, as discovery tells it; nothing by default.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Adds to the service's metadata in discovery. `contract`, `headwater` and `features` are taken.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The queue group that shares the requests among instances; `q` by default.
    pub fn queue_group(mut self, name: impl Into<String>) -> Self {
        self.queue_group = Some(name.into());
        self
    }

    /// Every instance answers every request. For services whose instances hold different data, and for shadows.
    pub fn no_queue_group(mut self) -> Self {
        self.queue_group = None;
        self
    }

    /// Other queue groups for single aggregate types, commands and queries, and queries that every instance answers.
    pub fn queue_groups(mut self, groups: QueueGroups) -> Self {
        self.queue_groups = groups;
        self
    }

    /// How large, how many, for how long.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps snapshots in `snapshots`: an aggregate that is not in memory then need not be folded from its first event on.
    /// Off by default.
    pub fn snapshots(self, snapshots: impl SnapshotStore) -> Self {
        self.shared_snapshots(Arc::new(snapshots))
    }

    /// The same with a snapshot store that others use too.
    pub fn shared_snapshots(mut self, snapshots: Arc<dyn SnapshotStore>) -> Self {
        self.has_snapshots = true;
        self.tune(move |dispatcher| dispatcher.snapshots_shared(snapshots))
    }

    /// Refuses to start when the aggregate types break what released versions promised. The lock is mostly compiled in:
    /// `SchemaLock::from_json(include_str!("../schema.lock.json"))`.
    pub fn schema_lock(self, lock: SchemaLock, compatibility: Compatibility) -> Self {
        self.tune(move |dispatcher| dispatcher.schema_lock(lock, compatibility))
    }

    /// After how many events a snapshot is written; 32 by default. One is also written when an aggregate goes idle, leaves
    /// the cache, or the instance is drained.
    pub fn snapshot_every(self, events: u64) -> Self {
        self.tune(move |dispatcher| dispatcher.snapshot_every(events))
    }

    /// For how long after an aggregate in memory was last known to be the newest a query is answered from it without asking
    /// the store. None by default: a query sees what any instance has committed before it; on a replicated journal it may
    /// miss the newest events for a moment, unless it names a minimal revision.
    pub fn query_staleness(self, staleness: Duration) -> Self {
        self.tune(move |dispatcher| dispatcher.query_staleness(staleness))
    }

    /// How many bytes of aggregate states to keep in memory, by estimate; 256 MiB by default.
    pub fn cache_bytes(self, bytes: u64) -> Self {
        self.tune(move |dispatcher| dispatcher.cache_bytes(bytes))
    }

    /// How often a command is decided when other instances keep writing to its aggregate; 10 times by default.
    pub fn attempts(self, attempts: u32) -> Self {
        self.tune(move |dispatcher| dispatcher.attempts(attempts))
    }

    /// Tells the time of decisions and events; the system's clock by default.
    pub fn clock(self, clock: impl Clock) -> Self {
        self.tune(move |dispatcher| dispatcher.clock(clock))
    }

    /// Answers the probes of an orchestrator over HTTP, and leaves the queue group while the instance is not ready. Off by
    /// default.
    pub fn probes(mut self, probes: Probes) -> Self {
        self.probes = Some(probes);
        self
    }

    /// Takes only so many requests in so much time. Off by default.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = limit;
        self
    }

    /// Leaves the event store alone for a while when it fails or has become slow, and turns requests away meanwhile. Off by
    /// default.
    pub fn circuit_breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.circuit_breaker = Some(breaker);
        self
    }

    /// Shows in statistics and health how the circuit of something is that handlers ask. They are given a clone of it.
    pub fn dependency(mut self, dependency: &Dependency) -> Self {
        self.dependencies.push(dependency.clone());
        self
    }

    /// Asks who is calling, and lets them do only what a rule allows. The user and the tenant of stored events are then the
    /// verified ones. Off by default: everybody may do everything, and is whom they say they are.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Records traces and metrics for OpenTelemetry: each call with what is loaded, decided and appended for it. Off by default.
    /// Events then name the span that appended them as their `traceparent`, and otherwise the caller's.
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Puts a [`tower::Layer`] before or after a stage of the edge, for the whole service or for one command or query. What was
    /// added first is met first. Layers that belong together, such as tower's load shed and concurrency limit, are one layer
    /// made with `tower::ServiceBuilder`. See [`edge`](crate::edge).
    pub fn layer<L>(mut self, at: At, layer: L) -> Self
    where
        L: tower::Layer<Next> + Send + 'static,
        L::Service: tower::Service<Request, Response = Answer> + Clone + Send + Sync + 'static,
        <L::Service as tower::Service<Request>>::Error: Into<tower::BoxError>,
        <L::Service as tower::Service<Request>>::Future: Send + 'static,
    {
        self.layers.add(at, layer);
        self
    }

    /// How long draining waits for what is under way; 10 s by default.
    pub fn drain_timeout(mut self, time: Duration) -> Self {
        self.drain_timeout = time;
        self
    }

    fn tune(mut self, tune: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder + Send + 'static) -> Self {
        self.tune.push(Box::new(tune));
        self
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
