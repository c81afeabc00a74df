//! Replies, written in one go.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use sample_receipts::domain::Receipt;
use serde::Serialize;
use uuid::Uuid;

use super::receipts::Kept;
use super::requests::Problem;

#[derive(Serialize)]
struct Success<'a> {
    success: bool,
    result: Outcome<'a>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    aggregate: Aggregate<'a>,
    revision: u64,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a [EventSummary]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a Receipt>,
}

#[derive(Serialize)]
struct Aggregate<'a> {
    r#type: &'a str,
    id: &'a str,
}

/// One event that a command caused.
#[derive(Serialize)]
pub(super) struct EventSummary {
    pub(super) id: Uuid,
    #[serde(rename = "type")]
    pub(super) name: &'static str,
    pub(super) revision: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    timestamp: String,
    duration: f64,
    instance: &'a str,
    replayed: bool,
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: Error<'a>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
    details: serde_json::Map<String, serde_json::Value>,
}

fn metadata<'a>(
    instance: &'a str,
    took: Duration,
    command: Option<&'a str>,
    correlation: Option<&'a str>,
) -> Metadata<'a> {
    Metadata {
        command_id: command,
        correlation_id: correlation,
        timestamp: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
        duration: (took.as_secs_f64() * 100_000.0).round() / 100.0,
        instance,
        replayed: false,
    }
}

fn write(body: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    serde_json::to_writer(&mut out, body).expect("texts and numbers can be written");
    out
}

/// What a reply to a command tells.
pub(super) struct Done<'a> {
    pub(super) revision: u64,
    pub(super) sequence: u64,
    pub(super) events: &'a [EventSummary],
    /// The state, where it is wanted.
    pub(super) state: Option<&'a Receipt>,
    pub(super) command: &'a str,
    pub(super) correlation: Option<&'a str>,
}

/// To a command that was done.
pub(super) fn done(id: &str, done: &Done<'_>, instance: &str, took: Duration) -> Vec<u8> {
    write(&Success {
        success: true,
        result: Outcome {
            aggregate: Aggregate { r#type: "receipt", id },
            revision: done.revision,
            sequence: done.sequence,
            events: Some(done.events),
            state: done.state,
        },
        metadata: metadata(instance, took, Some(done.command), done.correlation),
    })
}

/// To a `get`.
pub(super) fn entity(id: &str, receipt: &Kept, instance: &str, took: Duration) -> Vec<u8> {
    write(&Success {
        success: true,
        result: Outcome {
            aggregate: Aggregate { r#type: "receipt", id },
            revision: receipt.revision,
            sequence: receipt.sequence(),
            events: None,
            state: Some(&receipt.state),
        },
        metadata: metadata(instance, took, None, None),
    })
}

/// To anything that failed.
pub(super) fn failure(problem: &Problem, instance: &str) -> Vec<u8> {
    write(&Failure {
        success: false,
        error: Error {
            code: problem.code,
            message: &problem.message,
            retryable: problem.number == 503,
            details: serde_json::Map::new(),
        },
        metadata: metadata(instance, Duration::ZERO, None, None),
    })
}
