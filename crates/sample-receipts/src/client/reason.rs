//! Why a call brought nothing, for people and as JSON.

use headwater::call::CallError;
use headwater::client::ExecuteError;
use headwater::{Failure, FailureCode, Rejection as _};
use sample_receipts::domain::ReceiptRejection;
use serde_json::{Map, Value, json};

use crate::complaint::Complaint;
use crate::show::plain;

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) struct Reason {
    /// Whether the service, or the domain, said no; otherwise something did not work.
    is_refusal: bool,
    /// The protocol's code, or a word of the same kind for what never reached the service.
    code: String,
    /// What people are told instead of the code, where there is a better word.
    name: Option<&'static str>,
    message: String,
    /// More, each on a line of its own.
    notes: Vec<String>,
    details: Map<String, Value>,
}

impl Reason {
    fn new(is_refusal: bool, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { is_refusal, code, name: None, message, notes: Vec::new(), details: Map::new() }
    }

    fn failure(failure: Failure) -> Self {
        // Numbers from 500 tell of trouble in the service, the others of something wrong with the call.
        let is_refusal = failure.code.number() < 500;
        Self { details: failure.details, ..Self::new(is_refusal, failure.code.as_str(), failure.message) }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// For people: what happened in the first line, more in the next ones.
    pub(super) fn lines(&self) -> Vec<String> {
        let verb = if self.is_refusal { "refused" } else { "failed" };
        let word = self.name.unwrap_or(&self.code);
        let mut lines = vec![format!("{verb}: {}: {}", plain(word), plain(&self.message))];
        lines.extend(self.notes.iter().map(|note| format!("  {}", plain(note))));
        lines
    }

    /// For the end of the program.
    pub(super) fn into_complaint(self, json: bool) -> Complaint {
        let text = match json {
            true => {
                let error = json!({ "code": self.code, "message": self.message, "details": self.details });
                json!({ "success": false, "error": error }).to_string()
            }
            false => self.lines().join("\n"),
        };
        Complaint::Failed(text)
    }
}

impl From<ExecuteError<ReceiptRejection>> for Reason {
    fn from(error: ExecuteError<ReceiptRejection>) -> Self {
        let message = error.to_string();
        match error {
            ExecuteError::Rejected(rejection) => {
                Self { name: Some(rejection.name()), ..Self::failure(Failure::rejected(&rejection)) }
            }
            ExecuteError::Conflict { actual } => {
                let mut conflict = Self::new(true, FailureCode::Conflict.as_str(), message);
                conflict.details.extend(actual.map(|actual| ("actualRevision".to_owned(), actual.get().into())));
                conflict.note("Read the receipt again, and decide again.")
            }
            ExecuteError::Invalid(violations) => {
                let code = FailureCode::ValidationFailed;
                let mut invalid = Self::new(true, code.as_str(), "the payload breaks the command's schema");
                invalid.details.insert("violations".to_owned(), json!(violations));
                violations.iter().fold(invalid, |invalid, violation| {
                    let at = if violation.path.is_empty() { "the payload" } else { &violation.path };
                    invalid.note(format!("{at}: {}", violation.message))
                })
            }
            ExecuteError::OutcomeUnknown { command_id, cause } => {
                Self::from(CallError::OutcomeUnknown { command_id, cause })
            }
            ExecuteError::Call(error) => Self::from(error),
            other => Self::new(false, "error", other.to_string()),
        }
    }
}

impl From<CallError> for Reason {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Failed(failure) => Self::failure(failure),
            CallError::NotSent(why) => Self::new(true, "not-sent", why),
            CallError::NoResponders { .. } => {
                Self::new(false, "no-responders", message).note("To run one: cargo run -p sample-receipts -- serve")
            }
            CallError::Disconnected(_) => Self::new(false, "disconnected", message),
            CallError::OutcomeUnknown { command_id, .. } => {
                Self::new(false, FailureCode::OutcomeUnknown.as_str(), message).note(format!(
                    "The same command with --command-id {command_id} settles it, and takes effect once at most."
                ))
            }
            CallError::Unanswered(_) => Self::new(false, "no-answer", message),
            CallError::Unreadable(_) => Self::new(false, "unreadable-answer", message),
            other => Self::new(false, "error", other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater::call::LostReply;
    use headwater::{CommandId, Revision, Violation};

    use super::*;

    fn told(error: ExecuteError<ReceiptRejection>) -> String {
        Reason::from(error).lines().join("\n")
    }

    #[test]
    fn a_rejection_is_told_by_its_name_and_in_words() {
        let rejection = ReceiptRejection::ItemNotFound { name: "Tea".to_owned() };
        assert_eq!(told(ExecuteError::Rejected(rejection)), "refused: item-not-found: there is no Tea on the receipt");
    }

    #[test]
    fn as_json_a_rejection_is_what_the_protocol_says() {
        let reason = Reason::from(ExecuteError::Rejected(ReceiptRejection::ReceiptEmpty));
        let Complaint::Failed(text) = reason.into_complaint(true) else { panic!("a failure is expected") };
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["error"]["code"], "command-rejected");
        assert_eq!(told["error"]["details"]["rejection"], "receipt-empty");
    }

    #[test]
    fn every_violation_is_told_with_its_place() {
        let violation = |path: &str, message: &str| Violation { path: path.to_owned(), message: message.to_owned() };
        let told = told(ExecuteError::Invalid(vec![violation("/quantity", "too small"), violation("", "too odd")]));
        assert!(told.starts_with("refused: validation-failed: "), "{told}");
        assert!(told.ends_with("\n  /quantity: too small\n  the payload: too odd"), "{told}");
    }

    #[test]
    fn a_conflict_tells_the_revision_as_json_too() {
        let reason = Reason::from(ExecuteError::<ReceiptRejection>::Conflict { actual: Some(Revision::new(5)) });
        let Complaint::Failed(text) = reason.into_complaint(true) else { panic!("a failure is expected") };
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["error"]["code"], "conflict");
        assert_eq!(told["error"]["details"]["actualRevision"], 5);
    }

    #[test]
    fn an_unknown_outcome_tells_how_to_settle_it() {
        let command_id = CommandId::new("till-7").unwrap();
        let told = told(ExecuteError::OutcomeUnknown { command_id, cause: LostReply::ConnectionLost });
        assert!(told.starts_with("failed: outcome-unknown: "), "{told}");
        assert!(told.contains("--command-id till-7"), "{told}");
    }
}
