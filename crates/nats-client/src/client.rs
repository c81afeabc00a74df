//! The client of one service, and its settings.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::call::Transport;
use headwater_core::{Name, NameError};
use headwater_nats::connect::{ConnectError, Connection, NatsConfig};
use headwater_nats::subject::Subjects;
use headwater_nats::telemetry::Telemetry;
use tokio::sync::Semaphore;

use crate::attempt::Wire;
use crate::telemetry::ClientTelemetry;
use crate::{Credentials, Discovery, RetryPolicy};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_RECONNECT_GRACE: Duration = Duration::from_secs(1);
/// A little below what a subscription holds by default (1024), so that replies to calls under way always fit.
const DEFAULT_MAX_IN_FLIGHT: usize = 1000;

/// The client of one service over one connection. Clones are cheap and share everything.
///
/// It is a [`Transport`]: hand it to a typed client.
#[derive(Clone, Debug)]
pub struct NatsClient {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) wire: Wire,
    pub(crate) subjects: Subjects,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Duration,
    pub(crate) in_flight: Semaphore,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) telemetry: Option<ClientTelemetry>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The service's name is not a name.
    #[error("service: {0}")]
    Service(#[from] NameError),
    /// A setting makes no sense; the text names it.
    #[error("{0}")]
    Setting(String),
    /// The connection could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl NatsClient {
    /// Connects as `config` says, to call the service called `service`.
    ///
    /// # Errors
    /// When `service` is not a name, `config` is refused, or no server lets us in.
    pub async fn connect(config: &NatsConfig, service: &str) -> Result<Self, ClientError> {
        Self::connect_with(config, service, |client| client).await
    }

    /// The same with settings of one's own, such as [credentials](NatsClientBuilder::credentials).
    ///
    /// # Errors
    /// As for [`connect`](Self::connect), and when a setting makes no sense.
    pub async fn connect_with(
        config: &NatsConfig,
        service: &str,
        set: impl FnOnce(NatsClientBuilder) -> NatsClientBuilder,
    ) -> Result<Self, ClientError> {
        let service = Name::new(service.to_owned())?;
        let connection = Connection::connect(config).await?;
        let builder = Self::builder(connection, service);
        let builder = match config.subscription_capacity {
            Some(capacity) => builder.max_in_flight(capacity.clamp(1, DEFAULT_MAX_IN_FLIGHT)),
            None => builder,
        };
        set(builder).build()
    }

    /// A client over a connection that exists, with default settings.
    #[must_use]
    pub fn new(connection: Connection, service: Name) -> Self {
        NatsClientBuilder::new(connection, service).finish()
    }

    /// A client over a connection that exists, with settings of one's own.
    pub fn builder(connection: Connection, service: Name) -> NatsClientBuilder {
        NatsClientBuilder::new(connection, service)
    }

    /// The service it calls.
    #[must_use]
    pub fn service(&self) -> &Name {
        self.inner.subjects.service()
    }

    /// The connection it uses.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.inner.wire.connection
    }

    /// Discovery over the same connection.
    pub fn discovery(&self) -> Discovery {
        Discovery::new(self.connection().clone())
    }
}

impl From<NatsClient> for Arc<dyn Transport> {
    fn from(client: NatsClient) -> Self {
        Arc::new(client)
    }
}

/// Settings of a [`NatsClient`].
#[derive(Clone, Debug)]
#[must_use = "a client comes out of `build`"]
pub struct NatsClientBuilder {
    connection: Connection,
    service: Name,
    timeout: Duration,
    retry: RetryPolicy,
    reconnect_grace: Duration,
    max_in_flight: usize,
    credentials: Option<Credentials>,
    telemetry: Option<Telemetry>,
}

impl NatsClientBuilder {
    fn new(connection: Connection, service: Name) -> Self {
        Self {
            connection,
            service,
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
            reconnect_grace: DEFAULT_RECONNECT_GRACE,
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            credentials: None,
            telemetry: None,
        }
    }

    /// How long a call may take that does not say so itself, all tries included. 5 s by default.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How often and how fast a call is tried again.
    pub fn retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// How long a try waits for a connection that is down before it fails as
    /// [`Disconnected`](headwater_core::call::CallError::Disconnected). 1 s by default.
    pub fn reconnect_grace(self, reconnect_grace: Duration) -> Self {
        Self { reconnect_grace, ..self }
    }

    /// How many calls may be under way at once; further ones wait. 1000 by default. Keep it below the connection's
    /// `subscription_capacity`, so that there is room for every reply.
    pub fn max_in_flight(self, max_in_flight: usize) -> Self {
        Self { max_in_flight, ..self }
    }

    /// How the client proves who it is; not at all by default.
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Records traces and metrics for OpenTelemetry: each call with all its tries, as part of the trace that the calling code
    /// is in. Off by default.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        Self { telemetry: Some(telemetry), ..self }
    }

    /// The client.
    ///
    /// # Errors
    /// [`ClientError::Setting`] that names the setting: a timeout of zero, no tries, jitter outside 0 to 1, or a
    /// number of calls that no semaphore can count.
    pub fn build(self) -> Result<NatsClient, ClientError> {
        if let Some(problem) = self.retry.problem() {
            return Err(ClientError::Setting(problem));
        }
        if self.timeout.is_zero() {
            return Err(ClientError::Setting("timeout is zero; no call could be made".to_owned()));
        }
        if !(1..=Semaphore::MAX_PERMITS).contains(&self.max_in_flight) {
            let max = self.max_in_flight;
            return Err(ClientError::Setting(format!("max_in_flight is {max}; no call could be made")));
        }
        Ok(self.finish())
    }

    fn finish(self) -> NatsClient {
        let telemetry = self.telemetry.as_ref();
        let inner = Inner {
            telemetry: telemetry.map(|telemetry| ClientTelemetry::new(telemetry, self.service.clone())),
            wire: Wire::new(self.connection, self.reconnect_grace),
            subjects: Subjects::new(self.service),
            retry: self.retry,
            timeout: self.timeout,
            in_flight: Semaphore::new(self.max_in_flight),
            credentials: self.credentials,
        };
        NatsClient { inner: Arc::new(inner) }
    }
}
