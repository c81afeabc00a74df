//! The handle to a running instance.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_core::Contract;
use headwater_core::dispatch::Dispatcher;
use headwater_nats::discovery::{Health, Info};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::instance::{Instance, Phase};
use crate::stats::ServiceStats;

/// A running instance of a service. Dropping it stops the instance at once: what is under way is given up, and its callers
/// are told that the outcome is unknown. [`drain`](Self::drain) is the gentle way.
#[derive(Debug)]
#[must_use = "dropping it stops the service"]
pub struct RunningService {
    pub(crate) instance: Arc<Instance>,
    pub(crate) leave: CancellationToken,
    pub(crate) abort: CancellationToken,
    pub(crate) stopped: watch::Receiver<Option<Stopped>>,
    pub(crate) probes_address: Option<SocketAddr>,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// It was drained.
    Drained(DrainReport),
    /// Its handle was dropped.
    Dropped,
    /// Its connection was closed, or died and could not be replaced.
    ConnectionLost,
}

/// What became of the requests that were there when an instance was drained.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Requests answered since the draining began.
    pub answered: u64,
    /// Requests that were not done in time. Their callers were told: 503 `outcome-unknown` for commands, 503 `unavailable`
    /// for queries.
    pub abandoned: u64,
    /// Whether the server confirmed, after the last answer, that everything sent had arrived.
    pub flushed: bool,
    /// How long it took.
    pub took: Duration,
}

impl RunningService {
    /// The instance's id in discovery, unique among all instances.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.instance.id
    }

    /// What discovery says about the instance: name, version, endpoints, metadata.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.instance.about.info
    }

    /// What the service can be asked: the document of `{service}.schema`, with its fingerprint.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.instance.about.contract
    }

    /// What the instance has done so far.
    #[must_use]
    pub fn stats(&self) -> ServiceStats {
        self.instance.stats()
    }

    /// Sets the numbers of endpoints back to zero. Requests under way stay counted as such.
    pub fn reset_stats(&self) {
        self.instance.reset_stats();
    }

    /// How the instance is doing. The store is asked at most once a second.
    pub async fn health(&self) -> Health {
        self.instance.health().await
    }

    /// Where the [`Probes`](crate::Probes) are answered, with the port that was given for port 0; none when they are off.
    #[must_use]
    pub fn probes_address(&self) -> Option<SocketAddr> {
        self.probes_address
    }

    /// The dispatcher behind the endpoints: also a way to call the service without a server between.
    #[must_use]
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.instance.dispatcher
    }

    /// Waits until the instance has ended.
    pub async fn stopped(&self) -> Stopped {
        let mut stopped = self.stopped.clone();
        let end = stopped.wait_for(Option::is_some).await;
        // Without a sender the runtime is going down, and the task that sends with it.
        end.ok().and_then(|end| end.clone()).unwrap_or(Stopped::Dropped)
    }

    /// Ends the instance gently: leaves the queue group, answers every request that has reached it, waits for what is under
    /// way for at most the drain timeout, and returns when the server has taken the last answer. Discovery and health go on
    /// answering until then.
    ///
    /// A request that is not done in time is given up and its caller told so; see [`DrainReport::abandoned`]. The connection
    /// stays open, it may serve others. Calling it again, also at the same time, gives the same report; a dropped call does
    /// not stop the draining.
    pub async fn drain(&self) -> Stopped {
        self.instance.phase.reach(Phase::Leaving);
        self.leave.cancel();
        self.stopped().await
    }
}

impl Drop for RunningService {
    fn drop(&mut self) {
        if self.stopped.borrow().is_none() {
            let (service, instance) = (self.instance.name(), &self.instance.id);
            tracing::warn!(%service, instance, "the service was dropped without being drained");
        }
        self.abort.cancel();
    }
}
