//! JetStream's API as backups and the doctor use it: requests sent once, under the connection's guard and a time limit.

use std::time::Duration;

use async_nats::{Request, RequestErrorKind};
use bytes::Bytes;
use headwater_nats::connect::{Connection, Interrupted};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::format::{ConsumerRecord, Object};
use crate::complaint::Complaint;

/// JetStream's error code for a stream that does not exist.
const STREAM_NOT_FOUND: u32 = 10059;

/// More pages than a server can have lists; an end for the loop whatever it answers.
const MOST_PAGES: usize = 100_000;

/// The API, over one connection.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) connection: Connection,
    prefix: String,
    limit: Duration,
}

/// Why a request was not answered with what was asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiProblem {
    /// JetStream says no.
    #[error("JetStream refuses: {description} (code {err_code})")]
    Refused { err_code: u32, description: String },
    /// The server does not let this user ask.
    #[error("this NATS user may not publish to {subject}")]
    Forbidden { subject: String },
    /// There is no JetStream, or nobody answers for the account.
    #[error("JetStream does not answer: it is switched off on this server or for this account, or has no leader")]
    NobodyThere,
    /// No answer, or none that can be read.
    #[error("{0}")]
    NoAnswer(String),
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// A stream as the server tells of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: Object,
    #[serde(default)]
    pub(crate) state: Object,
    #[serde(default)]
    pub(crate) cluster: Option<Value>,
}

impl StreamInfo {
    pub(crate) fn name(&self) -> &str {
        self.config.get("name").and_then(Value::as_str).unwrap_or_default()
    }
}

impl ApiProblem {
    /// What is told when a verb cannot go on; `doing` is what it was at.
    pub(crate) fn complaint(&self, doing: &str) -> Complaint {
        let text = format!("{doing}: {self}");
        match self {
            Self::Refused { err_code, .. } => Complaint::refused("jetstream", text).detail("errCode", *err_code),
            Self::Forbidden { subject } => Complaint::refused("forbidden", text)
                .detail("subject", subject.as_str())
                .note("`headwater permissions --role admin` prints what a user needs who looks after streams."),
            Self::NobodyThere => Complaint::failed("no-jetstream", text),
            Self::NoAnswer(_) => Complaint::failed("no-answer", text),
        }
    }
}

impl Api {
    pub(crate) fn new(connection: Connection, limit: Duration) -> Self {
        let prefix = connection.jetstream_prefix();
        Self { connection, prefix, limit }
    }

    /// How long one answer may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Asks for `verb`, such as `STREAM.INFO.ORDERS`, and reads the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, verb: &str, body: &Value) -> Result<T, ApiProblem> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = self.request(format!("{}.{verb}", self.prefix), body, self.limit).await?;
        read(&answer)
    }

    /// Sends `body` to any subject and waits `limit` for the answer.
    pub(crate) async fn request(&self, subject: String, body: Bytes, limit: Duration) -> Result<Bytes, ApiProblem> {
        let client = self.connection.client();
        let request = Request::new().payload(body).timeout(None);
        let exchange = self.connection.guard_to(&subject, client.send_request(subject.clone(), request));
        match timeout(limit, exchange).await {
            Ok(Ok(Ok(answer))) => Ok(answer.payload),
            Ok(Ok(Err(error))) if error.kind() == RequestErrorKind::NoResponders => Err(ApiProblem::NobodyThere),
            Ok(Ok(Err(error))) => Err(ApiProblem::NoAnswer(error.to_string())),
            Ok(Err(Interrupted::Forbidden { subject, .. })) => Err(ApiProblem::Forbidden { subject }),
            Ok(Err(down)) => Err(ApiProblem::NoAnswer(down.to_string())),
            Err(_) => Err(ApiProblem::NoAnswer(format!("no answer from {subject} within {limit:?}"))),
        }
    }

    /// The names of all streams.
    pub(crate) async fn stream_names(&self) -> Result<Vec<String>, ApiProblem> {
        self.pages("STREAM.NAMES", "streams").await
    }

    /// All streams.
    pub(crate) async fn streams(&self) -> Result<Vec<StreamInfo>, ApiProblem> {
        self.pages("STREAM.LIST", "streams").await
    }

    /// One stream; none when there is no such one.
    pub(crate) async fn stream(&self, name: &str) -> Result<Option<StreamInfo>, ApiProblem> {
        match self.ask(&format!("STREAM.INFO.{name}"), &Value::Null).await {
            Ok(info) => Ok(Some(info)),
            Err(ApiProblem::Refused { err_code: STREAM_NOT_FOUND, .. }) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// The consumers of a stream, as the server tells of them.
    pub(crate) async fn consumers<T: DeserializeOwned>(&self, stream: &str) -> Result<Vec<T>, ApiProblem> {
        self.pages(&format!("CONSUMER.LIST.{stream}"), "consumers").await
    }

    /// The consumers of a stream, as a backup keeps them.
    pub(crate) async fn consumer_records(&self, stream: &str) -> Result<Vec<ConsumerRecord>, ApiProblem> {
        self.consumers(stream).await
    }

    /// A list that comes in pages.
    async fn pages<T: DeserializeOwned>(&self, verb: &str, member: &str) -> Result<Vec<T>, ApiProblem> {
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut page: Object = self.ask(verb, &json!({ "offset": all.len() })).await?;
            let total = page.get("total").and_then(Value::as_u64).unwrap_or(0);
            let items = page.remove(member).filter(|items| !items.is_null()).unwrap_or_else(|| json!([]));
            let items: Vec<T> = serde_json::from_value(items).map_err(|error| unreadable(&error))?;
            let is_last = items.is_empty();
            all.extend(items);
            if is_last || all.len() as u64 >= total {
                break;
            }
        }
        Ok(all)
    }
}

/// Reads an answer of the API.
pub(crate) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ApiProblem> {
    #[derive(Deserialize)]
    struct MaybeError {
        error: Option<ApiError>,
    }
    let MaybeError { error } = serde_json::from_slice(payload).map_err(|error| unreadable(&error))?;
    match error {
        Some(ApiError { err_code, description }) => Err(ApiProblem::Refused { err_code, description }),
        None => serde_json::from_slice(payload).map_err(|error| unreadable(&error)),
    }
}

fn unreadable(error: &serde_json::Error) -> ApiProblem {
    ApiProblem::NoAnswer(format!("the answer cannot be read: {error}"))
}

/// Refuses what cannot be the name of a stream, before it becomes part of a subject.
pub(crate) fn check_stream_name(name: &str) -> Result<(), Complaint> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\');
    match name.is_empty() || name.len() > 255 || name.contains(is_bad) {
        true => Err(Complaint::usage(format!("{name:?} is not the name of a stream"))),
        false => Ok(()),
    }
}
