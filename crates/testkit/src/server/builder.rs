//! The description of a server before it starts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Mutex;

use super::config::{self, Authorization, Settings, Variables};
use super::process::ServerProcess;
use super::{NatsServer, StartError};
use crate::locate::{self, Locator, Progress, ServerBinary};
use crate::ports::free_port;

/// How often a start is tried when somebody else took a chosen port in between.
const PORT_ATTEMPTS: usize = 5;

/// Describes a server; every option has a default, and [`start`](Self::start) runs it.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use headwater_testkit::NatsServer;
///
/// let server = NatsServer::builder()
///     .user_and_password("alice", "secret")
///     .max_payload(4096)
///     .jetstream_config("sync_interval: always")
///     .start()
///     .await?;
/// let client = async_nats::ConnectOptions::with_user_and_password("alice".into(), "secret".into())
///     .connect(server.url())
///     .await?;
/// assert_eq!(client.server_info().max_payload, 4096);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder starts nothing until `start` is awaited"]
pub struct NatsServerBuilder {
    name: Option<String>,
    port: Option<u16>,
    monitor_port: Option<u16>,
    jetstream: bool,
    store_dir: Option<PathBuf>,
    jetstream_config: String,
    config: String,
    max_payload: Option<usize>,
    authorization: Option<Authorization>,
    config_file: Option<PathBuf>,
    variables: Variables,
    arguments: Vec<String>,
    binary: Option<PathBuf>,
    locator: Option<Locator>,
    ready_within: Duration,
}

impl NatsServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            name: None,
            port: None,
            monitor_port: None,
            jetstream: true,
            store_dir: None,
            jetstream_config: String::new(),
            config: String::new(),
            max_payload: None,
            authorization: None,
            config_file: None,
            variables: Variables::default(),
            arguments: Vec::new(),
            binary: None,
            locator: None,
            ready_within: Duration::from_secs(20),
        }
    }

    /// What the server calls itself. Default: `testkit-` and its port.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The port for clients. Default: a free one, chosen outside the range of outgoing connections so that nobody
    /// takes it while the server is down.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The port of the monitoring pages. Default: a free one.
    pub fn monitor_port(mut self, port: u16) -> Self {
        self.monitor_port = Some(port);
        self
    }

    /// Whether JetStream is on. Default: yes.
    pub fn jetstream(mut self, on: bool) -> Self {
        self.jetstream = on;
        self
    }

    /// Where JetStream stores. Such a folder outlives the server. Default: a temporary folder that does not.
    pub fn store_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store_dir = Some(folder.into());
        self
    }

    /// Back to a temporary folder: two nodes of a cluster cannot share one.
    pub(crate) fn own_store(mut self) -> Self {
        self.store_dir = None;
        self
    }

    /// Lines for the `jetstream` block, for instance `sync_interval: always` or `max_file_store: 1MB`. May be
    /// called more than once. Default: none.
    pub fn jetstream_config(mut self, lines: &str) -> Self {
        self.jetstream_config.push_str(lines);
        self.jetstream_config.push('\n');
        self
    }

    /// Text for the end of the configuration file: accounts, TLS, limits. A block written here replaces one of the
    /// same name that an option wrote. May be called more than once. Default: none.
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self.config.push('\n');
        self
    }

    /// The largest message in bytes, headers included. Default: the server's own, 1 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// The one user and password that are let in. Default: everybody is. Replaces a token.
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.authorization = Some(Authorization::User { user: user.into(), password: password.into() });
        self
    }

    /// The one token that is let in. Default: everybody is. Replaces user and password.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.authorization = Some(Authorization::Token(token.into()));
        self
    }

    /// A configuration file to run with, such as the one that is used elsewhere, instead of one written here.
    ///
    /// It is taken as it is, except for the name and the addresses, which are this builder's: the command line goes before
    /// the file. For that the file names its monitoring port by `http_port` and no host, and its store by `store_dir:
    /// $NATS_STORE_DIR`, a variable that is set here to this builder's. It may read others that
    /// [`variable`](Self::variable) sets. Options that write configuration (`config`, `jetstream_config`, `max_payload`,
    /// users and tokens) do not go with it.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use headwater_testkit::NatsServer;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let file = folder.path().join("production.conf");
    /// std::fs::write(&file, "jetstream: { store_dir: $NATS_STORE_DIR }, authorization: { user: app, password: $PASSWORD }")?;
    ///
    /// let server = NatsServer::builder().config_file(&file).variable("PASSWORD", "secret").start().await?;
    /// assert!(async_nats::connect(server.url()).await.is_err());
    /// async_nats::ConnectOptions::with_user_and_password("app".into(), "secret".into()).connect(server.url()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config_file = Some(file.into());
        self
    }

    /// A variable in the environment of the server, which a configuration reads as `$NAME`. May be called more than once.
    /// Default: the environment of this process.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.variables.0.push((name.into(), value.into()));
        self
    }

    /// Options for the command line, beside a configuration file.
    pub(crate) fn arguments(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// The binary to run, of any version, instead of the one that [`locate`](crate::locate) finds.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// The locator to use for the binary. Default: [`locate`](crate::locate::locate), once for the whole process.
    pub fn locator(mut self, locator: Locator) -> Self {
        self.locator = Some(locator);
        self
    }

    /// Reports when the binary must be fetched first, which takes seconds. Default: only to the log.
    pub fn on_progress(mut self, report: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        let locator = self.locator.take().unwrap_or_else(Locator::from_process);
        self.locator = Some(locator.on_progress(report));
        self
    }

    /// How long the server may take to become ready. Default: 20 seconds; it usually takes under 100 ms.
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Finds the binary, starts it and waits until it is ready for clients and, if on, JetStream.
    ///
    /// A chosen port that somebody else took in between is replaced, up to four times; a port that was given is not.
    /// When the returned future is dropped, a process that was started is killed.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(self) -> Result<NatsServer, StartError> {
        self.one_configuration()?;
        let binary = self.find_binary().await?;
        let mut attempt = 1;
        loop {
            match self.start_once(binary.clone()).await {
                Err(error) if attempt < PORT_ATTEMPTS && self.chooses_ports() && error.is_port_taken() => {
                    tracing::debug!(attempt, "a chosen port was taken by somebody else; trying others");
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn one_configuration(&self) -> Result<(), StartError> {
        let written = [
            ("config", !self.config.is_empty()),
            ("jetstream_config", !self.jetstream_config.is_empty()),
            ("max_payload", self.max_payload.is_some()),
            ("a user or a token", self.authorization.is_some()),
        ];
        match written.into_iter().find(|(_, is_set)| *is_set) {
            Some((option, _)) if self.config_file.is_some() => Err(StartError::TwoConfigurations { option }),
            _ => Ok(()),
        }
    }

    fn chooses_ports(&self) -> bool {
        self.port.is_none() || self.monitor_port.is_none()
    }

    async fn find_binary(&self) -> Result<ServerBinary, StartError> {
        let found = match (&self.binary, &self.locator) {
            (Some(path), _) => ServerBinary::at(path).await,
            (None, Some(locator)) => locator.locate().await,
            (None, None) => locate::locate().await,
        };
        found.map_err(StartError::Binary)
    }

    async fn start_once(&self, binary: ServerBinary) -> Result<NatsServer, StartError> {
        let home = tempfile::Builder::new().prefix("headwater-nats-").tempdir().map_err(StartError::Folder)?;
        let settings = self.settings(home.path());
        config::write(&settings, home.path()).map_err(StartError::Folder)?;
        let server =
            NatsServer { process: ServerProcess::new(home.path()), binary, settings, home, turn: Mutex::new(()) };
        server.launch().await?;
        Ok(server)
    }

    fn settings(&self, home: &std::path::Path) -> Settings {
        let port = self.port.unwrap_or_else(free_port);
        Settings {
            name: self.name.clone().unwrap_or_else(|| format!("testkit-{port}")),
            port,
            monitor_port: self.monitor_port.unwrap_or_else(free_port),
            jetstream: self.jetstream,
            store_dir: self.store_dir.clone().unwrap_or_else(|| home.join("store")),
            jetstream_config: self.jetstream_config.clone(),
            config: self.config.clone(),
            max_payload: self.max_payload,
            authorization: self.authorization.clone(),
            config_file: self.config_file.clone(),
            variables: self.variables.clone(),
            arguments: self.arguments.clone(),
            ready_within: self.ready_within,
        }
    }
}
