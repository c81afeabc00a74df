//! One `nats-server` process: started, paused, killed, restarted, and never left behind.
//!
//! What is promised:
//!
//! - [`start`](NatsServerBuilder::start) returns when clients can connect and, if wanted, JetStream answers.
//! - Address and store stay the same over [`restart`](NatsServer::restart), so clients reconnect to their data.
//! - Dropping the value kills the process, waits for it and removes its temporary folder. When this process dies
//!   without dropping anything, a small watchdog (`sh`, holding one end of a pipe) does the same; without an `sh`
//!   on the machine that last part is missing.
//! - When the thread that drops is panicking, the end of the server's log goes to standard error, so that a failed
//!   test shows it.

mod builder;
mod config;
mod error;
mod log;
mod process;
mod readiness;
mod watchdog;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use semver::Version;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::sleep;

pub use builder::NatsServerBuilder;
pub use error::StartError;

use crate::http;
use crate::locate::ServerBinary;
use config::Settings;
use process::ServerProcess;

/// How much of the log goes to standard error when a test fails.
const LINES_SHOWN_ON_PANIC: usize = 60;

/// How long a server may take to end by itself before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

const END_POLL: Duration = Duration::from_millis(100);

/// How long the monitoring port may take to answer.
const MONITOR_WITHIN: Duration = Duration::from_secs(5);

/// A running (or stopped, or paused) `nats-server` of our own. See the [module](self) for what is promised.
#[derive(Debug)]
pub struct NatsServer {
    process: ServerProcess,
    binary: ServerBinary,
    settings: Settings,
    home: TempDir,
    /// One start or stop at a time; the process itself has a lock of its own for the short acts.
    turn: Mutex<()>,
}

impl NatsServer {
    /// Starts a server with JetStream, a store of its own and free ports.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// A server to be described first.
    pub fn builder() -> NatsServerBuilder {
        NatsServerBuilder::new()
    }

    /// The URL for clients, `nats://127.0.0.1:<port>`, without credentials.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The address for clients; the same over restarts.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.settings.port))
    }

    /// The port for clients; the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// The port of the HTTP monitoring pages (`/varz`, `/jsz`, `/connz`, `/healthz`); the same over restarts.
    #[must_use]
    pub fn monitor_port(&self) -> u16 {
        self.settings.monitor_port
    }

    /// The name the server calls itself, in `INFO` and in a cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The version of the binary.
    #[must_use]
    pub fn version(&self) -> &Version {
        self.binary.version()
    }

    /// Whether the binary is older than this version, major, minor and patch. Tests of what came with that version leave off
    /// where it is, which is told on standard error.
    #[must_use]
    pub fn is_older_than(&self, version: (u64, u64, u64)) -> bool {
        self.binary.is_older_than(version)
    }

    /// The binary that is run, and how it was found.
    #[must_use]
    pub fn binary(&self) -> &ServerBinary {
        &self.binary
    }

    /// The process id, or `None` when the server is not running.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Whether the process exists. A paused server is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// The folder JetStream stores in; kept over restarts, and over the drop when the builder was given it.
    #[must_use]
    pub fn store_dir(&self) -> &Path {
        &self.settings.store_dir
    }

    /// The file the server logs to, over all restarts.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        log::file_in(self.home.path())
    }

    /// The last `lines` lines of the log, over all restarts; empty when it cannot be read.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        log::tail(self.home.path(), lines)
    }

    /// One of the monitoring pages as JSON, for instance `/jsz?streams=true`.
    ///
    /// # Errors
    ///
    /// When the page does not answer with JSON within five seconds.
    pub async fn monitor(&self, page: &str) -> std::io::Result<serde_json::Value> {
        let (_, body) = http::get(self.settings.monitor_port, page, MONITOR_WITHIN).await?;
        Ok(serde_json::from_str(&body)?)
    }

    /// Kills the server without warning, as a power cut would (what it wrote to the file system stays). Returns when
    /// the process is gone. Nothing happens when it is not running.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Asks the server to end and waits for it; after ten seconds it is killed. A paused server is woken first.
    /// Nothing happens when it is not running.
    pub async fn stop(&self) {
        let _turn = self.turn.lock().await;
        self.process.stop(STOP_WITHIN).await;
    }

    /// Returns when the process is not running, whoever ended it. It is looked at ten times a second.
    pub async fn until_ended(&self) {
        while self.is_running() {
            sleep(END_POLL).await;
        }
    }

    /// Freezes the process: its connections stay open and nobody answers.
    ///
    /// # Errors
    ///
    /// When the server is not running, or on a system without signals.
    pub fn pause(&self) -> std::io::Result<()> {
        self.process.pause()
    }

    /// Lets a paused process go on. Nothing happens when it is not paused.
    ///
    /// # Errors
    ///
    /// When the server is not running, or on a system without signals.
    pub fn resume(&self) -> std::io::Result<()> {
        self.process.resume()
    }

    /// Stops the server if it is running, then starts it again with the same ports, settings and store.
    ///
    /// After a [`kill`](Self::kill) this is how it comes back. Returns when it is ready, as the first start did.
    ///
    /// # Errors
    ///
    /// As for the first start. The server is then not running, and `restart` may be tried again.
    pub async fn restart(&self) -> Result<(), StartError> {
        let _turn = self.turn.lock().await;
        self.process.stop(STOP_WITHIN).await;
        self.launch().await
    }

    async fn launch(&self) -> Result<(), StartError> {
        let home = self.home.path();
        readiness::forget_earlier_starts(home);
        self.process
            .spawn(
                &self.binary,
                &config::arguments(&self.settings, home),
                config::variables(&self.settings),
                &log::file_in(home),
            )
            .map_err(|source| StartError::Spawn { path: self.binary.path().to_path_buf(), source })?;
        let ready = readiness::wait(&self.process, &self.settings, home).await;
        if ready.is_err() {
            self.process.kill();
        }
        ready
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            show_log(self.name(), &self.log_tail(LINES_SHOWN_ON_PANIC));
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failed test must show what its server said, with no subscriber set up")]
fn show_log(name: &str, tail: &str) {
    eprintln!("--- the end of the log of {name} ---\n{tail}\n--- end of log ---");
}
