//! Why a call brought nothing, in words, and what to do about it.

use std::time::Duration;

use headwater_core::call::CallError;
use headwater_core::{CommandId, Failure, FailureCode, Name};
use headwater_nats::connect::HumanDuration;
use serde_json::Value;

use super::check::{place, violations};
use crate::complaint::Complaint;

/// What was called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Called<'a> {
    /// None where the question went to whoever is there.
    pub(crate) service: Option<&'a Name>,
    /// Of a command: what a retry has to carry.
    pub(crate) command_id: Option<&'a CommandId>,
}

impl Called<'_> {
    /// A question to whoever is there.
    pub(crate) const fn nothing() -> Self {
        Self { service: None, command_id: None }
    }

    /// What to do about a call that may be sent again.
    fn again(&self) -> String {
        match self.command_id {
            Some(id) => format!("Send it again with --command-id {id}: it takes effect once at most."),
            None => "Nothing was changed; it may be asked again.".to_owned(),
        }
    }
}

/// Why a call brought nothing.
pub(crate) fn complaint(error: CallError, called: &Called<'_>) -> Complaint {
    let message = error.to_string();
    let complaint = match error {
        CallError::Failed(failure) => failed(failure, called),
        CallError::NotSent(why) => Complaint::refused("not-sent", why),
        CallError::NoResponders { .. } => {
            Complaint::failed("no-responders", message).note("`headwater services ls` lists who is there.")
        }
        CallError::Disconnected(_) => {
            Complaint::failed("disconnected", message).note("Nothing was sent; it may be tried again.")
        }
        CallError::OutcomeUnknown { .. } => {
            Complaint::failed(FailureCode::OutcomeUnknown.as_str(), message).note(called.again())
        }
        CallError::Unanswered(_) => Complaint::failed("no-answer", message).note(called.again()),
        CallError::Unreadable(_) => {
            let unreadable = Complaint::failed("unreadable-answer", message);
            match called.service {
                Some(service) => unreadable.note(format!(
                    "Is `{service}` a service of another kind? `headwater services info {service}` tells."
                )),
                None => unreadable,
            }
        }
        other => Complaint::failed("failed", other.to_string()),
    };
    match called.command_id {
        Some(id) => complaint.detail("commandId", id.as_str()),
        None => complaint,
    }
}

/// A failure that the service told.
fn failed(failure: Failure, called: &Called<'_>) -> Complaint {
    let Failure { code, message, details, .. } = failure;
    // Numbers from 500 tell of trouble in the service, the others of something wrong with the call.
    let told = match code.number() {
        ..500 => Complaint::refused(code.as_str(), message),
        _ => Complaint::failed(code.as_str(), message),
    };
    let told = match &code {
        FailureCode::ValidationFailed => violations(&details).iter().fold(told, |told, one| told.note(place(one))),
        FailureCode::CommandRejected => rejection(told, &details),
        FailureCode::Unauthenticated => {
            told.note("--bearer-file, HEADWATER_TOKEN or --sign-with say who calls; the service asks for it.")
        }
        FailureCode::Forbidden => told.note("Who calls is known; the rules of the service do not allow them this."),
        FailureCode::Conflict => told.note("Read the aggregate again (`headwater aggregate show`), and decide again."),
        FailureCode::PayloadTooLarge => told.note("The limit is the service's; several smaller commands may do."),
        FailureCode::RateLimited => told.note(match retry_after(&details) {
            Some(time) => format!("There is room again in {time}."),
            None => "There is room again in a while.".to_owned(),
        }),
        FailureCode::Internal => told.note("It is a fault of the service; its log tells more."),
        FailureCode::Unavailable => {
            let told = match details.get("reason").and_then(Value::as_str) {
                Some(reason) => told.note(format!("The service's reason: {reason}.")),
                None => told,
            };
            told.note("Nothing was done; it may be tried again.")
        }
        FailureCode::OutcomeUnknown | FailureCode::DeadlineExceeded => told.note(called.again()),
        _ => told,
    };
    details.into_iter().fold(told, |told, (member, value)| told.detail(&member, value))
}

/// The domain's no: under its own name, with what it says beside it.
fn rejection(told: Complaint, details: &serde_json::Map<String, Value>) -> Complaint {
    let Some(name) = details.get("rejection").and_then(Value::as_str) else { return told };
    let members = details.iter().filter(|(member, _)| *member != "rejection");
    members.fold(told.named(name), |told, (member, value)| match value {
        Value::String(text) => told.note(format!("{member}: {text}")),
        other => told.note(format!("{member}: {other}")),
    })
}

fn retry_after(details: &serde_json::Map<String, Value>) -> Option<HumanDuration> {
    let milliseconds = details.get("retryAfterMs")?.as_u64()?;
    Some(HumanDuration::from(Duration::from_millis(milliseconds)))
}

#[cfg(test)]
mod tests {
    use headwater_core::call::LostReply;
    use headwater_core::{Revision, Violation};
    use serde_json::json;

    use super::*;

    fn told(error: CallError, command: Option<&'static str>) -> (String, Value) {
        let command_id = command.map(|id| CommandId::new(id).unwrap());
        let service = Name::new("receipts").unwrap();
        let called = Called { service: Some(&service), command_id: command_id.as_ref() };
        match complaint(error, &called) {
            Complaint::Told(reason) => (reason.lines().join("\n"), reason.json()["error"].clone()),
            other => panic!("something is told, not {other:?}"),
        }
    }

    #[test]
    fn a_rejection_is_told_by_its_name_with_what_it_says() {
        let rejected = Failure::new(FailureCode::CommandRejected, "the receipt is closed")
            .detail("rejection", "receipt-not-open")
            .detail("status", "voided");
        let (text, json) = told(rejected.into(), Some("till-7"));
        assert_eq!(text, "refused: receipt-not-open: the receipt is closed\n  status: voided");
        assert_eq!(json["code"], "command-rejected");
        let details = json!({ "rejection": "receipt-not-open", "status": "voided", "commandId": "till-7" });
        assert_eq!(json["details"], details);
    }

    #[test]
    fn every_code_has_its_word_and_trouble_is_told_from_refusal() {
        for code in FailureCode::ALL {
            let (word, number) = (code.as_str().to_owned(), code.number());
            let (text, json) = told(Failure::new(code, "why").into(), None);
            let verdict = if number < 500 { "refused" } else { "failed" };
            assert!(text.starts_with(&format!("{verdict}: {word}: why")), "{text}");
            assert_eq!(json["code"], word);
        }
        let (text, _) = told(Failure::new(FailureCode::Unknown("teapot".into()), "why").into(), None);
        assert_eq!(text, "failed: teapot: why");
    }

    #[test]
    fn violations_conflicts_and_waiting_times_are_told() {
        let violation = |path: &str, message: &str| Violation { path: path.into(), message: message.into() };
        let broken = Failure::validation_failed("add", &[violation("/n", "too small"), violation("", "odd")]);
        let (text, _) = told(broken.into(), None);
        assert!(text.ends_with("\n  /n: too small\n  the payload: odd"), "{text}");
        let (_, json) = told(Failure::conflict(Revision::new(3), Revision::new(5)).into(), None);
        assert_eq!(json["details"]["actualRevision"], 5);
        let limited = Failure::new(FailureCode::RateLimited, "too many").retry_in(Duration::from_millis(1500));
        let (text, _) = told(limited.into(), None);
        assert!(text.ends_with("There is room again in 1500ms."), "{text}");
    }

    #[test]
    fn an_unknown_outcome_tells_the_id_to_send_it_again_with() {
        let unknown = || {
            let command_id = CommandId::new("till-7").unwrap();
            CallError::OutcomeUnknown { command_id, cause: LostReply::ConnectionLost }
        };
        let late = || Failure::new(FailureCode::DeadlineExceeded, "too late").into();
        for error in [unknown(), late()] {
            let (text, json) = told(error, Some("till-7"));
            assert!(text.contains("--command-id till-7"), "{text}");
            assert_eq!(json["details"]["commandId"], "till-7");
        }
        let (text, _) = told(CallError::Unanswered(LostReply::ConnectionLost), None);
        assert!(text.contains("asked again") && !text.contains("--command-id"), "{text}");
    }
}
