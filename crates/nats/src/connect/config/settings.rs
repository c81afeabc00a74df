//! The settings of a connection and their defaults.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::HumanDuration;
use super::load::Sources;
use super::secret::Secret;
use super::server_url::ServerUrl;

/// Where a connection goes when nothing says otherwise.
pub const DEFAULT_SERVER: &str = "nats://localhost:4222";

/// How to reach NATS: servers, credentials, TLS, and how patiently.
///
/// Every field may be left out. Of the ways to say who one is (user and password, token, credentials file, NKey,
/// user JWT with NKey, or credentials inside the server URLs) one may be given; TLS client certificates go with any.
///
/// ```
/// use headwater_nats::connect::NatsConfig;
///
/// let config = NatsConfig::from_toml(r#"
///     [nats]
///     servers = ["nats://one.example:4222", "nats://two.example:4222"]
///     user = "receipts"
///     password = "secret"
///     request_timeout = "2s"
///
///     [nats.reconnect]
///     max = "10s"
/// "#)?;
/// assert_eq!(config.servers.len(), 2);
/// assert!(!format!("{config:?}").contains("secret"));
///
/// let refused = NatsConfig::from_toml("[nats]\nservers = ['nats://ok:4222', 'http://no:80']").unwrap_err();
/// assert!(refused.to_string().starts_with("nats.servers[1]: "));
/// # Ok::<(), headwater_nats::connect::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// Servers of one cluster, tried in random order. None: [`DEFAULT_SERVER`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerUrl>,
    /// What the connection is called in the server's lists. Default `headwater`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// User name; needs `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password of `user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A token, for servers configured with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A `.creds` file: user JWT and NKey seed. It is read again at every connect, so that it can be renewed in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// A user JWT, with `nkey_seed` or `nkey_seed_file` to sign for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_jwt: Option<Secret>,
    /// The seed of a user NKey (`SU…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey_seed: Option<Secret>,
    /// A file that holds the seed of a user NKey. It is read again at every connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey_seed_file: Option<PathBuf>,
    /// Encryption and client certificates.
    pub tls: TlsConfig,

    /// What inboxes start with, so that the server can grant each user its own. Default `_INBOX`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox_prefix: Option<String>,
    /// Longest wait for one server while connecting. Default 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<HumanDuration>,
    /// Longest wait for the reply to a request that names no time of its own. Default 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<HumanDuration>,
    /// How often the client pings an idle server by itself; two unanswered pings end the connection. Default 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_interval: Option<HumanDuration>,
    /// Whether connecting the first time goes on trying in the background, without end, instead of failing. Default
    /// false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_on_initial_connect: Option<bool>,
    /// How long to wait before connecting again after a connection was lost. There is no limit to the tries.
    pub reconnect: ReconnectConfig,
    /// How a connection that no longer works is noticed.
    pub watchdog: WatchdogConfig,
    /// Messages one subscription may hold before further ones are dropped and counted as slow consumer. Default 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_capacity: Option<usize>,

    /// A context of the `nats` tool to take missing settings from: its name, or the absolute path of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Where JetStream's API is found.
    pub jetstream: JetStreamConfig,

    /// Where settings came from that the program did not make; written by [`load`](Self::load).
    #[serde(skip)]
    pub sources: Sources,
}

/// Encryption, and the certificate a client shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Refuse a connection that is not encrypted. A `tls://` URL, or a server that asks for TLS, has the same
    /// effect. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Start with TLS at once, before the server's greeting; the server must be set to `handshake_first`. Default
    /// false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<bool>,
    /// PEM file of the authorities to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate; needs `key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of the key that belongs to `cert_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// The pause before each try to connect again: it doubles from `initial` to `max`, shortened at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReconnectConfig {
    /// The first pause. Default 100 ms.
    pub initial: HumanDuration,
    /// The longest pause. Default 5 s.
    pub max: HumanDuration,
    /// The part of each pause that is random, 0 to 1. Default 0.5: a pause of 4 s becomes 2 to 4 s.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
}

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self { initial: HumanDuration::from_millis(100), max: HumanDuration::from_secs(5), jitter: 0.5 }
    }
}

/// How often a connection proves that it works, and how often it may fail to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WatchdogConfig {
    /// Time between two round trips to the server. Default 1 s.
    pub interval: HumanDuration,
    /// Longest wait for the answer to one of them. Default 1 s.
    pub timeout: HumanDuration,
    /// Round trips in a row that may fail; at this number the connection is made anew. Default 3.
    #[schemars(range(min = 1))]
    pub failures: u32,
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self { interval: HumanDuration::from_secs(1), timeout: HumanDuration::from_secs(1), failures: 3 }
    }
}

/// Where JetStream's API is found when it is not the account's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JetStreamConfig {
    /// The JetStream domain, as in leaf nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The subject prefix of the API, as in an import from another account. Excludes `domain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_prefix: Option<String>,
}

impl NatsConfig {
    /// Settings for the given servers: one URL, or several with commas between them. Everything else is left at its
    /// default.
    pub fn new(servers: &str) -> Self {
        Self { servers: split_servers(servers), ..Self::default() }
    }

    /// The JSON Schema of the settings, for editors and for checking a file before it is used.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }

    /// Names the connection in the server's lists.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Signs in with a user and a password.
    #[must_use]
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.user = Some(user.into());
        self.password = Some(password.into());
        self
    }

    /// Signs in with a token.
    #[must_use]
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Signs in with a credentials file.
    #[must_use]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials_file = Some(path.into());
        self
    }

    /// Signs in with the seed of a user NKey.
    #[must_use]
    pub fn nkey_seed(mut self, seed: impl Into<Secret>) -> Self {
        self.nkey_seed = Some(seed.into());
        self
    }

    /// Sets how a connection is encrypted and which certificate the client shows.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Takes missing settings from a context of the `nats` tool when the configuration is [loaded](Self::load).
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// Goes on trying to connect, in the background, when no server can be reached at first.
    #[must_use]
    pub fn retry_on_initial_connect(mut self) -> Self {
        self.retry_on_initial_connect = Some(true);
        self
    }

    /// The servers, with the default in place of none.
    pub(crate) fn servers_or_default(&self) -> Vec<ServerUrl> {
        if self.servers.is_empty() { vec![ServerUrl::from(DEFAULT_SERVER)] } else { self.servers.clone() }
    }

    pub(crate) fn name_or_default(&self) -> &str {
        self.name.as_deref().unwrap_or("headwater")
    }

    pub(crate) fn connect_timeout_or_default(&self) -> std::time::Duration {
        self.connect_timeout.unwrap_or(HumanDuration::from_secs(5)).get()
    }

    pub(crate) fn request_timeout_or_default(&self) -> std::time::Duration {
        self.request_timeout.unwrap_or(HumanDuration::from_secs(5)).get()
    }

    pub(crate) fn ping_interval_or_default(&self) -> std::time::Duration {
        self.ping_interval.unwrap_or(HumanDuration::from_secs(5)).get()
    }

    pub(crate) fn subscription_capacity_or_default(&self) -> usize {
        self.subscription_capacity.unwrap_or(8192)
    }
}

/// Splits a list as `NATS_URL` and the `nats` tool write it.
pub(crate) fn split_servers(list: &str) -> Vec<ServerUrl> {
    list.split(',').map(str::trim).filter(|url| !url.is_empty()).map(ServerUrl::from).collect()
}
