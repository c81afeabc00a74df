//! Whether the instance works: asked at most once a second, however often it is to tell.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_core::store::EventStore;
use headwater_nats::discovery::{Check, Health, HealthStatus};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::circuit_breaker::Circuits;
use crate::instance::{Instance, Phase};

/// How long a check of the store holds good.
const FRESH: Duration = Duration::from_secs(1);

/// How long a check of the store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last check of the store. Whoever asks while one is under way waits for that one.
#[derive(Debug, Default)]
pub(crate) struct HealthCheck {
    store: Mutex<Option<(Instant, Check)>>,
}

impl HealthCheck {
    async fn store(&self, store: &dyn EventStore) -> Check {
        let mut last = self.store.lock().await;
        if let Some((at, check)) = &*last
            && at.elapsed() < FRESH
        {
            return check.clone();
        }
        let check = match timeout(PATIENCE, store.check()).await {
            Ok(Ok(())) => Check::ok(),
            Ok(Err(error)) => Check::failed(error.to_string()),
            Err(_) => Check::failed(format!("no answer within {PATIENCE:?}")),
        };
        *last = Some((Instant::now(), check.clone()));
        check
    }
}

impl Instance {
    /// How the instance is doing. Returns within a few seconds.
    pub(crate) async fn health(&self) -> Health {
        // The watchdog's answer; the client itself says "connected" also when it is dead.
        let nats =
            if self.connection.healthy() { Check::ok() } else { Check::failed(self.connection.status().to_string()) };
        let store = self.health.store(&**self.dispatcher.store()).await;
        let mut checks = BTreeMap::from([("nats".to_owned(), nats), ("store".to_owned(), store)]);
        checks.extend(self.circuits.iter().flat_map(Circuits::health));
        let mut health = Health::of_checks(self.id.clone(), self.version.clone(), checks);
        if self.phase.get() != Phase::Serving {
            health.status = HealthStatus::Draining;
        }
        health
    }
}
