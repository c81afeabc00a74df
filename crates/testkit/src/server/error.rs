//! Why a server did not start.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::locate::LocateError;

/// Why a server did not start, in words for the person who reads the failed test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no binary to run; the text says what was tried and how to get one.
    #[error("{0}")]
    Binary(LocateError),
    /// A configuration file was given, and options as well that only a configuration written here can hold.
    #[error(
        "a server with a configuration file of its own takes no further configuration: {option} goes into the file"
    )]
    TwoConfigurations {
        /// The builder's option.
        option: &'static str,
    },
    /// The temporary folder for configuration and log could not be made.
    #[error("a temporary folder for nats-server could not be made")]
    Folder(#[source] io::Error),
    /// The binary is there and could not be run.
    #[error("{} could not be started", path.display())]
    Spawn {
        /// The binary.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server ended before it was ready; the end of its log says why.
    #[error("nats-server ended before it was ready ({status}). The end of its log:\n{log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The server runs, but did not become ready in time.
    #[error("nats-server was not ready within {waited:?}: {missing}. The end of its log:\n{log}")]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// What had not happened yet.
        missing: String,
        /// The end of its log.
        log: String,
    },
}

impl StartError {
    /// Whether another process listens on one of the server's ports. The server only says so in its log.
    #[must_use]
    pub fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}
