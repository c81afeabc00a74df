//! Which stream takes a subject.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::OPEN_WITHIN;
use super::api::{ApiError, Trouble, code, persist};
use super::replies::Replies;
use crate::BoxError;
use crate::subject;

/// The stream that takes all that the pattern takes; none when there is none.
pub(super) async fn stream_of(replies: &Replies, pattern: &str) -> Result<Option<String>, BoxError> {
    persist(Instant::now() + OPEN_WITHIN, || ask(replies, pattern)).await.map_err(Trouble::into_source)
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
}

/// When a stream was made; none when there is no such stream.
pub(super) async fn created(replies: &Replies, stream: &str) -> Result<Option<DateTime<Utc>>, Trouble> {
    let subject = format!("STREAM.INFO.{stream}");
    match persist(Instant::now() + OPEN_WITHIN, || replies.ask::<Info>(&subject, None)).await {
        Ok(info) => Ok(Some(info.created)),
        Err(Trouble::Refused(ApiError { err_code: code::STREAM_NOT_FOUND, .. })) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

#[derive(Deserialize)]
struct Info {
    config: Config,
    created: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    subjects: Vec<String>,
}

async fn ask(replies: &Replies, pattern: &str) -> Result<Option<String>, Trouble> {
    let named: Names = replies.ask("STREAM.NAMES", Some(&json!({ "subject": pattern }))).await?;
    // These take some of it; no two of them take the same.
    for stream in named.streams.unwrap_or_default() {
        let info: Info = match replies.ask(&format!("STREAM.INFO.{stream}"), None).await {
            Err(Trouble::Refused(ApiError { err_code: code::STREAM_NOT_FOUND, .. })) => continue,
            info => info?,
        };
        if info.config.subjects.iter().any(|subject| subject::covers(subject, pattern)) {
            return Ok(Some(stream));
        }
    }
    Ok(None)
}
