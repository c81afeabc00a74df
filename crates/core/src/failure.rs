//! Failures: everything a service answers that is not success, in the protocol's codes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Rejection, Revision};

/// What kind of failure it is. Each has its number and text on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCode {
    /// 400: not JSON, a missing member, a bad id, a wrong type.
    InvalidRequest,
    /// 400: the payload breaks its schema.
    ValidationFailed,
    /// 401: no or bad credentials where auth is on.
    Unauthenticated,
    /// 403: a known caller who may not do this.
    Forbidden,
    /// 404: an aggregate without events, or a query that does not exist.
    NotFound,
    /// 409: the expected revision does not hold.
    Conflict,
    /// 413: a request, event or reply over the limit.
    PayloadTooLarge,
    /// 422: the domain said no.
    CommandRejected,
    /// 429: too many requests.
    RateLimited,
    /// 500: a bug.
    Internal,
    /// 503: cannot be served now; nothing was done.
    Unavailable,
    /// 503: it may have been done.
    OutcomeUnknown,
    /// 504: the deadline passed.
    DeadlineExceeded,
    /// A code this program does not know, as it came.
    Unknown(String),
}

impl FailureCode {
    /// Every code the protocol has.
    pub const ALL: [Self; 13] = [
        Self::InvalidRequest,
        Self::ValidationFailed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::CommandRejected,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
        Self::OutcomeUnknown,
        Self::DeadlineExceeded,
    ];

    /// The code as the wire writes it, such as `command-rejected`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidRequest => "invalid-request",
            Self::ValidationFailed => "validation-failed",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::PayloadTooLarge => "payload-too-large",
            Self::CommandRejected => "command-rejected",
            Self::RateLimited => "rate-limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Unknown(code) => code,
        }
    }

    /// The number for `Nats-Service-Error-Code`; 500 for a code this program does not know.
    #[must_use]
    pub const fn number(&self) -> u16 {
        match self {
            Self::InvalidRequest | Self::ValidationFailed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::PayloadTooLarge => 413,
            Self::CommandRejected => 422,
            Self::RateLimited => 429,
            Self::Internal | Self::Unknown(_) => 500,
            Self::Unavailable | Self::OutcomeUnknown => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// Whether the same request, with the same command id, may be sent again as it is.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::OutcomeUnknown | Self::DeadlineExceeded)
    }
}

impl From<&str> for FailureCode {
    fn from(code: &str) -> Self {
        Self::ALL.into_iter().find(|known| known.as_str() == code).unwrap_or_else(|| Self::Unknown(code.to_owned()))
    }
}

impl std::fmt::Display for FailureCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FailureCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FailureCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(Self::from(code.as_ref()))
    }
}

/// A failure as the caller gets it: the `error` member of a reply, whichever way it travelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// Which kind.
    pub code: FailureCode,
    /// For people; names the field or the cause, never a payload.
    pub message: String,
    /// Whether the same request may be sent again as it is.
    #[serde(default)]
    pub retryable: bool,
    /// For programs; its members depend on the code.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// One way in which a payload breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Where, as a JSON Pointer into the payload; empty for the payload itself.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl Failure {
    /// A failure of this code.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        let retryable = code.is_retryable();
        Self { code, message: message.into(), retryable, details: Map::new() }
    }

    /// The same with one more member in `details`.
    #[must_use]
    pub fn detail(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.details.insert(member.to_owned(), value.into());
        self
    }

    /// The same with the time after which the next try is worth it, as `details.retryAfterMs`. It is rounded up, so that
    /// whoever waits as long has waited long enough.
    #[must_use]
    pub fn retry_in(self, time: Duration) -> Self {
        self.detail("retryAfterMs", u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// 400 `invalid-request`; the message names the field.
    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(FailureCode::InvalidRequest, message)
    }

    /// 400 `validation-failed` with its violations.
    #[must_use]
    pub fn validation_failed(command: &str, violations: &[Violation]) -> Self {
        let first = violations.first().map_or_else(String::new, |violation| {
            let at = if violation.path.is_empty() { "the payload" } else { &violation.path };
            format!(": {at}: {}", violation.message)
        });
        Self::new(FailureCode::ValidationFailed, format!("the payload of `{command}` breaks its schema{first}"))
            .detail("violations", json!(violations))
    }

    /// 404 `not-found`.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureCode::NotFound, message)
    }

    /// 409 `conflict`: the caller expected another revision than the aggregate has.
    #[must_use]
    pub fn conflict(expected: Revision, actual: Revision) -> Self {
        Self::new(FailureCode::Conflict, format!("revision {expected} was expected and the aggregate is at {actual}"))
            .detail("expectedRevision", expected.get())
            .detail("actualRevision", actual.get())
    }

    /// 413 `payload-too-large`.
    #[must_use]
    pub fn payload_too_large(message: impl Into<String>) -> Self {
        Self::new(FailureCode::PayloadTooLarge, message)
    }

    /// 422 `command-rejected`: the domain's no, with its name and members.
    #[must_use]
    pub fn rejected<R: Rejection>(rejection: &R) -> Self {
        let mut details = rejection.members();
        details.insert("rejection".to_owned(), rejection.name().into());
        Self { details, ..Self::new(FailureCode::CommandRejected, rejection.to_string()) }
    }

    /// 500 `internal`; the message says nothing private.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureCode::Internal, message)
    }

    /// 503 `unavailable`; `reason` is a word for programs, such as `overloaded` or `draining`.
    #[must_use]
    pub fn unavailable(reason: &str, message: impl Into<String>) -> Self {
        Self::new(FailureCode::Unavailable, message).detail("reason", reason)
    }

    /// 503 `outcome-unknown`: the append was sent and its acknowledgement lost.
    #[must_use]
    pub fn outcome_unknown(message: impl Into<String>) -> Self {
        Self::new(FailureCode::OutcomeUnknown, message)
    }

    /// 504 `deadline-exceeded`.
    #[must_use]
    pub fn deadline_exceeded(message: impl Into<String>) -> Self {
        Self::new(FailureCode::DeadlineExceeded, message)
    }

    /// The rejection, when this is one and `R` knows it.
    #[must_use]
    pub fn rejection<R: Rejection>(&self) -> Option<R> {
        if self.code != FailureCode::CommandRejected {
            return None;
        }
        let mut members = self.details.clone();
        let name = members.remove("rejection")?;
        R::from_parts(name.as_str()?, &members)
    }

    /// The aggregate's revision, when this is a conflict that tells it.
    #[must_use]
    pub fn actual_revision(&self) -> Option<Revision> {
        self.details.get("actualRevision").and_then(Value::as_u64).map(Revision::new)
    }

    /// How the payload breaks its schema; empty for other failures.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let violations = self.details.get("violations").cloned().unwrap_or_default();
        serde_json::from_value(violations).unwrap_or_default()
    }

    /// The word that says why it is unavailable, such as `draining`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.details.get("reason").and_then(Value::as_str)
    }

    /// How long to wait before the next try, when the service said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.details.get("retryAfterMs").and_then(Value::as_u64).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_numbers_and_what_may_be_tried_again_are_those_of_the_protocol() {
        let table = [
            ("invalid-request", 400, false),
            ("validation-failed", 400, false),
            ("unauthenticated", 401, false),
            ("forbidden", 403, false),
            ("not-found", 404, false),
            ("conflict", 409, false),
            ("payload-too-large", 413, false),
            ("command-rejected", 422, false),
            ("rate-limited", 429, true),
            ("internal", 500, false),
            ("unavailable", 503, true),
            ("outcome-unknown", 503, true),
            ("deadline-exceeded", 504, true),
        ];
        assert_eq!(FailureCode::ALL.map(|code| (code.to_string(), code.number(), code.is_retryable())), {
            table.map(|(code, number, retryable)| (code.to_owned(), number, retryable))
        });
    }

    #[test]
    fn a_failure_reads_back_as_it_was_written_and_tells_its_details() {
        let violations = [Violation { path: "/price".to_owned(), message: "too precise".to_owned() }];
        let failures = [
            Failure::conflict(Revision::new(3), Revision::new(5)),
            Failure::validation_failed("add-item", &violations),
            Failure::unavailable("draining", "the instance is going"),
            Failure::new(FailureCode::RateLimited, "too many").retry_in(Duration::from_micros(249_001)),
            Failure::not_found("nothing there"),
        ];
        for failure in &failures {
            let text = serde_json::to_string(failure).unwrap();
            assert_eq!(serde_json::from_str::<Failure>(&text).unwrap(), *failure);
        }
        let [conflict, invalid, draining, limited, missing] = failures;
        assert_eq!(conflict.actual_revision(), Some(Revision::new(5)));
        assert_eq!(invalid.violations(), violations);
        assert!(invalid.message.contains("`add-item`") && invalid.message.contains("/price"), "{invalid}");
        assert_eq!((draining.reason(), draining.retryable), (Some("draining"), true));
        assert_eq!(limited.retry_after(), Some(Duration::from_millis(250)));
        assert_eq!((missing.reason(), missing.actual_revision(), missing.violations()), (None, None, Vec::new()));
        assert!(!serde_json::to_string(&missing).unwrap().contains("details"), "no empty member");
    }

    #[test]
    fn a_failure_of_a_newer_service_is_understood_as_far_as_it_goes() {
        let newer = r#"{"code":"teapot","message":"short and stout","details":{"violations":7},"more":[]}"#;
        let failure: Failure = serde_json::from_str(newer).unwrap();
        assert_eq!((failure.code.number(), failure.retryable), (500, false));
        assert!(failure.violations().is_empty());
    }

    #[test]
    fn every_code_survives_the_wire_and_back() {
        for code in FailureCode::ALL {
            let text = serde_json::to_string(&code).unwrap();
            assert_eq!(serde_json::from_str::<FailureCode>(&text).unwrap(), code);
        }
        let newer: FailureCode = serde_json::from_str("\"teapot\"").unwrap();
        assert_eq!(newer, FailureCode::Unknown("teapot".to_owned()));
        assert_eq!(serde_json::to_string(&newer).unwrap(), "\"teapot\"");
    }
}
