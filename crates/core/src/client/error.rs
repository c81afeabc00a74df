//! Why a command brought no success, with the domain's rejection as its own type.

use crate::call::{CallError, LostReply};
use crate::{CommandId, FailureCode, Rejection, Revision, Violation};

/// Why a command brought no success. The arms are what callers branch on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<R> {
    /// The domain said no.
    #[error("rejected: {0}")]
    Rejected(R),
    /// The aggregate is not at the expected revision: read it again and decide again.
    #[error("the expected revision does not hold{}", actual.map_or_else(String::new, |actual| format!("; the aggregate is at {actual}")))]
    Conflict {
        /// The revision it is at.
        actual: Option<Revision>,
    },
    /// The payload breaks the command's schema.
    #[error("the payload is invalid: {}", listed(.0))]
    Invalid(Vec<Violation>),
    /// It took effect, or it did not, or it still may: an instance that hangs may have it until the
    /// deadline of the call. Sending it again with the same command id is safe and settles it; a
    /// rejection is final from that deadline on.
    #[error("the outcome of command {command_id} is unknown: {cause}")]
    OutcomeUnknown {
        /// What to send again.
        command_id: CommandId,
        /// How the reply was lost.
        cause: LostReply,
    },
    /// Anything else.
    #[error(transparent)]
    Call(CallError),
}

impl<R> ExecuteError<R> {
    /// Whether the same command, with the same command id, may be sent again as it is.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::OutcomeUnknown { .. } => true,
            Self::Call(error) => error.is_retryable(),
            Self::Rejected(_) | Self::Conflict { .. } | Self::Invalid(_) => false,
        }
    }

    /// The rejection, when the domain said no.
    pub fn rejection(&self) -> Option<&R> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }
}

impl<R: Rejection> From<CallError> for ExecuteError<R> {
    fn from(error: CallError) -> Self {
        match error {
            CallError::OutcomeUnknown { command_id, cause } => Self::OutcomeUnknown { command_id, cause },
            CallError::Failed(failure) => match failure.code {
                FailureCode::Conflict if failure.reason().is_none() => {
                    Self::Conflict { actual: failure.actual_revision() }
                }
                FailureCode::ValidationFailed => Self::Invalid(failure.violations()),
                // A rejection that this program does not know stays what the service called it.
                _ => failure.rejection().map_or_else(|| Self::Call(CallError::Failed(failure)), Self::Rejected),
            },
            error => Self::Call(error),
        }
    }
}

fn listed(violations: &[Violation]) -> String {
    let listed: Vec<_> = violations
        .iter()
        .map(|Violation { path, message }| if path.is_empty() { message.clone() } else { format!("{path}: {message}") })
        .collect();
    listed.join("; ")
}
