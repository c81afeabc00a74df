//! What a connection's handles and its supervisor both look at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
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

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ears: Ears,
    pub(crate) jetstream: JetStreamConfig,
    pub(crate) round_trip_limit: Duration,
    /// How old the last answer may be while the connection still counts as healthy.
    pub(crate) stale_after: Duration,
    current: RwLock<(u64, Client)>,
    pub(crate) generation: watch::Sender<u64>,
    pub(crate) status: watch::Sender<ConnectionStatus>,
    pub(crate) epoch: watch::Sender<Epoch>,
    last_answer: Mutex<Option<(Instant, Duration)>>,
    /// Whether the last round trip failed.
    unanswered: AtomicBool,
    /// Somebody suspects that the client is dead.
    pub(crate) suspicion: Notify,
    /// Somebody wants the connection closed.
    pub(crate) closing: CancellationToken,
}

impl Shared {
    pub(crate) fn new(ears: Ears, client: Client, jetstream: JetStreamConfig, watchdog: &WatchdogConfig) -> Arc<Self> {
        let limit = watchdog.timeout.get();
        Arc::new(Self {
            ears,
            jetstream,
            round_trip_limit: limit,
            stale_after: watchdog.interval.get() + 2 * limit + Duration::from_secs(1),
            current: RwLock::new((1, client)),
            generation: watch::Sender::new(1),
            status: watch::Sender::new(ConnectionStatus::Connecting { since: Utc::now() }),
            epoch: watch::Sender::new(Epoch { number: 0, up: false }),
            last_answer: Mutex::new(None),
            unanswered: AtomicBool::new(false),
            suspicion: Notify::new(),
            closing: CancellationToken::new(),
        })
    }

    pub(crate) fn current(&self) -> (u64, Client) {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a new client in the place of the old one and tells everybody.
    pub(crate) fn replace(&self, client: Client) -> u64 {
        let generation = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            *current = (current.0 + 1, client);
            current.0
        };
        self.generation.send_replace(generation);
        generation
    }

    pub(crate) fn answered(&self, round_trip: Duration) {
        *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), round_trip));
        self.unanswered.store(false, Ordering::Relaxed);
    }

    pub(crate) fn unanswered(&self) {
        self.unanswered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.epoch.borrow().up
    }

    pub(crate) fn is_healthy(&self) -> bool {
        let fresh = self.last_answer().is_some_and(|(at, _)| at.elapsed() <= self.stale_after);
        self.is_up() && fresh && !self.unanswered.load(Ordering::Relaxed)
    }

    pub(crate) fn last_answer(&self) -> Option<(Instant, Duration)> {
        *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests work from now on.
    pub(crate) fn up(&self, status: ConnectionStatus) {
        self.epoch.send_if_modified(|epoch| !std::mem::replace(&mut epoch.up, true));
        self.set(status);
    }

    /// Requests under way have failed; new ones will fail at once.
    pub(crate) fn down(&self, status: ConnectionStatus) {
        self.epoch.send_modify(|epoch| *epoch = Epoch { number: epoch.number + 1, up: false });
        self.set(status);
    }

    /// Says why the connection is still down, without changing since when.
    pub(crate) fn explain(&self, reason: String) {
        let current = self.status.borrow().clone();
        if let ConnectionStatus::Disconnected { since, .. } = current {
            self.set(ConnectionStatus::Disconnected { since, reason });
        }
    }

    /// Publishes a status, and logs it if it is news.
    pub(crate) fn set(&self, status: ConnectionStatus) {
        self.status.send_if_modified(|old| {
            if *old == status {
                return false;
            }
            let connection = self.ears.connection.as_str();
            if status.is_connected() || status == ConnectionStatus::Closed {
                info!(connection, "{status}");
            } else {
                warn!(connection, "{status}");
            }
            *old = status;
            true
        });
    }
}
