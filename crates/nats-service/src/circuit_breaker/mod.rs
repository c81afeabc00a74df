//! Circuit breakers: what fails or has become slow is left alone for a while, and tried again with a few calls.
//!
//! The circuit itself is `headwater_nats::circuit_breaker`; here is what stands before the event store and the dependencies.

mod dependency;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_core::store::EventStore;
use headwater_core::{Failure, is_name};
use headwater_nats::circuit_breaker::Breaker;
pub use headwater_nats::circuit_breaker::{CircuitBreaker, CircuitState, CircuitStats, Window};
use headwater_nats::discovery::Check;

pub use self::dependency::{Dependency, DependencyError};
use self::store::GuardedStore;
use crate::counters::Count;
use crate::problem::Problems;

/// What the store's circuit is called among those of the service.
const STORE: &str = "store";

/// The circuits of a service.
#[derive(Debug)]
pub(crate) struct Circuits {
    store: Option<Arc<Breaker>>,
    /// Requests that the edge turned away.
    turned_away: Count,
    all: Vec<Arc<Breaker>>,
}

impl Circuits {
    /// None when the service has no circuits. The settings are checked.
    pub(crate) fn of(
        store: Option<CircuitBreaker>,
        dependencies: &[Dependency],
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Some(settings) = &store {
            settings.check("circuit_breaker", problems);
        }
        let mut names = BTreeSet::from([STORE]);
        for dependency in dependencies {
            let name = dependency.name();
            if !is_name(name) {
                problems.add("dependency", &name, "is not a name: lower-case letters, digits and dashes");
            } else if !names.insert(name) {
                problems.add("dependency", &name, "is the name of another circuit");
            }
            dependency.breaker().settings().check(&format!("dependency.{name}"), problems);
        }
        let store = store.map(|settings| Arc::new(Breaker::new(STORE, settings)));
        let others = dependencies.iter().map(|dependency| Arc::clone(dependency.breaker()));
        let all: Vec<_> = store.iter().cloned().chain(others).collect();
        (!all.is_empty()).then_some(Self { store, turned_away: Count::default(), all })
    }

    /// The store behind its circuit, if it has one.
    pub(crate) fn guard(&self, store: Arc<dyn EventStore>) -> Arc<dyn EventStore> {
        match &self.store {
            Some(breaker) => Arc::new(GuardedStore::new(store, Arc::clone(breaker))),
            None => store,
        }
    }

    /// Lets a request through unless the store's circuit is open.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Some(Err(refused)) = self.store.as_ref().map(|store| store.admit()) else { return Ok(()) };
        self.turned_away.add(1);
        let message = "the event store failed or was too slow, and is not asked at the moment";
        Err(Failure::unavailable("circuit-open", message).retry_in(refused.wait))
    }

    /// What health says of each: `circuit` is the store's, `circuit-{name}` another one's.
    pub(crate) fn health(&self) -> impl Iterator<Item = (String, Check)> {
        self.all.iter().map(|breaker| {
            let name = match breaker.name() {
                STORE => "circuit".to_owned(),
                name => format!("circuit-{name}"),
            };
            let (state, wait) = breaker.state();
            let check = match (state, wait) {
                (CircuitState::Open, Some(wait)) => Check::failed(format!("open; the next try is in {wait:.1?}")),
                (state, _) => Check { ok: true, detail: Some(state.to_string()) },
            };
            (name, check)
        })
    }

    /// By name.
    pub(crate) fn stats(&self) -> BTreeMap<String, CircuitStats> {
        self.all.iter().map(|breaker| (breaker.name().to_owned(), breaker.stats())).collect()
    }

    /// How many requests the edge has turned away.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.get()
    }

    pub(crate) fn reset_stats(&self) {
        self.turned_away.reset();
        self.all.iter().for_each(|breaker| breaker.reset_stats());
    }
}
