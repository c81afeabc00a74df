//! One client and what can be learned about it: made from settings, or handed in by its user.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::message::OutboundMessage;
use async_nats::{Client, ConnectOptions, ServerAddr};
use futures_util::{FutureExt, SinkExt};
use rand::seq::SliceRandom;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::backoff::{self, LongestPause};
use super::config::NatsConfig;
use super::credentials;
use super::error::{ConnectError, ConnectErrorKind};
use super::events::{Observer, PermissionViolation, Reported};
use super::failure::{self, Attempt};
use super::status::Counters;

/// What a client needs to report to, shared by all clients of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Ears {
    pub(crate) connection: String,
    pub(crate) counters: Arc<Counters>,
    pub(crate) violations: broadcast::Sender<PermissionViolation>,
    pub(crate) longest_pause: Arc<LongestPause>,
}

/// One client, and the way to watch it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    reported: Option<watch::Receiver<Reported>>,
    /// Makes a client that is connecting again give up.
    retired: CancellationToken,
}

/// What is known of a link at a moment.
#[derive(Clone, Debug)]
pub(crate) struct LinkState {
    pub(crate) connected: bool,
    /// Changes whenever the connection has dropped, also when it came back before anybody looked.
    pub(crate) drops: u64,
    pub(crate) complaint: Option<String>,
}

impl Link {
    /// Connects as `config` says.
    pub(crate) async fn open(config: &NatsConfig, ears: &Ears) -> Result<Self, ConnectError> {
        let mut servers = Vec::new();
        for server in config.servers_or_default() {
            // The configuration was validated; an address that is none is told of like any other failure.
            match server.address() {
                Ok(address) => servers.push(address),
                Err(reason) => {
                    return Err(ConnectError::new(
                        ConnectErrorKind::Config,
                        format!("nats.servers: {server}: {reason}"),
                    ));
                }
            }
        }
        if config.retry_on_initial_connect == Some(true) {
            return Self::open_later(config, servers, ears).await;
        }
        servers.shuffle(&mut rand::rng());
        let mut attempts = Vec::new();
        for server in &servers {
            match Self::open_one(config, server, ears).await {
                Ok(link) => {
                    link.know_all(&servers, config.connect_timeout_or_default()).await;
                    return Ok(link);
                }
                Err(attempt) => {
                    debug!(connection = ears.connection, %attempt, "no connection");
                    let refused = attempt.kind == ConnectErrorKind::Authentication;
                    attempts.push(attempt);
                    // The servers of a cluster know the same users: trying the others would only fill their logs.
                    if refused {
                        break;
                    }
                }
            }
        }
        Err(failure::of_attempts(config, &attempts))
    }

    /// Watches a client that was made elsewhere.
    pub(crate) fn adopt(client: Client) -> Self {
        Self { client, reported: None, retired: CancellationToken::new() }
    }

    async fn open_one(config: &NatsConfig, server: &ServerAddr, ears: &Ears) -> Result<Self, Attempt> {
        let retired = CancellationToken::new();
        let (options, reported) = options(config, ears, retired.clone());
        let limit = config.connect_timeout_or_default();
        // The client's own limit leaves out the look-up of the host name, which can take much longer.
        match timeout(limit, options.connect(server)).await {
            Ok(Ok(client)) => Ok(Self { client, reported: Some(reported), retired }),
            Ok(Err(error)) => Err(Attempt::failed(server, &error, limit)),
            Err(_) => Err(Attempt::timed_out(server, limit)),
        }
    }

    async fn open_later(config: &NatsConfig, servers: Vec<ServerAddr>, ears: &Ears) -> Result<Self, ConnectError> {
        let retired = CancellationToken::new();
        let (options, reported) = options(config, ears, retired.clone());
        match options.retry_on_initial_connect().connect(servers).await {
            Ok(client) => Ok(Self { client, reported: Some(reported), retired }),
            Err(error) => Err(ConnectError::new(ConnectErrorKind::Other, error.to_string()).caused_by(error)),
        }
    }

    /// Servers are tried one at a time, to learn how each of them failed; afterwards the client has to know them all,
    /// beside those the first one told it of, for when it has to connect again.
    async fn know_all(&self, servers: &[ServerAddr], limit: Duration) {
        if servers.len() < 2 {
            return;
        }
        let told = async {
            let mut pool: Vec<ServerAddr> =
                self.client.server_pool().await.ok()?.into_iter().map(|server| server.addr).collect();
            pool.extend(servers.iter().filter(|server| !pool.contains(server)).cloned().collect::<Vec<_>>());
            self.client.set_server_pool(pool).await.ok()
        };
        if !matches!(timeout(limit, told).await, Ok(Some(()))) {
            debug!("the client did not take the list of servers; the watchdog will find out why");
        }
    }

    pub(crate) fn state(&mut self) -> LinkState {
        // Not from the events, because the client drops those that do not fit in its queue.
        let connected = self.client.connection_state() == State::Connected;
        match &mut self.reported {
            Some(reported) => {
                let reported = reported.borrow_and_update();
                LinkState { connected, drops: reported.drops, complaint: reported.complaint.clone() }
            }
            // Drops are not told; that it connected once more tells of one.
            None => {
                let connects = self.client.statistics().connects.load(Ordering::Relaxed);
                LinkState { connected, drops: connects, complaint: None }
            }
        }
    }

    /// Waits until there is news of the client. `Err` when its connection task has ended.
    pub(crate) async fn changed(&mut self) -> Result<(), Ended> {
        match &mut self.reported {
            Some(reported) => reported.changed().await.map_err(|_| Ended),
            None => std::future::pending().await,
        }
    }

    /// Whether the client's connection task has ended.
    pub(crate) fn has_ended(&self) -> bool {
        // Asks for room in the client's queue, and gives it back unused.
        let mut client = self.client.clone();
        let ready = poll_fn(|cx| SinkExt::<OutboundMessage>::poll_ready_unpin(&mut client, cx));
        matches!(ready.now_or_never(), Some(Err(_)))
    }

    /// Tells the client to end: at once when it is connected, else when it tries to connect the next time. One that was
    /// handed in ends only if it is connected.
    pub(crate) async fn retire(&self) {
        self.retired.cancel();
        // A client that is dead already does not need to be told.
        let _ = self.client.drain().await;
    }

    /// Whether news arrive by themselves; otherwise somebody has to look now and then.
    pub(crate) fn reports(&self) -> bool {
        self.reported.is_some()
    }
}

/// A client's connection task has ended: it panicked, or was told to drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended;

/// Fresh options every time: they own the callback whose going away tells of the client's end.
fn options(
    config: &NatsConfig,
    ears: &Ears,
    retired: CancellationToken,
) -> (ConnectOptions, watch::Receiver<Reported>) {
    let (sender, reported) = watch::channel(Reported::default());
    let observer = Arc::new(Observer {
        connection: ears.connection.clone(),
        reported: sender,
        counters: Arc::clone(&ears.counters),
        violations: ears.violations.clone(),
    });
    let reconnecting = Arc::clone(&observer);
    let identity = Arc::new(config.clone());
    let reconnect = config.reconnect.clone();
    let longest_pause = Arc::clone(&ears.longest_pause);
    let once_connected = reported.clone();
    let tls = &config.tls;
    let mut options = ConnectOptions::with_auth_callback(move |nonce| {
        let identity = Arc::clone(&identity);
        async move { credentials::answer(&identity, &nonce).await }
    })
    .name(&ears.connection)
    .connection_timeout(config.connect_timeout_or_default())
    .request_timeout(Some(config.request_timeout_or_default()))
    .ping_interval(config.ping_interval_or_default())
    .subscription_capacity(config.subscription_capacity_or_default())
    .require_tls(tls.required == Some(true))
    .reconnect_delay_callback(move |attempt| {
        if retired.is_cancelled() {
            end_connection_task();
        }
        match once_connected.borrow().connects {
            // The very first try need not wait for anything.
            0 if attempt <= 1 => Duration::ZERO,
            _ => backoff::pause(&reconnect, &longest_pause, attempt),
        }
    })
    .reconnect_to_server_callback(move |servers, _| {
        reconnecting.reconnecting(&servers);
        // The choice is left to the client.
        std::future::ready(None)
    })
    .event_callback(move |event| {
        observer.observe(event);
        std::future::ready(())
    });
    if let Some(prefix) = &config.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    if let Some(file) = &tls.ca_file {
        options = options.add_root_certificates(file.clone());
    }
    if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if tls.first == Some(true) {
        options = options.tls_first();
    }
    (options, reported)
}

/// Ends the connection task, which calls this before each try to connect again.
///
/// While it is connecting, the task neither looks at what it is told nor notices that nobody is left to tell it
/// anything, and it would try without end. Unwinding ends it like any panic, without the report that a panic makes;
/// where panics abort the process it is left to try.
fn end_connection_task() {
    if cfg!(panic = "unwind") {
        std::panic::resume_unwind(Box::new("the connection was closed"));
    }
}
