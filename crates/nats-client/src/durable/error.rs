//! Why a reader did not start, or ended.

use headwater_core::{AggregateId, Sequence};

use super::DeadLetter;

/// Any error.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a reader of the journal did not start, or ended. Nothing that was not handled was acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// A setting makes no sense; the text names it. Nothing was tried.
    #[error("{0}")]
    Setting(String),
    /// The journal, the durable or the user's rights are not what a reader needs. Waiting does not help.
    #[error("{0}")]
    Refused(String),
    /// The server could not be reached, or did not answer in time. Trying again may help.
    #[error("{message}")]
    #[non_exhaustive]
    Unavailable {
        /// What was tried.
        message: String,
        /// What stood in the way.
        #[source]
        source: BoxError,
    },
    /// A message of the journal is no event of the protocol, or an event stands where it cannot stand. It is never
    /// passed over: everything before it was handled, and nothing after it.
    #[error("the journal is broken at sequence {sequence}: {what}")]
    #[non_exhaustive]
    HistoryBroken {
        /// Where.
        sequence: Sequence,
        /// Whose history it is in, as far as that can be told.
        aggregate: Option<AggregateId>,
        /// What was found there.
        what: String,
    },
    /// The journal is not the one that was read before, or has lost its end: it was restored from a backup or made
    /// anew. Going on would skip events or mistake others for them.
    #[error("{0}")]
    JournalLost(String),
    /// An event could not be handled, and the reader is to halt then.
    #[error("the reader `{}` halts at {}: {}", .0.reader, Where(.0), .0.reason)]
    Halted(Box<DeadLetter>),
}

impl ReaderError {
    /// Whether starting the reader again may help with nothing changed on our side.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(super) fn unavailable(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Unavailable { message: message.into(), source: source.into() }
    }
}

/// An event for people: whose, which, and where it stands.
pub(super) struct Where<'a>(pub(super) &'a DeadLetter);

impl std::fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let DeadLetter { event, attempts, .. } = self.0;
        let (aggregate, revision, sequence) = (&event.aggregate, event.revision, event.sequence);
        let name = &event.event.name;
        write!(f, "`{name}`, revision {revision} of {aggregate} (sequence {sequence}), after attempt {attempts}")
    }
}

/// The error with its causes, in one line.
pub(super) fn in_full(error: &BoxError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
