//! Why a call brought no result.

use crate::{CommandId, Failure, FailureCode};

/// Why a call brought no result. The arms differ in what the caller may do next.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The service answered, with a failure.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The request was refused before it was sent: nothing happened.
    #[error("the request was not sent: {0}")]
    NotSent(String),
    /// No instance of the service is listening: nothing happened.
    #[error("no instance of `{service}` is listening")]
    NoResponders {
        /// The service.
        service: String,
    },
    /// There is no connection to the server: nothing was sent.
    #[error("not connected to the server: {0}")]
    Disconnected(String),
    /// A command was sent and its reply lost: it took effect, or it did not, or it still may until
    /// the deadline of the call. Sending it again with the same command id is safe and settles it; a
    /// rejection is final from that deadline on.
    #[error("the outcome of command {command_id} is unknown: {cause}")]
    OutcomeUnknown {
        /// What to send again.
        command_id: CommandId,
        /// How the reply was lost.
        cause: LostReply,
    },
    /// A query got no answer. Asking again is always safe.
    #[error("the query got no answer: {0}")]
    Unanswered(LostReply),
    /// An answer came that is not one of the protocol's.
    #[error("the service's answer cannot be read: {0}")]
    Unreadable(String),
}

/// How a reply was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LostReply {
    /// It did not come in time.
    #[error("no reply within {0:?}")]
    Timeout(std::time::Duration),
    /// The connection was lost while waiting.
    #[error("the connection was lost while waiting for the reply")]
    ConnectionLost,
    /// The service itself could not tell.
    #[error("the service could not tell")]
    Service,
}

impl CallError {
    /// Whether the same call, with the same command id, may be sent again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.retryable,
            Self::NoResponders { .. } | Self::Disconnected(_) | Self::OutcomeUnknown { .. } | Self::Unanswered(_) => {
                true
            }
            Self::NotSent(_) | Self::Unreadable(_) => false,
        }
    }

    /// Whether time ran out, here or in the service.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.code == FailureCode::DeadlineExceeded,
            Self::OutcomeUnknown { cause, .. } | Self::Unanswered(cause) => matches!(cause, LostReply::Timeout(_)),
            _ => false,
        }
    }

    /// The failure, when the service answered with one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}
