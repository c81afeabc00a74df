//! Failures read from replies, also from those that carry no more than the error headers.

use async_nats::HeaderMap;
use headwater_core::{Failure, FailureCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::header;

/// The member `error`, read with all the tolerance that a newer service may need.
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    code: FailureCode,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    retryable: Option<bool>,
    #[serde(default)]
    details: Value,
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Self {
        let details = match body.details {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let retryable = body.retryable.unwrap_or_else(|| body.code.is_retryable());
        let message = body.message.unwrap_or_else(|| "the service gave no message".to_owned());
        Self { code: body.code, message, retryable, details }
    }
}

/// The failure that the error headers tell of, for a reply whose body does not.
pub(super) fn of_headers(headers: Option<&HeaderMap>) -> Option<Failure> {
    let number = header::get(headers?, header::SERVICE_ERROR_CODE)?;
    let message = header::get(headers?, header::SERVICE_ERROR).filter(|message| !message.is_empty());
    Some(Failure::new(code_of(number), message.unwrap_or("the service gave no message")))
}

/// The code that a bare number most likely stands for. 503 is read as the one that promises less.
fn code_of(number: &str) -> FailureCode {
    match number {
        "400" => FailureCode::InvalidRequest,
        "401" => FailureCode::Unauthenticated,
        "403" => FailureCode::Forbidden,
        "404" => FailureCode::NotFound,
        "409" => FailureCode::Conflict,
        "413" => FailureCode::PayloadTooLarge,
        "422" => FailureCode::CommandRejected,
        "429" => FailureCode::RateLimited,
        "500" => FailureCode::Internal,
        "503" => FailureCode::OutcomeUnknown,
        "504" => FailureCode::DeadlineExceeded,
        other => FailureCode::Unknown(other.chars().take(20).collect()),
    }
}
