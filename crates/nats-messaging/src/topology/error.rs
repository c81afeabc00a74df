//! Why a topology could not be read, compared or applied.

use std::path::PathBuf;

use crate::BoxError;

use super::mistakes::Mistakes;
use super::plan::Plan;

/// What went wrong with a topology.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// The file is wrong: every mistake with file, line and field.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// The file cannot be read.
    #[error("the topology {} cannot be read", path.display())]
    #[non_exhaustive]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be applied to this server as it stands. It was found before anything was changed.
    #[error("the topology cannot be applied: {}", problems.join("; "))]
    #[non_exhaustive]
    Refused {
        /// What stands in the way.
        problems: Vec<String>,
    },
    /// Something has to be deleted and made anew, which was not allowed. It was found before anything was changed.
    #[error("this cannot be changed, only replaced, and nobody allowed that: {}", changes.join("; "))]
    #[non_exhaustive]
    NeedsReplace {
        /// What has to be replaced, and why.
        changes: Vec<String>,
    },
    /// The server has something else than the topology says.
    #[error("the server differs from the topology:\n{0}")]
    Drift(Box<Plan>),
    /// Somebody else kept changing the same thing while it was applied. What was done before stays done.
    #[error("{target} was changed by somebody else while it was applied, {attempts} times")]
    #[non_exhaustive]
    Contended {
        /// What it is about.
        target: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server said no. What was done before stays done.
    #[error("the server refused to {doing}: {reason}")]
    #[non_exhaustive]
    Server {
        /// What was asked of it.
        doing: String,
        /// The server's number for it; 0 where it gave none.
        code: u64,
        /// What it said.
        reason: String,
    },
    /// The server cannot be asked now. What was done before stays done.
    #[error("the server did not answer when asked to {doing}")]
    #[non_exhaustive]
    Unavailable {
        /// What was asked of it.
        doing: String,
        /// Why not.
        #[source]
        source: BoxError,
    },
}

impl TopologyError {
    /// Whether the same call may succeed later with nothing changed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Contended { .. })
    }
}
