//! Requests to JetStream: each sent once, nothing repeated or translated on the way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{HeaderMap, Message, Request, RequestErrorKind};
use bytes::Bytes;
use headwater_core::store::StoreError;
use headwater_nats::connect::Connection;
use serde::Deserialize;
use tokio::time::timeout;

/// Sends requests over the client of the moment and fails them when the connection drops.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) connection: Connection,
    prefix: String,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// It was not sent, so it has no effect.
    NotSent(StoreError),
    /// The server says that nobody takes such requests at the moment, so it has no effect.
    NobodyThere,
    /// It was sent and may have had its effect.
    Lost(StoreError),
}

impl From<NoAnswer> for StoreError {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::NotSent(error) | NoAnswer::Lost(error) => error,
            NoAnswer::NobodyThere => Self::new("JetStream does not answer: no leader, or the stream is gone"),
        }
    }
}

/// An error as JetStream states it. Only the code is acted on, the description is for people.
#[derive(Debug, Clone, Deserialize, thiserror::Error)]
#[error("JetStream refuses: {description} (code {err_code})")]
pub(crate) struct ApiError {
    #[serde(default)]
    pub(crate) code: u16,
    #[serde(default)]
    pub(crate) err_code: u32,
    #[serde(default)]
    pub(crate) description: String,
}

impl ApiError {
    /// Whether the server says that it cannot answer at the moment.
    pub(crate) fn is_transient(&self) -> bool {
        // 10077 is a 503 too, and stands for a store that is full.
        self.code == 503 && !matches!(self.err_code, code::STORE_FAILED | code::DISABLED | code::DISABLED_FOR_ACCOUNT)
    }
}

/// The error codes that are acted on.
pub(crate) mod code {
    pub(crate) const ACCOUNT_RESOURCES: u32 = 10002;
    pub(crate) const INSUFFICIENT_RESOURCES: u32 = 10023;
    pub(crate) const MEMORY_RESOURCES: u32 = 10028;
    pub(crate) const NO_MESSAGE: u32 = 10037;
    pub(crate) const DISABLED_FOR_ACCOUNT: u32 = 10039;
    pub(crate) const STORAGE_RESOURCES: u32 = 10047;
    pub(crate) const MESSAGE_TOO_LARGE: u32 = 10054;
    pub(crate) const STREAM_NAME_TAKEN: u32 = 10058;
    pub(crate) const STREAM_NOT_FOUND: u32 = 10059;
    pub(crate) const WRONG_LAST_SEQUENCE: u32 = 10071;
    pub(crate) const DISABLED: u32 = 10076;
    pub(crate) const STORE_FAILED: u32 = 10077;
    pub(crate) const HEADERS_TOO_LARGE: u32 = 10097;
    pub(crate) const DUPLICATE_IN_PROCESS: u32 = 10158;
    pub(crate) const EXPECTATION_NOT_READY: u32 = 10163;
    pub(crate) const WRITE_IN_PROCESS: u32 = 10164;
    pub(crate) const TOO_MANY_REQUESTS: u32 = 10167;
    pub(crate) const BATCH_INCOMPLETE: u32 = 10176;
    pub(crate) const BATCH_TOO_LARGE: u32 = 10199;
    pub(crate) const BATCH_HOLDS_DUPLICATE: u32 = 10201;
    pub(crate) const TOO_MANY_BATCHES: u32 = 10210;
}

impl Api {
    pub(crate) fn new(connection: Connection) -> Self {
        let prefix = connection.jetstream_prefix();
        Self { connection, prefix }
    }

    /// `$JS.API.{rest}`, or whatever the account has instead of `$JS.API`.
    pub(crate) fn subject(&self, rest: &str) -> String {
        format!("{}.{rest}", self.prefix)
    }

    /// Asks and waits for the one answer.
    pub(crate) async fn request(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Message, NoAnswer> {
        self.request_after(async |_| Ok(()), subject, headers, payload, limit).await
    }

    /// The same, after `before` has sent what must precede it on the same client.
    ///
    /// The connection is looked at right before anything is sent: the client keeps what it is given while disconnected, and
    /// sends it when it is connected again, long after its giver has turned away.
    pub(crate) async fn request_after(
        &self,
        before: impl AsyncFnOnce(&async_nats::Client) -> Result<(), async_nats::PublishError>,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Message, NoAnswer> {
        let current = self.connection.borrowed();
        let (generation, client) = (current.0, &current.1);
        let sent = AtomicBool::new(false);
        // Pinned where it stands: handed on by value it would be in the request's future several times over.
        let mut exchange = std::pin::pin!(async {
            if client.connection_state() != State::Connected {
                return Err(NoAnswer::NotSent(StoreError::new("not connected to NATS")));
            }
            sent.store(true, Ordering::Relaxed);
            if let Err(error) = before(client).await {
                self.connection.report_dead(generation);
                return Err(NoAnswer::Lost(StoreError::new("the request could not be sent whole").caused_by(error)));
            }
            // The time limit is set around the whole exchange, sending included.
            let mut request = Request::new().payload(payload).timeout(None);
            if let Some(headers) = headers {
                request = request.headers(headers);
            }
            client.send_request(subject, request).await.map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => NoAnswer::NobodyThere,
                RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                    NoAnswer::NotSent(StoreError::new("the request cannot be sent").caused_by(error))
                }
                RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                    self.connection.report_dead(generation);
                    NoAnswer::Lost(StoreError::new("the NATS client failed").caused_by(error))
                }
            })
        });
        let outcome = timeout(limit, self.connection.guard(exchange.as_mut())).await;
        match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(down)) => {
                let error = StoreError::new("the connection to NATS is down").caused_by(down);
                Err(if sent.load(Ordering::Relaxed) { NoAnswer::Lost(error) } else { NoAnswer::NotSent(error) })
            }
            Err(_) => Err(NoAnswer::Lost(StoreError::new(format!("no answer from JetStream within {limit:?}")))),
        }
    }
}

/// Reads an answer of the JetStream API.
pub(crate) fn parse<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<Result<T, ApiError>, StoreError> {
    #[derive(Deserialize)]
    struct MaybeError {
        error: Option<ApiError>,
    }
    let unreadable = |error| StoreError::new("JetStream's answer cannot be read").caused_by(Box::new(error));
    let MaybeError { error } = serde_json::from_slice(payload).map_err(unreadable)?;
    match error {
        Some(error) => Ok(Err(error)),
        None => serde_json::from_slice(payload).map(Ok).map_err(unreadable),
    }
}
