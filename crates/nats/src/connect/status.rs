//! How a connection is doing, for people and for programs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// How a connection is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// Not connected yet; trying in the background.
    #[non_exhaustive]
    Connecting {
        /// When the first try began.
        since: DateTime<Utc>,
        /// What stood in the way so far.
        reason: Option<String>,
    },
    /// A round trip to the server has succeeded since the connection was last made.
    #[non_exhaustive]
    Connected {
        /// The server's name.
        server: String,
        /// The server's version.
        version: String,
    },
    /// The connection dropped; the client is connecting again and will keep its subscriptions.
    #[non_exhaustive]
    Disconnected {
        /// When it dropped.
        since: DateTime<Utc>,
        /// Why, as far as it is known.
        reason: String,
    },
    /// The client was given up; another takes its place. Subscriptions of the old one have ended.
    #[non_exhaustive]
    Rebuilding {
        /// When the old one was given up.
        since: DateTime<Utc>,
        /// Why, or what stood in the way of the last try to replace it.
        reason: String,
    },
    /// The client has died and cannot be replaced, because it was handed in ready made.
    #[non_exhaustive]
    Lost {
        /// When it was noticed.
        since: DateTime<Utc>,
        /// What was noticed.
        reason: String,
    },
    /// Closed on purpose.
    Closed,
}

impl ConnectionStatus {
    /// Whether requests can be expected to work.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    /// Whether the connection will never work again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Closed)
    }
}

impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting { reason: None, .. } => f.write_str("connecting"),
            Self::Connecting { reason: Some(reason), .. } => write!(f, "connecting: {reason}"),
            Self::Connected { server, version } => write!(f, "connected to {server}, version {version}"),
            Self::Disconnected { reason, .. } => write!(f, "disconnected: {reason}"),
            Self::Rebuilding { reason, .. } => write!(f, "being rebuilt: {reason}"),
            Self::Lost { reason, .. } => write!(f, "lost: {reason}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

/// What has happened to a connection since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Clients there have been, the first included.
    pub generation: u64,
    /// Times the connection dropped.
    pub disconnects: u64,
    /// Times a client connected again by itself.
    pub reconnects: u64,
    /// Times a client was replaced by a new one.
    pub rebuilds: u64,
    /// Round trips to the server that failed.
    pub watchdog_failures: u64,
    /// Messages dropped because a subscription was full.
    pub slow_consumers: u64,
    /// Publishes and subscriptions the server did not permit.
    pub permission_violations: u64,
    /// Other errors the server reported.
    pub server_errors: u64,
    /// How long the last successful round trip took; under load a lower bound.
    #[serde(skip)]
    pub last_round_trip: Option<Duration>,
}

/// The numbers behind [`ConnectionStats`], counted from several tasks.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) disconnects: Counter,
    pub(crate) reconnects: Counter,
    pub(crate) rebuilds: Counter,
    pub(crate) watchdog_failures: Counter,
    pub(crate) slow_consumers: Counter,
    pub(crate) permission_violations: Counter,
    pub(crate) server_errors: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, generation: u64, last_round_trip: Option<Duration>) -> ConnectionStats {
        ConnectionStats {
            generation,
            disconnects: self.disconnects.get(),
            reconnects: self.reconnects.get(),
            rebuilds: self.rebuilds.get(),
            watchdog_failures: self.watchdog_failures.get(),
            slow_consumers: self.slow_consumers.get(),
            permission_violations: self.permission_violations.get(),
            server_errors: self.server_errors.get(),
            last_round_trip,
        }
    }
}

/// A number that only grows and orders nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one and returns the new value.
    pub(crate) fn increment(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
