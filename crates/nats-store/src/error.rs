//! Why a store could not be opened.

use std::fmt;

/// What stood in the way of opening a store. See [`OpenError::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// The settings were refused; nothing was tried.
    Config,
    /// The server is too old.
    UnsupportedServer,
    /// JetStream is switched off, on the server or for the account.
    JetStreamDisabled,
    /// The journal's stream does not exist, and creating it was not allowed.
    Missing,
    /// The journal's stream exists and would not keep the guarantees.
    Unsafe,
    /// The server refused the request, or the user may not send it.
    Refused,
    /// The server could not be reached or did not answer; trying again may help.
    Unavailable,
}

/// A store could not be opened. The message says what was found and what is needed instead.
#[derive(Debug)]
pub struct OpenError {
    kind: OpenErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl OpenError {
    pub(crate) fn new(kind: OpenErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn caused_by(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What stood in the way.
    #[must_use]
    pub fn kind(&self) -> OpenErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later with nothing changed on our side.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind == OpenErrorKind::Unavailable
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
