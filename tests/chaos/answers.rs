//! What the client says, as the history keeps it: above all, what may have happened.

use headwater::FailureCode;
use headwater::call::CallError;
use headwater::client::{CommandCall, ExecuteError};
use sample_receipts::domain::{Receipt, ReceiptRejection};
use serde_json::json;

use crate::history::{Answer, Event};

/// Makes a call and says what came of it.
pub(crate) async fn asked(call: CommandCall<Receipt>, with_state: bool) -> Answer {
    let done = if with_state {
        call.await.map(|done| (done.revision, done.sequence, done.events, Some(json!(done.state)), done.replayed))
    } else {
        call.without_state().await.map(|done| (done.revision, done.sequence, done.events, None, done.replayed))
    };
    match done {
        Ok((revision, sequence, events, state, replayed)) => {
            let events = events.iter().map(|event| Event {
                id: event.id.to_string(),
                name: event.name.to_string(),
                revision: event.revision.get(),
            });
            let (revision, sequence) = (revision.get(), sequence.get());
            Answer::Done { revision, sequence, events: events.collect(), state, replayed }
        }
        Err(error) => refused(&error),
    }
}

/// Why a command brought no success, and what may have become of it.
fn refused(error: &ExecuteError<ReceiptRejection>) -> Answer {
    let why = error.to_string();
    match error {
        ExecuteError::Rejected(rejection) => Answer::Rejected { why: rejection.to_string() },
        ExecuteError::Conflict { actual } => Answer::Conflict { actual: actual.map(headwater::Revision::get) },
        ExecuteError::OutcomeUnknown { .. } => Answer::Unknown { why },
        ExecuteError::Call(CallError::NotSent(_) | CallError::NoResponders { .. } | CallError::Disconnected(_)) => {
            Answer::Nothing { why }
        }
        ExecuteError::Call(CallError::Failed(failure)) => match failure.code {
            FailureCode::Conflict if failure.reason() == Some("command-id-reused") => Answer::Reused,
            FailureCode::Unavailable => Answer::Nothing { why },
            FailureCode::DeadlineExceeded | FailureCode::OutcomeUnknown => Answer::Unknown { why },
            _ => Answer::Broken { why },
        },
        _ => Answer::Broken { why },
    }
}

/// Why a query brought no state.
pub(crate) fn refused_read(error: &CallError) -> Answer {
    let why = error.to_string();
    match error {
        CallError::NotSent(_) | CallError::NoResponders { .. } | CallError::Disconnected(_) => Answer::Nothing { why },
        CallError::Unanswered(_) => Answer::Unknown { why },
        CallError::Failed(failure) => match failure.code {
            FailureCode::NotFound => Answer::Missing,
            FailureCode::Unavailable => Answer::Nothing { why },
            FailureCode::DeadlineExceeded => Answer::Unknown { why },
            _ => Answer::Broken { why },
        },
        _ => Answer::Broken { why },
    }
}
