//! Describing a service and starting an instance of it.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use chrono::Utc;
use headwater_core::dispatch::{Dispatcher, DispatcherBuilder};
use headwater_core::store::{EventStore, SnapshotStore};
use headwater_core::{AggregateType, Clock, Contract, DescribeError, Described, Name};
use headwater_nats::connect::{Connection, PermissionViolation};
use headwater_nats::discovery::{Identity, Metadata, metadata};
use headwater_nats::subject::Subjects;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::about::About;
use crate::counters::Count;
use crate::endpoint::Endpoints;
use crate::health::HealthCheck;
use crate::instance::{Instance, Link, PhaseCell, Strays};
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::presence::Presence;
use crate::problem::{Problems, StartError};
use crate::running::RunningService;
use crate::subscriptions::Subscriptions;

/// The queue group of a service that names none, as ADR-32 has it.
const DEFAULT_QUEUE_GROUP: &str = "q";

/// The longest description, in bytes; it is part of every answer to INFO.
const MAX_DESCRIPTION: usize = 1024;

/// Describes a service; [`start`](Self::start) runs an instance of it. See the [crate](crate) for an example.
#[must_use]
pub struct Service {
    name: String,
    version: String,
    description: String,
    metadata: Metadata,
    queue_group: Option<String>,
    types: Vec<Result<AggregateType, DescribeError>>,
    store: Option<Arc<dyn EventStore>>,
    limits: Limits,
    drain_timeout: Duration,
    has_snapshots: bool,
    tune: Vec<Tune>,
}

/// A setting that goes to the dispatcher.
type Tune = Box<dyn FnOnce(DispatcherBuilder) -> DispatcherBuilder + Send>;

impl Service {
    /// Describes the service called `name`, at `version` (semver).
    pub fn builder(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            metadata: Metadata::new(),
            queue_group: Some(DEFAULT_QUEUE_GROUP.to_owned()),
            types: Vec::new(),
            store: None,
            limits: Limits::default(),
            drain_timeout: Duration::from_secs(10),
            has_snapshots: false,
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

    /// After how many events a snapshot is written; 32 by default. One is also written when an aggregate goes idle, leaves
    /// the cache, or the instance is drained.
    pub fn snapshot_every(self, events: u64) -> Self {
        self.tune(move |dispatcher| dispatcher.snapshot_every(events))
    }

    /// For how long after an aggregate in memory was last known to be the newest a query is answered from it without asking
    /// the store. None by default: a query sees what any instance has committed before it.
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

    /// How long draining waits for what is under way; 10 s by default.
    pub fn drain_timeout(mut self, time: Duration) -> Self {
        self.drain_timeout = time;
        self
    }

    fn tune(mut self, tune: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder + Send + 'static) -> Self {
        self.tune.push(Box::new(tune));
        self
    }

    /// Starts an instance that is asked over `connection`, the callers' own: the store has another. When this returns,
    /// requests are taken.
    ///
    /// # Errors
    /// [`StartError::Invalid`] with every problem of the description, before anything is sent;
    /// [`StartError::Disconnected`] when the server does not answer; [`StartError::Forbidden`] when it does not let us
    /// listen for requests.
    pub async fn start(self, connection: Connection) -> Result<RunningService, StartError> {
        let drain_timeout = self.drain_timeout;
        let instance = Arc::new(self.build(connection)?);
        let mut violations = instance.connection.permission_violations();
        let link = instance.relink();
        let subscribing = instance.connection.guard(Subscriptions::make(&instance, &link.client)).await?;
        let subscriptions = subscribing.map_err(|_| StartError::NotSubscribed)?;
        // Once the server has answered, it has also said what it does not permit.
        instance.connection.round_trip().await?;
        refused(&instance, &mut violations)?;

        let (leave, abort) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, end) = watch::channel(None);
        let presence = Presence::new(Arc::clone(&instance), drain_timeout, [leave.clone(), abort.clone()], stopped);
        tokio::spawn(presence.run(link.generation, subscriptions));
        tracing::info!(service = %instance.name(), instance = instance.id, version = instance.version, "taking requests");
        Ok(RunningService { instance, leave, abort, stopped: end })
    }

    /// Checks everything and puts the parts together.
    fn build(self, connection: Connection) -> Result<Instance, StartError> {
        let mut problems = Problems::default();
        let name =
            Name::new(self.name.clone()).map_err(|error| problems.add("name", &self.name, error.to_string())).ok();
        if let Err(error) = semver::Version::parse(&self.version) {
            problems.add("version", &self.version, format!("is not a semantic version: {error}"));
        }
        self.check_texts(&mut problems);
        self.limits.check(&mut problems);
        if self.store.is_none() {
            problems.add("store", &"", "a service needs an event store");
        }
        let dispatcher = self.store.map(|store| dispatcher(store, self.types, self.tune, &self.limits, &mut problems));
        problems.none()?;
        let (Some(name), Some(Some(dispatcher))) = (name, dispatcher) else {
            unreachable!("without problems there are a name and a dispatcher");
        };

        let subjects = Subjects::new(name.clone());
        let types: Vec<_> = dispatcher.types().cloned().collect();
        let contract = Contract::of(&name, &self.version, &types);
        let endpoints = Endpoints::of(&subjects, dispatcher.types(), contract.fingerprint());
        let id = Uuid::now_v7().simple().to_string();
        let mut own = self.metadata;
        own.insert(metadata::CONTRACT.to_owned(), contract.fingerprint().to_owned());
        own.insert(metadata::HEADWATER.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        own.insert(metadata::FEATURES.to_owned(), features(self.queue_group.as_deref(), self.has_snapshots));
        let identity =
            Identity { name: name.to_string(), id: id.clone(), version: self.version.clone(), metadata: own };
        let group = self.queue_group.as_deref().unwrap_or_default();
        let listed = endpoints.iter().map(|endpoint| endpoint.info(group)).collect();
        let about = About::new(identity, &self.description, listed, contract);
        let (generation, client) = connection.current();
        Ok(Instance {
            id,
            version: self.version,
            subjects,
            queue_group: self.queue_group,
            commands: Arc::new(Semaphore::new(self.limits.in_flight)),
            queries: Arc::new(Semaphore::new(self.limits.in_flight)),
            limits: self.limits,
            started: Utc::now(),
            endpoints,
            about,
            health: HealthCheck::default(),
            dispatcher,
            connection,
            link: RwLock::new(Arc::new(Link { generation, client })),
            strays: Strays::default(),
            outbox: Outbox::default(),
            tasks: TaskTracker::new(),
            questions: TaskTracker::new(),
            give_up: CancellationToken::new(),
            phase: PhaseCell::default(),
            answered: Count::default(),
            given_up: Count::default(),
        })
    }

    fn check_texts(&self, problems: &mut Problems) {
        if self.description.len() > MAX_DESCRIPTION {
            problems.add("description", &self.description, format!("is longer than {MAX_DESCRIPTION} bytes"));
        }
        for key in self.metadata.keys() {
            if [metadata::CONTRACT, metadata::HEADWATER, metadata::FEATURES].contains(&key.as_str()) {
                problems.add("metadata", key, "is written by the service itself");
            } else if key.is_empty() || key.starts_with("_nats") {
                problems.add("metadata", key, "must not be empty or start with `_nats`");
            }
        }
        if let Some(group) = self.queue_group.as_deref().filter(|group| !is_queue_group(group)) {
            problems.add("queue_group", &group, "must be tokens of printable ASCII joined by dots, without wildcards");
        }
    }
}

/// The dispatcher of these aggregate types; none when there is a problem with it.
fn dispatcher(
    store: Arc<dyn EventStore>,
    types: Vec<Result<AggregateType, DescribeError>>,
    tune: Vec<Tune>,
    limits: &Limits,
    problems: &mut Problems,
) -> Option<Dispatcher> {
    let mut builder = Dispatcher::builder_shared(store).lane_limit(limits.lane.max(1)).timeout(limits.default_deadline);
    let mut broken = false;
    for described in types {
        match described {
            Ok(described) => builder = builder.aggregate_type(described),
            Err(error) => {
                broken = true;
                problems.add("aggregate", &"", error.to_string());
            }
        }
    }
    match tune.into_iter().fold(builder, |builder, tune| tune(builder)).build() {
        Ok(dispatcher) => Some(dispatcher),
        Err(error) => {
            // With a broken description left out there may be none left; that is no problem of its own.
            let own =
                error.problems().iter().filter(|problem| !(broken && problem.contains("there are no aggregate types")));
            own.for_each(|problem| problems.add("aggregates", &"", problem.clone()));
            None
        }
    }
}

/// The features that are switched on, as discovery lists them.
fn features(queue_group: Option<&str>, snapshots: bool) -> String {
    let features = ["limits"].into_iter().chain(queue_group.map(|_| "queue-group"));
    let features = features.chain(snapshots.then_some("snapshots"));
    features.collect::<Vec<_>>().join(",")
}

fn is_queue_group(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
    name.len() <= 128 && name.split('.').all(|token| !token.is_empty()) && name.bytes().all(plain)
}

/// Whether the server has refused one of the subscriptions that requests come by. Without discovery a service still works.
fn refused(instance: &Instance, violations: &mut broadcast::Receiver<PermissionViolation>) -> Result<(), StartError> {
    let needed = [instance.subjects.commands(), instance.subjects.queries()];
    while let Ok(PermissionViolation { subject, subscription, .. }) = violations.try_recv() {
        if subscription && needed.contains(&subject) {
            return Err(StartError::Forbidden { subject });
        }
    }
    Ok(())
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
