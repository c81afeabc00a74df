//! JSON objects read with refusals that name the member.

use chrono::{DateTime, Utc};
use headwater_core::{AggregateId, Failure, Name};
use serde::Deserialize;

/// Reads a JSON object. `within` is the path of the object itself, with a dot at its end, empty
/// for the whole body.
///
/// The quick way comes first; only a refusal is looked into a second time, to name the member.
pub(super) fn object<'a, T: Deserialize<'a>>(within: &'static str, json: &'a [u8]) -> Result<T, Failure> {
    // A struct can be read from an array too, by position; the protocol knows objects only.
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Failure::invalid_request(match within.strip_suffix('.') {
            Some(member) => format!("`{member}` must be an object"),
            None if json.is_empty() => "the body is empty; a JSON object is expected".to_owned(),
            None => "the body must be a JSON object".to_owned(),
        }));
    }
    serde_json::from_slice(json).map_err(|error| explain::<T>(within, json, &error))
}

fn explain<'a, T: Deserialize<'a>>(within: &str, json: &'a [u8], error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    if let Some(member) = quoted(&text, "missing field ") {
        return Failure::invalid_request(format!("missing member `{within}{member}`"));
    }
    if let Some(member) = quoted(&text, "duplicate field ") {
        return Failure::invalid_request(format!("the member `{within}{member}` is there twice"));
    }
    if !error.is_data() {
        // What the parser says about syntax quotes nothing from the text.
        return Failure::invalid_request(format!("the body is not JSON: {text}"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let path = serde_path_to_error::deserialize::<_, T>(&mut deserializer)
        .err()
        .map_or_else(|| ".".to_owned(), |error| error.path().to_string());
    Failure::invalid_request(format!("`{within}{path}` must be {}", expected(&path)))
}

/// What stands in backquotes after `start`.
fn quoted<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

/// What the protocol expects of a member.
fn expected(member: &str) -> &'static str {
    match member {
        "expectedRevision" | "atRevision" | "minRevision" | "afterRevision" => "a non-negative integer",
        "limit" => "a positive integer",
        "return" => "`entity` or `revision`",
        "atTime" | "timestamp" => "an RFC 3339 time",
        "metadata" => "an object",
        _ => "a string",
    }
}

/// The aggregate of a request.
pub(super) fn aggregate(kind: Name, id: &str) -> Result<AggregateId, Failure> {
    AggregateId::of(kind, id).map_err(|error| Failure::invalid_request(error.to_string()))
}

/// The time in a member.
pub(super) fn time(member: &str, text: &str) -> Result<DateTime<Utc>, Failure> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| Failure::invalid_request(format!("`{member}` must be an RFC 3339 time")))
}
