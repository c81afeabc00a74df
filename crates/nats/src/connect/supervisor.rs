//! The task that owns a connection: it watches the client, fails what is under way when the connection drops, and
//! replaces a client that has died.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::backoff;
use super::config::{NatsConfig, WatchdogConfig};
use super::link::{Ended, Link};
use super::probe::{self, ProbeError};
use super::shared::Shared;
use super::status::ConnectionStatus;

/// The least time between two clients. One that dies sooner may be killed by what awaits it on a subscription, and must
/// not come back in a hot loop; whoever sends poison ten times a second must not keep the connection away, either.
const SHORTEST_LIFE: Duration = Duration::from_millis(50);

/// How often a client that does not report by itself is looked at.
const GLANCE: Duration = Duration::from_millis(250);

/// Longest wait for a client to close, and for one that is given up to be told so.
const FAREWELL: Duration = Duration::from_secs(1);

/// The reason where neither the server nor the client gives one.
const LOST: &str = "the connection to the server was lost";

pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    link: Link,
    watchdog: WatchdogConfig,
    /// How to make another client; `None` for one that was handed in.
    config: Option<NatsConfig>,
    connected: bool,
    drops: u64,
    /// Round trips that failed in a row.
    failures: u32,
    next_probe: Instant,
    born: Instant,
}

/// What happened next.
enum Next {
    Closing,
    News,
    Ended,
    /// Time to look at the client.
    Due,
    Answered(Duration),
    Silent(ProbeError),
}

impl Supervisor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        mut link: Link,
        watchdog: WatchdogConfig,
        config: Option<NatsConfig>,
    ) -> Self {
        let now = Instant::now();
        let state = link.state();
        Self {
            shared,
            link,
            watchdog,
            config,
            connected: state.connected,
            drops: state.drops,
            failures: 0,
            next_probe: now,
            born: now,
        }
    }

    /// Runs until the connection is closed, or until nobody is left who holds it (`abandoned`).
    pub(crate) async fn run(mut self, abandoned: CancellationToken) {
        tokio::select! {
            () = abandoned.cancelled() => debug!(connection = self.shared.ears.connection, "no longer supervised"),
            () = self.supervise() => {}
        }
    }

    async fn supervise(&mut self) {
        let mut next = Next::News;
        loop {
            next = match next {
                Next::Closing => return self.close().await,
                Next::News => {
                    self.look();
                    self.wait().await
                }
                Next::Due => {
                    self.look();
                    self.probe().await
                }
                Next::Answered(round_trip) => {
                    self.answered(round_trip);
                    self.wait().await
                }
                Next::Silent(error) => self.unanswered(error).await,
                Next::Ended => self.replace("the client's connection task has ended").await,
            };
        }
    }

    /// Waits for news of the client, a suspicion, or the time of the next round trip.
    async fn wait(&mut self) -> Next {
        let due = if self.link.reports() { self.next_probe } else { self.next_probe.min(Instant::now() + GLANCE) };
        tokio::select! {
            biased;
            () = self.shared.closing.cancelled() => Next::Closing,
            news = self.link.changed() => news.into(),
            () = self.shared.suspicion.notified() => {
                self.next_probe = Instant::now();
                Next::Due
            }
            () = sleep_until(due) => Next::Due,
        }
    }

    async fn probe(&mut self) -> Next {
        if self.link.has_ended() {
            return Next::Ended;
        }
        let now = Instant::now();
        // While a client is connecting again it does not look at what it is asked to do.
        if !self.connected {
            self.next_probe = now + GLANCE;
        }
        if now < self.next_probe {
            return self.wait().await;
        }
        let client = self.link.client.clone();
        let outcome = tokio::select! {
            biased;
            () = self.shared.closing.cancelled() => return Next::Closing,
            news = self.link.changed() => return news.into(),
            outcome = probe::round_trip(&client, self.watchdog.timeout.get()) => outcome,
        };
        match outcome {
            Ok(round_trip) => Next::Answered(round_trip),
            Err(ProbeError::Ended) => Next::Ended,
            Err(silent @ ProbeError::Silent(_)) => Next::Silent(silent),
        }
    }

    /// Takes in what the client reports.
    fn look(&mut self) {
        let state = self.link.state();
        let dropped = state.drops != self.drops || (self.connected && !state.connected);
        self.connected = state.connected;
        self.drops = state.drops;
        if dropped {
            self.failures = 0;
            // When the watchdog made the client connect again, its reason says more than "the connection was lost".
            let status = match self.shared.status() {
                already @ ConnectionStatus::Disconnected { .. } => already,
                _ => ConnectionStatus::Disconnected { since: Utc::now(), reason: LOST.to_owned() },
            };
            self.shared.down(status);
        }
        if let Some(reason) = state.complaint.filter(|_| !self.connected) {
            self.shared.explain(reason);
        }
        if self.connected && !self.shared.is_up() {
            self.next_probe = Instant::now();
        }
    }

    fn answered(&mut self, round_trip: Duration) {
        self.failures = 0;
        self.next_probe = Instant::now() + self.watchdog.interval.get();
        self.shared.answered(Some(round_trip));
        self.shared.up(connected_status(&self.link));
    }

    /// The first remedy is to make the client connect again, which keeps its subscriptions; the second another client.
    async fn unanswered(&mut self, error: ProbeError) -> Next {
        self.next_probe = Instant::now();
        if !self.link.state().connected {
            return Next::News;
        }
        self.failures += 1;
        self.shared.unanswered();
        self.shared.ears.counters.watchdog_failures.increment();
        let connection = self.shared.ears.connection.as_str();
        warn!(connection, failures = self.failures, limit = self.watchdog.failures, "{error}");
        if self.failures == self.watchdog.failures {
            let reason = format!("{} times in a row {error}", self.failures);
            self.shared.down(ConnectionStatus::Disconnected { since: Utc::now(), reason });
            let told = timeout(FAREWELL, self.link.client.force_reconnect()).await;
            debug!(connection, told = told.is_ok(), "made the client connect again");
        } else if self.failures > self.watchdog.failures && self.config.is_some() {
            return self.replace("the client neither reaches the server nor connects again").await;
        }
        Next::News
    }

    /// Makes clients until one of them connects.
    async fn replace(&mut self, why: &str) -> Next {
        let since = Utc::now();
        let Some(mut config) = self.config.clone() else {
            self.shared
                .down(ConnectionStatus::Lost { since, reason: format!("{why}, and it was handed in ready made") });
            self.shared.closing.cancelled().await;
            return Next::Closing;
        };
        // A first connection may be waited for in the background; here we are the background.
        config.retry_on_initial_connect = None;
        self.shared.down(ConnectionStatus::Rebuilding { since, reason: why.to_owned() });
        // The old client may come back to life; it must not go on taking messages that nobody reads.
        let _ = timeout(Duration::from_millis(50), self.link.retire()).await;
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = shared.closing.cancelled() => Next::Closing,
            link = reopen(&shared, &config, self.born, since) => {
                self.install(link);
                Next::Due
            }
        }
    }

    fn install(&mut self, link: Link) {
        self.link = link;
        let state = self.link.state();
        self.connected = state.connected;
        self.drops = state.drops;
        self.failures = 0;
        self.born = Instant::now();
        self.next_probe = self.born;
        self.shared.ears.counters.rebuilds.increment();
        self.shared.answered(None);
        let generation = self.shared.replace(self.link.client.clone());
        debug!(connection = self.shared.ears.connection, generation, "the client was replaced");
        self.shared.up(connected_status(&self.link));
    }

    async fn close(&mut self) {
        let gone = async {
            self.link.retire().await;
            while !self.link.has_ended() {
                tokio::select! {
                    _ = self.link.changed() => {}
                    () = sleep(Duration::from_millis(10)) => {}
                }
            }
        };
        if timeout(FAREWELL, gone).await.is_err() {
            let connection = self.shared.ears.connection.as_str();
            debug!(connection, "the client is not connected; it ends when it tries to connect again");
        }
        self.shared.down(ConnectionStatus::Closed);
    }
}

impl From<Result<(), Ended>> for Next {
    fn from(news: Result<(), Ended>) -> Self {
        match news {
            Ok(()) => Self::News,
            Err(Ended) => Self::Ended,
        }
    }
}

/// Tries to connect until it works, at growing intervals.
async fn reopen(shared: &Shared, config: &NatsConfig, born: Instant, since: DateTime<Utc>) -> Link {
    sleep_until(born + backoff::shortened(SHORTEST_LIFE)).await;
    let mut attempt = 0;
    loop {
        match Link::open(config, &shared.ears).await {
            Ok(link) => return link,
            Err(error) => shared.set(ConnectionStatus::Rebuilding { since, reason: error.to_string() }),
        }
        attempt += 1;
        sleep(backoff::pause(&config.reconnect, &shared.ears.longest_pause, attempt)).await;
    }
}

pub(crate) fn connected_status(link: &Link) -> ConnectionStatus {
    let info = link.client.server_info();
    ConnectionStatus::Connected { server: info.server_name, version: info.version }
}
