//! What a store may answer other than success.

use crate::{AggregateId, Revision};

/// Why an append was not confirmed. Callers branch on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The aggregate's history does not end where the append expected it. Nothing was stored.
    #[error("append to {aggregate}: expected revision {expected} does not hold")]
    Conflict {
        /// The aggregate.
        aggregate: AggregateId,
        /// The revision of the head that was given.
        expected: Revision,
        /// The revision the store saw instead, when it could tell.
        actual: Option<Revision>,
    },
    /// The events, or one of them, are over a limit of the store. Nothing was stored.
    #[error("append to {aggregate}: {what}")]
    TooLarge {
        /// The aggregate.
        aggregate: AggregateId,
        /// What was too large, how large, and the limit.
        what: String,
    },
    /// The append was sent, its acknowledgement was lost, and looking it up failed too. The
    /// events are stored or not; the same append may be tried again.
    #[error("append to {aggregate}: the outcome is unknown")]
    OutcomeUnknown {
        /// The aggregate.
        aggregate: AggregateId,
        /// What went wrong last.
        #[source]
        source: StoreError,
    },
    /// The store could not take the append. Nothing was stored.
    #[error("append to {aggregate}: the store is not available")]
    Unavailable {
        /// The aggregate.
        aggregate: AggregateId,
        /// Why.
        #[source]
        source: StoreError,
    },
}

/// Why a read gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What is stored is not a whole history: an event is missing, doubled, or is not an event
    /// of ours. It is reported and never passed over.
    #[error("the history of {aggregate} is broken at revision {revision}: {what}")]
    HistoryBroken {
        /// The aggregate, as far as it is known.
        aggregate: String,
        /// The revision at which it breaks.
        revision: Revision,
        /// What was found there.
        what: String,
    },
    /// The store could not be read; trying again may help.
    #[error("the store is not available")]
    Unavailable(#[from] StoreError),
}

/// An adapter's own error, with the cause kept as its source.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error that says what was attempted.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}
