//! Headers of requests, replies and appends.

use async_nats::HeaderMap;
use chrono::{DateTime, SecondsFormat, Utc};
use headwater_core::Failure;

/// When the answer stops mattering, RFC 3339; see [`deadline`].
pub const DEADLINE: &str = "Headwater-Deadline";
/// What the body is written in; JSON unless it says otherwise.
pub const CONTENT_TYPE: &str = "Content-Type";
/// The media type of requests and replies.
pub const APPLICATION_JSON: &str = "application/json";
/// The caller's credentials, `Bearer …` or `Basic …`.
pub const AUTHORIZATION: &str = "Authorization";
/// Of a signed request: the public NKey it was signed with.
pub const NKEY: &str = "Headwater-Nkey";
/// Of a signed request: when it was signed, RFC 3339.
pub const TIME: &str = "Headwater-Time";
/// Of a signed request: a text that no other request of the same key carries.
pub const NONCE: &str = "Headwater-Nonce";
/// Of a signed request: the signature, base64url without padding; see [`signature`](crate::signature).
pub const SIGNATURE: &str = "Headwater-Signature";
/// The headers of a signed request.
pub const SIGNED: [&str; 4] = [NKEY, TIME, NONCE, SIGNATURE];
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context.
pub const TRACESTATE: &str = "tracestate";
/// W3C baggage.
pub const BAGGAGE: &str = "baggage";

/// On a failure: its message, for plain NATS clients.
pub const SERVICE_ERROR: &str = "Nats-Service-Error";
/// On a failure: its number, for plain NATS clients.
pub const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

/// The id by which JetStream recognises a repeated publish: an event's id.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// The stream sequence that the last message of a subject must have.
pub const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
/// Which subject, wildcards included, that is about.
pub const EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// The stream a publish is meant for.
pub const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// The id of an atomic batch.
pub const BATCH_ID: &str = "Nats-Batch-Id";
/// The place of a message in its atomic batch, from 1.
pub const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
/// On the last message of an atomic batch: `1`.
pub const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// On a message that JetStream delivered or republished: its stream.
pub const STREAM: &str = "Nats-Stream";
/// On a message that JetStream delivered or republished: the subject it is stored under.
pub const SUBJECT: &str = "Nats-Subject";
/// On a message that JetStream delivered or republished: its stream sequence.
pub const SEQUENCE: &str = "Nats-Sequence";

/// The longest message that `Nats-Service-Error` carries, in bytes; the body has all of it.
const MAX_SERVICE_ERROR: usize = 256;

/// The header called `name`, whatever the case of its letters. The exact spelling wins over
/// others, and the first value over later ones.
#[must_use]
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    if let Some(value) = headers.get(name) {
        return Some(value.as_str());
    }
    // The smallest of several spellings, because the map has no order of its own.
    headers
        .iter()
        .filter(|(spelling, _)| AsRef::<str>::as_ref(*spelling).eq_ignore_ascii_case(name))
        .min_by_key(|(spelling, _)| AsRef::<str>::as_ref(*spelling))
        .and_then(|(_, values)| values.first())
        .map(async_nats::HeaderValue::as_str)
}

/// When the answer to a request stops mattering; none when the request does not say.
///
/// # Errors
/// 400 `invalid-request` when the header is there and is not an RFC 3339 time.
pub fn deadline(headers: &HeaderMap) -> Result<Option<DateTime<Utc>>, Failure> {
    let Some(text) = get(headers, DEADLINE) else { return Ok(None) };
    DateTime::parse_from_rfc3339(text)
        .map(|time| Some(time.to_utc()))
        .map_err(|_| Failure::invalid_request(format!("the header `{DEADLINE}` must be an RFC 3339 time")))
}

/// A time as the protocol writes it: RFC 3339 in UTC, with microseconds.
#[must_use]
pub fn format_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The headers of a reply that carries a failure, by which a plain NATS client notices.
#[must_use]
pub fn of_failure(failure: &Failure) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(SERVICE_ERROR_CODE, failure.code.number().to_string());
    headers.insert(SERVICE_ERROR, one_line(&failure.message).unwrap_or_else(|| failure.code.to_string()));
    headers
}

/// The text as a header may carry it: printable ASCII, no line breaks, at most 256 bytes. None
/// when nothing is left.
fn one_line(text: &str) -> Option<String> {
    let printable = |c: char| match c {
        ' '..='~' => c,
        c if c.is_whitespace() || c.is_control() => ' ',
        _ => '?',
    };
    let line: String = text.chars().take(MAX_SERVICE_ERROR).map(printable).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// Why a header cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is empty or holds something that is no printable ASCII letter, digit or sign,
    /// a space or a colon.
    #[error("the header name {name:?} is not a name: printable ASCII without spaces and colons")]
    Name {
        /// The name, shortened.
        name: String,
    },
    /// The value holds a line break or another control character.
    #[error("the value of the header `{name}` holds a control character")]
    Value {
        /// The header.
        name: String,
    },
    /// The name belongs to NATS or to Headwater.
    #[error("the header `{name}` is reserved: names that start with `Nats-` or `Headwater-` are not a caller's to set")]
    Reserved {
        /// The header.
        name: String,
    },
}

/// Checks a header that a caller wants to send. A bare CR in a value kills the connection of
/// whoever receives it, so the check is not left to the library beneath.
///
/// # Errors
/// [`HeaderError`], which names the header and never shows its value.
pub fn check(name: &str, value: &str) -> Result<(), HeaderError> {
    let is_name = (1..=256).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if !is_name {
        return Err(HeaderError::Name { name: name.chars().take(80).collect() });
    }
    let starts_with = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if starts_with("Nats-") || starts_with("Headwater-") {
        return Err(HeaderError::Reserved { name: name.to_owned() });
    }
    if value.chars().any(char::is_control) {
        return Err(HeaderError::Value { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_core::FailureCode;

    #[test]
    fn a_header_is_found_in_any_spelling_and_the_exact_one_wins() {
        let mut headers = HeaderMap::new();
        headers.insert("Traceparent", "go");
        assert_eq!(get(&headers, TRACEPARENT), Some("go"));
        headers.insert("traceparent", "exact");
        assert_eq!(get(&headers, TRACEPARENT), Some("exact"));
        assert_eq!(get(&headers, TRACESTATE), None);
    }

    #[test]
    fn a_deadline_survives_the_wire_and_a_bad_one_is_named() {
        let time = DateTime::parse_from_rfc3339("2026-11-20T12:00:00.123456Z").unwrap().to_utc();
        let mut headers = HeaderMap::new();
        assert_eq!(deadline(&headers).unwrap(), None);
        headers.insert("headwater-deadline", format_time(time));
        assert_eq!(deadline(&headers).unwrap(), Some(time));
        headers.insert(DEADLINE, "2026-11-20T14:00:00.123456+02:00");
        assert_eq!(deadline(&headers).unwrap(), Some(time));
        headers.insert(DEADLINE, "tomorrow");
        let failure = deadline(&headers).unwrap_err();
        assert_eq!(failure.code, FailureCode::InvalidRequest);
        assert!(failure.message.contains(DEADLINE), "{failure}");
        assert!(!failure.message.contains("tomorrow"), "{failure}");
    }

    #[test]
    fn the_error_headers_are_one_bounded_line_of_ascii() {
        let failure = Failure::invalid_request(format!("line\r\nNats-Forged: yes\t\u{7f}é🧾{}", "x".repeat(1000)));
        let headers = of_failure(&failure);
        assert_eq!(get(&headers, SERVICE_ERROR_CODE), Some("400"));
        let line = get(&headers, SERVICE_ERROR).unwrap();
        assert!(line.len() <= MAX_SERVICE_ERROR && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        assert!(line.starts_with("line  Nats-Forged: yes  ??xxx"), "{line}");
        let silent = of_failure(&Failure::internal("\n"));
        assert_eq!(get(&silent, SERVICE_ERROR), Some("internal"));
    }

    #[test]
    fn a_header_that_could_smuggle_another_is_refused_by_name() {
        assert!(check("X-Request", "fine; é too").is_ok());
        assert!(check("Authorization", "Bearer abc").is_ok());
        for name in ["", "a b", "a:b", "a\r\nb", "é", "a\0"] {
            assert!(matches!(check(name, "v"), Err(HeaderError::Name { .. })), "{name:?}");
        }
        for value in ["a\rb", "a\nb", "a\r\nNats-Msg-Id: 1", "\0", "\u{7f}"] {
            let refused = check("X-Request", value).unwrap_err();
            assert_eq!(refused, HeaderError::Value { name: "X-Request".to_owned() });
            assert!(!refused.to_string().contains(value), "{refused}");
        }
        for name in ["Nats-Msg-Id", "nats-rollup", "NATS-TTL", "Headwater-Deadline", "headwater-x"] {
            assert!(matches!(check(name, "v"), Err(HeaderError::Reserved { .. })), "{name}");
        }
    }
}
