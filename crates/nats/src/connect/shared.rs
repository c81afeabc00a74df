//! What a connection's handles and its supervisor both look at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_nats::Client;
use chrono::Utc;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::config::{JetStreamConfig, WatchdogConfig};
use super::link::Ears;
use super::status::ConnectionStatus;

/// Whether the connection works, and a number that changes whenever it has stopped working in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) number: u64,
    pub(crate) up: bool,
}

/// What the server's last answers tell.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    last: Option<Instant>,
    round_trip: Option<Duration>,
    /// Whether it failed to answer since.
    missed: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ears: Ears,
    pub(crate) jetstream: JetStreamConfig,
    /// Messages one subscription may hold.
    pub(crate) capacity: usize,
    pub(crate) round_trip_limit: Duration,
    /// How old the last answer may be while the connection still counts as healthy.
    pub(crate) stale_after: Duration,
    current: RwLock<Arc<(u64, Client)>>,
    pub(crate) generation: watch::Sender<u64>,
    pub(crate) statuses: watch::Sender<ConnectionStatus>,
    pub(crate) epoch: watch::Sender<Epoch>,
    answers: Mutex<Answers>,
    /// Somebody suspects that the client is dead.
    pub(crate) suspicion: Notify,
    /// Somebody wants the connection closed.
    pub(crate) closing: CancellationToken,
}

impl Shared {
    pub(crate) fn new(
        ears: Ears,
        client: Client,
        jetstream: JetStreamConfig,
        capacity: usize,
        watchdog: &WatchdogConfig,
    ) -> Arc<Self> {
        let limit = watchdog.timeout.get();
        Arc::new(Self {
            ears,
            jetstream,
            capacity,
            round_trip_limit: limit,
            stale_after: watchdog.interval.get() + 2 * limit + Duration::from_secs(1),
            current: RwLock::new(Arc::new((1, client))),
            generation: watch::Sender::new(1),
            statuses: watch::Sender::new(ConnectionStatus::Connecting { since: Utc::now(), reason: None }),
            epoch: watch::Sender::new(Epoch { number: 0, up: false }),
            answers: Mutex::new(Answers::default()),
            suspicion: Notify::new(),
            closing: CancellationToken::new(),
        })
    }

    pub(crate) fn current(&self) -> Arc<(u64, Client)> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new client in the place of the old one and tells everybody.
    pub(crate) fn replace(&self, client: Client) -> u64 {
        let generation = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::new((current.0 + 1, client));
            current.0
        };
        self.generation.send_replace(generation);
        generation
    }

    /// The server has answered, while connecting (`None`) or to a round trip that took so long.
    pub(crate) fn answered(&self, round_trip: Option<Duration>) {
        let mut answers = self.answers();
        *answers = Answers { last: Some(Instant::now()), round_trip: round_trip.or(answers.round_trip), missed: false };
    }

    pub(crate) fn unanswered(&self) {
        self.answers().missed = true;
    }

    pub(crate) fn last_round_trip(&self) -> Option<Duration> {
        self.answers().round_trip
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> ConnectionStatus {
        self.statuses.borrow().clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.epoch.borrow().up
    }

    pub(crate) fn is_healthy(&self) -> bool {
        let answers = *self.answers();
        let fresh = answers.last.is_some_and(|at| at.elapsed() <= self.stale_after);
        self.is_up() && fresh && !answers.missed
    }

    /// Requests work from now on.
    pub(crate) fn up(&self, status: ConnectionStatus) {
        // The status last: whoever waits for it starts work at once.
        self.epoch.send_if_modified(|epoch| !std::mem::replace(&mut epoch.up, true));
        self.set(status);
    }

    /// Requests under way have failed; new ones will fail at once.
    pub(crate) fn down(&self, status: ConnectionStatus) {
        // The reason first: whoever learns of the drop asks for it.
        self.set(status);
        self.epoch.send_modify(|epoch| *epoch = Epoch { number: epoch.number + 1, up: false });
    }

    /// Says why the connection is still down, without changing since when.
    pub(crate) fn explain(&self, reason: String) {
        match self.status() {
            ConnectionStatus::Disconnected { since, .. } => self.set(ConnectionStatus::Disconnected { since, reason }),
            ConnectionStatus::Connecting { since, .. } => {
                self.set(ConnectionStatus::Connecting { since, reason: Some(reason) });
            }
            _ => {}
        }
    }

    /// Publishes a status, and logs it if it is news.
    pub(crate) fn set(&self, status: ConnectionStatus) {
        let line = status.to_string();
        let is_good = status.is_connected() || status == ConnectionStatus::Closed;
        let is_news = self.statuses.send_if_modified(|current| {
            let is_news = *current != status;
            *current = status;
            is_news
        });
        let connection = self.ears.connection.as_str();
        match (is_news, is_good) {
            (true, true) => info!(connection, "{line}"),
            (true, false) => warn!(connection, "{line}"),
            (false, _) => {}
        }
    }
}
