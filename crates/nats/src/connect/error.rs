//! Why a connection could not be made.

use std::fmt;

use super::config::ConfigError;
use super::probe::ProbeError;

/// What stood in the way of a connection. See [`ConnectError::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The configuration was refused; nothing was tried.
    Config,
    /// No server could be reached: refused, no such host, no route.
    Unreachable,
    /// A server was reached and refused the credentials.
    Authentication,
    /// No encrypted connection could be agreed on.
    Tls,
    /// A server did not answer in time.
    Timeout,
    /// The server is too old, or lacks something that is needed.
    UnsupportedServer,
    /// Anything else.
    Other,
}

/// A connection could not be made. The message names the servers that were tried, without credentials, and what
/// each of them answered.
#[derive(Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ConnectError {
    pub(crate) fn new(kind: ConnectErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What stood in the way.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later with nothing changed on our side.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ConnectErrorKind::Unreachable | ConnectErrorKind::Timeout | ConnectErrorKind::Other)
    }

    /// Whether a server did not answer in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == ConnectErrorKind::Timeout
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<ConfigError> for ConnectError {
    fn from(error: ConfigError) -> Self {
        Self::new(ConnectErrorKind::Config, error.to_string()).caused_by(error)
    }
}

/// The connection to NATS dropped, or is down. Work that was under way may or may not have taken effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection to NATS is down: {reason}")]
pub struct Disconnected {
    pub(crate) reason: String,
}

impl Disconnected {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Why work that publishes was ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// The connection is down, or dropped. What was sent may have taken effect.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The server does not permit us this subject. Nothing was delivered.
    #[error("the NATS server does not permit publishing to {subject}")]
    #[non_exhaustive]
    Forbidden {
        /// The subject that was refused.
        subject: String,
    },
}

impl From<ProbeError> for Disconnected {
    fn from(error: ProbeError) -> Self {
        Self::new(error.to_string())
    }
}
