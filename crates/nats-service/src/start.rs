//! Starting an instance: everything checked first, then put together, then subscribed.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use chrono::Utc;
use headwater_core::dispatch::{Dispatcher, DispatcherBuilder};
use headwater_core::store::EventStore;
use headwater_core::{AggregateType, Contract, DescribeError, Name};
use headwater_nats::connect::{Connection, HumanDuration, PermissionViolation};
use headwater_nats::discovery::{Identity, metadata};
use headwater_nats::subject::Subjects;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::about::About;
use crate::auth::Guard;
use crate::circuit_breaker::Circuits;
use crate::counters::Count;
use crate::endpoint::Endpoints;
use crate::health::HealthCheck;
use crate::instance::{Instance, Link, PhaseCell, Strays};
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::presence::Presence;
use crate::probes::Open;
use crate::problem::{Problems, StartError};
use crate::queue_groups::check_name;
use crate::rate_limit::RateLimiter;
use crate::running::RunningService;
use crate::service::{Service, Tune};
use crate::subscriptions::Subscriptions;
use crate::telemetry::ServiceTelemetry;

/// How long the server may take to work off the subscriptions.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(5);

/// The longest description, in bytes; it is part of every answer to INFO.
const MAX_DESCRIPTION: usize = 1024;

impl Service {
    /// Starts an instance that is asked over `connection`, the callers' own: the store has another. When this returns,
    /// requests are taken.
    ///
    /// # Errors
    /// [`StartError::Invalid`] with every problem of the description, before anything is sent;
    /// [`StartError::Disconnected`] when the server does not answer; [`StartError::Forbidden`] when it does not let us
    /// listen for requests; [`StartError::Probes`] when the address of the [`Probes`](crate::Probes) cannot be had.
    pub async fn start(self, connection: Connection) -> Result<RunningService, StartError> {
        let drain_timeout = self.drain_timeout;
        let probes = self.probes.clone();
        let instance = Arc::new(self.build(connection)?);
        let probes = match probes {
            Some(probes) => Some(probes.open(&instance).await?),
            None => None,
        };
        if let Some(auth) = &instance.auth {
            auth.watch();
        }
        if let Some(telemetry) = &instance.telemetry {
            telemetry.observe(&instance);
        }
        let mut violations = instance.connection.permission_violations();
        let link = instance.relink();
        let subscribing = instance.connection.guard(Subscriptions::make(&instance, &link.client, true)).await?;
        let subscriptions = subscribing.map_err(|_| StartError::NotSubscribed)?;
        // Once the server has worked off what was sent, it has also said what it does not permit. A round trip would not do:
        // whatever the server says counts as its answer, a message that was under way included.
        instance.connection.flush(SUBSCRIBED_WITHIN).await?;
        refused(&instance, &mut violations)?;

        let (leave, abort) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, end) = watch::channel(None);
        let probes_address = probes.as_ref().map(Open::started);
        let tokens = [leave.clone(), abort.clone()];
        let presence = Presence::new(Arc::clone(&instance), drain_timeout, tokens, stopped, probes);
        tokio::spawn(presence.run(link.generation, subscriptions));
        tracing::info!(service = %instance.name(), instance = instance.id, version = instance.version, "taking requests");
        Ok(RunningService { instance, leave, abort, stopped: end, probes_address })
    }

    /// Checks everything and puts the parts together.
    fn build(self, connection: Connection) -> Result<Instance, StartError> {
        let features = self.features().join(",");
        let mut problems = Problems::default();
        let name =
            Name::new(self.name.clone()).map_err(|error| problems.add("name", &self.name, error.to_string())).ok();
        if let Err(error) = semver::Version::parse(&self.version) {
            problems.add("version", &self.version, format!("is not a semantic version: {error}"));
        }
        self.check_texts(&mut problems);
        self.limits.check(&mut problems);
        if let Some(probes) = &self.probes {
            probes.check(&mut problems);
        }
        let described: Option<Vec<_>> = self.types.iter().map(|described| described.as_ref().ok()).collect();
        self.rate_limit.check(described.as_deref(), &mut problems);
        let circuits = Circuits::of(self.circuit_breaker, &self.dependencies, &mut problems);
        if self.store.is_none() {
            problems.add("store", &"", "a service needs an event store");
        }
        let store = self.store.map(|store| circuits.iter().fold(store, |store, circuits| circuits.guard(store)));
        let telemetry = self.telemetry.as_ref().zip(name.clone()).zip(store.as_ref());
        let telemetry =
            telemetry.map(|((telemetry, name), store)| ServiceTelemetry::new(telemetry, name, store.name()));
        let (store, mut tune) = (store, self.tune);
        let store = store.map(|store| telemetry.iter().fold(store, |store, telemetry| telemetry.watch_store(store)));
        if let Some(telemetry) = &telemetry {
            let observer = telemetry.observer(self.types.iter().flatten());
            tune.push(Box::new(move |dispatcher| dispatcher.observer(observer)));
        }
        let dispatcher = store.map(|store| dispatcher(store, self.types, tune, &self.limits, &mut problems));
        problems.none()?;
        let (Some(name), Some(Some(dispatcher))) = (name, dispatcher) else {
            unreachable!("without problems there are a name and a dispatcher");
        };

        let subjects = Subjects::new(name.clone());
        let types: Vec<_> = dispatcher.types().cloned().collect();
        let contract = Contract::of(&name, &self.version, &types);
        let groups = (&self.queue_groups, self.queue_group.as_deref());
        let endpoints = Endpoints::of(&subjects, dispatcher.types(), contract.fingerprint(), &self.limits, groups);
        self.queue_groups.check(&endpoints, &mut problems);
        self.limits.check_names(&endpoints, &mut problems);
        self.layers.check(&endpoints, &mut problems);
        let auth = self.auth.and_then(|auth| Guard::open(auth, &endpoints, &mut problems));
        problems.none()?;
        let id = Uuid::now_v7().simple().to_string();
        let mut own = self.metadata;
        own.insert(metadata::CONTRACT.to_owned(), contract.fingerprint().to_owned());
        own.insert(metadata::HEADWATER.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        own.insert(metadata::FEATURES.to_owned(), features);
        let identity =
            Identity { name: name.to_string(), id: id.clone(), version: self.version.clone(), metadata: own };
        let listed = endpoints.iter().map(|endpoint| endpoint.info()).collect();
        let about = About::new(identity, &self.description, listed, contract);
        let rate_limiter = self.rate_limit.is_on().then(|| RateLimiter::start(self.rate_limit, &subjects));
        let (generation, client) = connection.current();
        Ok(Instance {
            id,
            version: self.version,
            subjects,
            queue_group: self.queue_group,
            commands: Arc::new(Semaphore::new(self.limits.in_flight)),
            queries: Arc::new(Semaphore::new(self.limits.in_flight)),
            waiting: Arc::new(Semaphore::new(self.limits.waiting())),
            stack: self.layers.stack(),
            auth: auth.map(Arc::new),
            rate_limiter,
            circuits,
            accepts: self.limits.request(),
            limits: self.limits,
            started: Utc::now(),
            endpoints,
            about,
            health: HealthCheck::default(),
            dispatcher,
            connection,
            telemetry,
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

    /// The features that are switched on, as discovery lists them.
    fn features(&self) -> Vec<&'static str> {
        let features = [
            ("limits", true),
            ("queue-group", self.queue_group.is_some() || !self.queue_groups.is_empty()),
            ("snapshots", self.has_snapshots),
            ("probes", self.probes.is_some()),
            ("telemetry", self.telemetry.is_some()),
            ("rate-limit", self.rate_limit.is_on()),
            ("circuit-breaker", self.circuit_breaker.is_some() || !self.dependencies.is_empty()),
            ("auth", self.auth.is_some()),
            ("layers", !self.layers.is_empty()),
        ];
        features.into_iter().filter_map(|(feature, is_on)| is_on.then_some(feature)).collect()
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
        if let Some(group) = &self.queue_group {
            check_name("queue_group", group, problems);
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
    let mut builder = bounded(Dispatcher::builder_shared(store), limits);
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

/// The dispatcher within these limits. What is wrong with them has been said already.
fn bounded(mut builder: DispatcherBuilder, limits: &Limits) -> DispatcherBuilder {
    builder = builder.lane_limit(limits.lane.max(1)).timeout(limits.default_deadline.get());
    if let Some(time) = limits.handler_timeout.map(HumanDuration::get).filter(|time| !time.is_zero()) {
        builder = builder.handler_timeout(time);
    }
    if let Some(bytes) = limits.max_event_size {
        builder = builder.max_event_size(bytes.max(1));
    }
    if let Some(events) = limits.max_events {
        builder = builder.max_events(events.max(1));
    }
    builder
}

/// Whether the server has refused one of the subscriptions that requests come by. Without discovery a service still works.
fn refused(instance: &Instance, violations: &mut broadcast::Receiver<PermissionViolation>) -> Result<(), StartError> {
    let apart = instance.endpoints.apart().map(|endpoint| endpoint.subject.clone());
    let needed: Vec<_> = [instance.subjects.commands(), instance.subjects.queries()].into_iter().chain(apart).collect();
    while let Ok(PermissionViolation { subject, subscription, .. }) = violations.try_recv() {
        if subscription && needed.contains(&subject) {
            return Err(StartError::Forbidden { subject });
        }
    }
    Ok(())
}
