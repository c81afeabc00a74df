//! The handle to a connection.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, jetstream};
use chrono::Utc;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::{JetStreamConfig, NatsConfig, WatchdogConfig};
use super::error::{ConnectError, ConnectErrorKind, Disconnected};
use super::events::PermissionViolation;
use super::info::ServerInfo;
use super::link::{Ears, Link};
use super::probe;
use super::shared::Shared;
use super::status::{ConnectionStats, ConnectionStatus, Counters};
use super::supervisor::{Supervisor, connected_status};

/// What a subscription of a client that was made elsewhere is taken to hold; async-nats' own default is more.
const HANDED_IN_CAPACITY: usize = 1024;

/// Violations remembered for those who are slow to read them.
const VIOLATIONS_KEPT: usize = 64;

/// A connection to NATS that is looked after.
///
/// A task of its own makes a round trip to the server every second, notices when the client has died although it
/// still calls itself connected, and puts a new one in its place. Cloning is cheap, all clones are one connection;
/// when the last of them is dropped the task ends, and the client with its last user.
///
/// - [`client`](Self::client) is the client of the moment. Ask again rather than keep it.
/// - [`generations`](Self::generations) tells when the client was replaced, and subscriptions have to be made anew.
///   When a client merely connects again its subscriptions go on.
/// - [`guard`](Self::guard) fails work that is under way when the connection drops, which the client itself does not.
///
/// ```no_run
/// use headwater_nats::connect::{Connection, NatsConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?;
/// connection.require_version((2, 12, 1))?;
/// let reply = connection.guard(connection.client().request("greet", "hello".into())).await??;
/// println!("{:?}", reply.payload);
/// connection.drain(std::time::Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    pub(super) shared: Arc<Shared>,
    _supervision: Arc<DropGuard>,
}

impl Connection {
    /// Connects as `config` says; `config` is checked first.
    ///
    /// # Errors
    /// When no server lets us in within `connect_timeout` each, unless `retry_on_initial_connect` is set: then only
    /// when `config` is refused.
    pub async fn connect(config: &NatsConfig) -> Result<Self, ConnectError> {
        config.validate()?;
        let ears = ears(config.name_or_default());
        let mut link = Link::open(config, &ears).await?;
        let status = match link.state().connected {
            true => connected_status(&link),
            false => ConnectionStatus::Connecting { since: Utc::now(), reason: None },
        };
        Ok(Self::start(link, ears, config.jetstream.clone(), config.watchdog.clone(), Some(config.clone()), status))
    }

    /// Looks after a client that was made elsewhere. It is watched like any other, but it cannot be replaced
    /// when it dies: the status is then [`ConnectionStatus::Lost`] for good. Nor are its events seen, so slow consumers
    /// and permission violations are not counted.
    #[must_use]
    pub fn from_client(client: Client) -> Self {
        let mut link = Link::adopt(client);
        let status = match link.state().connected {
            true => connected_status(&link),
            false => ConnectionStatus::Connecting { since: Utc::now(), reason: None },
        };
        Self::start(link, ears("handed in"), JetStreamConfig::default(), WatchdogConfig::default(), None, status)
    }

    fn start(
        link: Link,
        ears: Ears,
        jetstream: JetStreamConfig,
        watchdog: WatchdogConfig,
        config: Option<NatsConfig>,
        status: ConnectionStatus,
    ) -> Self {
        let capacity = config.as_ref().map_or(HANDED_IN_CAPACITY, NatsConfig::subscription_capacity_or_default);
        let shared = Shared::new(ears, link.client.clone(), jetstream, capacity, &watchdog);
        if status.is_connected() {
            shared.answered(None);
            shared.up(status);
        } else {
            shared.set(status);
        }
        let abandoned = CancellationToken::new();
        let supervisor = Supervisor::new(Arc::clone(&shared), link, watchdog, config);
        tokio::spawn(supervisor.run(abandoned.clone()));
        Self { shared, _supervision: Arc::new(abandoned.drop_guard()) }
    }

    /// Whether both are handles to one connection.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// What the connection is called in the server's lists and in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.ears.connection
    }

    /// The client of the moment.
    #[must_use]
    pub fn client(&self) -> Client {
        self.shared.current().1.clone()
    }

    /// The client of the moment and its number, which starts at 1 and grows whenever the client is replaced.
    #[must_use]
    pub fn current(&self) -> (u64, Client) {
        (*self.shared.current()).clone()
    }

    /// The same without a copy of the client, which is a dozen shared counters: for whoever sends a lot.
    #[must_use]
    pub fn borrowed(&self) -> Arc<(u64, Client)> {
        self.shared.current()
    }

    /// Whether the connection works at this moment, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.is_up()
    }

    /// JetStream over the client of the moment, in the configured domain or under the configured prefix.
    #[must_use]
    pub fn jetstream(&self) -> jetstream::Context {
        let JetStreamConfig { domain, api_prefix } = &self.shared.jetstream;
        match (domain, api_prefix) {
            (Some(domain), _) => jetstream::with_domain(self.client(), domain),
            (None, Some(prefix)) => jetstream::with_prefix(self.client(), prefix),
            (None, None) => jetstream::new(self.client()),
        }
    }

    /// The prefix of JetStream's API subjects: `$JS.API`, unless a domain or another prefix is configured.
    #[must_use]
    pub fn jetstream_prefix(&self) -> String {
        let JetStreamConfig { domain, api_prefix } = &self.shared.jetstream;
        match (domain, api_prefix) {
            (Some(domain), _) => format!("$JS.{domain}.API"),
            (None, Some(prefix)) => prefix.clone(),
            (None, None) => "$JS.API".to_owned(),
        }
    }

    /// How many messages one subscription may hold before further ones are dropped; whoever asks for messages asks for fewer.
    /// For a client that was handed in it is not known, and 1024.
    #[must_use]
    pub fn subscription_capacity(&self) -> usize {
        self.shared.capacity
    }

    /// The number of the client of the moment.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.current().0
    }

    /// Tells when the client was replaced. Whoever subscribes does so anew on every change.
    #[must_use]
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// How the connection is doing.
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        self.shared.status()
    }

    /// Tells how the connection is doing, whenever that changes.
    #[must_use]
    pub fn statuses(&self) -> watch::Receiver<ConnectionStatus> {
        self.shared.statuses.subscribe()
    }

    /// Whether the last round trip to the server succeeded, and not long ago. This is the watchdog's answer: the
    /// client's own `connection_state` says "connected" also when the client is dead.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.shared.is_healthy()
    }

    /// What has happened to the connection so far.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        self.shared.ears.counters.snapshot(self.generation(), self.shared.last_round_trip())
    }

    /// What the server said of itself when the connection was last made; `None` before the first time.
    #[must_use]
    pub fn server_info(&self) -> Option<ServerInfo> {
        ServerInfo::of(&self.client())
    }

    /// Refuses a server older than this version: major, minor and patch.
    ///
    /// # Errors
    /// [`ConnectErrorKind::UnsupportedServer`] with the version found; [`ConnectErrorKind::Unreachable`] before
    /// the first connection.
    pub fn require_version(&self, version: (u64, u64, u64)) -> Result<ServerInfo, ConnectError> {
        let info = self.server_info().ok_or_else(|| {
            ConnectError::new(
                ConnectErrorKind::Unreachable,
                "the version of the NATS server is not known yet: not connected",
            )
        })?;
        info.require_version(version)?;
        Ok(info)
    }

    /// Tells of every publish and subscription that the server does not permit. The client does not: to whoever
    /// waits for a reply, a refused request looks like one without an answer.
    #[must_use]
    pub fn permission_violations(&self) -> broadcast::Receiver<PermissionViolation> {
        self.shared.ears.violations.subscribe()
    }

    /// Reports that the client with this number seems dead, because a call said "channel closed" or a subscription
    /// ended. It is looked at without delay; a number that is no longer the current one is ignored.
    pub fn report_dead(&self, generation: u64) {
        if generation == self.generation() {
            self.shared.suspicion.notify_one();
        }
    }

    /// From now on the pauses between tries to connect again are at most `longest`, whatever the settings say, for whoever
    /// promises to be back soon after the server. A pause under way is not cut short, longer ones cannot be asked for
    /// again, and a client that was handed in ready made keeps its own.
    pub fn limit_reconnect_pause(&self, longest: Duration) {
        self.shared.ears.longest_pause.lower_to(longest);
    }

    /// Sends a PING to the server and waits until the server says something, as the watchdog does.
    ///
    /// # Errors
    /// When the connection is down, drops, or the server says nothing within the watchdog's `timeout`.
    pub async fn round_trip(&self) -> Result<Duration, Disconnected> {
        let client = self.client();
        let limit = self.shared.round_trip_limit;
        Ok(self.guard(probe::round_trip(&client, limit)).await??)
    }

    /// Waits until everything that was sent before has reached the server, for `limit` at most. The client's own
    /// `flush` only waits until the operating system has taken it.
    ///
    /// # Errors
    /// When the connection is down, drops, or `limit` passes.
    pub async fn flush(&self, limit: Duration) -> Result<Duration, Disconnected> {
        let client = self.client();
        let violations = self.permission_violations();
        Ok(self.guard(probe::fence(&client, violations, limit)).await??)
    }

    /// Closes the connection when everything sent has reached the server, waiting at most `limit` for that.
    /// Subscriptions end after the messages that have arrived. Close what answers requests first.
    ///
    /// # Errors
    /// When it could not be confirmed that everything arrived. The connection is closed all the same.
    pub async fn drain(&self, limit: Duration) -> Result<(), Disconnected> {
        let arrived = self.flush(limit).await;
        self.close().await;
        arrived.map(drop)
    }

    /// Closes the connection, and returns when that is done, after one second at most. Messages that were not sent
    /// yet may be lost; see [`drain`](Self::drain).
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.closed().await;
    }

    /// Waits until the connection was closed.
    pub async fn closed(&self) {
        let mut statuses = self.shared.statuses.subscribe();
        // The sender lives in `self.shared`, so this ends only when the condition holds.
        let _ = statuses.wait_for(|status| *status == ConnectionStatus::Closed).await;
    }
}

fn ears(name: &str) -> Ears {
    Ears {
        connection: name.to_owned(),
        counters: Arc::new(Counters::default()),
        violations: broadcast::Sender::new(VIOLATIONS_KEPT),
        longest_pause: Arc::default(),
    }
}
