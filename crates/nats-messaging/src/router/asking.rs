//! Requests with typed questions and replies, for those who ask what a router answers.

use chrono::Utc;
use headwater_core::{Failure, FailureCode, JSON};
use headwater_nats::header;
use headwater_nats::telemetry::context;
use headwater_nats::telemetry::opentelemetry::Context as Span;
use headwater_nats::telemetry::opentelemetry::trace::TraceContextExt as _;
use serde_json::Value;
use tokio::time::Instant;

use crate::codec::{Codec, CodecError, Codecs, Decode, Encode, Json};
use crate::exchange::{Exchange, RequestError};
use crate::message::Message;

/// Why there is no reply of the kind that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no reply.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The reply tells of a failure.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The question cannot be written, or the reply not be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Asks whoever answers at a subject, in JSON unless the question has a format of its own, and reads the reply by its content
/// type. The deadline travels with the question, and so does the current span.
///
/// ```
/// use std::time::Duration;
///
/// use headwater_nats_messaging::memory::MemoryBroker;
/// use headwater_nats_messaging::router::{Payload, Reply, Router, ask};
/// use tokio::time::Instant;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MemoryBroker::new();
/// let doubling = |Payload(number): Payload<u64>| async move { Reply(2 * number) };
/// let router: Router = Router::new().service("doubler").on_message("double", doubling);
/// let running = router.start(broker.clone()).await?;
///
/// let doubled: u64 = ask(&broker, "double", &21, Instant::now() + Duration::from_secs(1)).await?;
/// assert_eq!(doubled, 42);
/// running.shutdown(Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When nobody answers in time, the reply tells of a failure, or it is not what was expected.
pub async fn ask<Q, R>(exchange: &dyn Exchange, subject: &str, question: &Q, deadline: Instant) -> Result<R, AskError>
where
    Q: Encode + Sync,
    R: Decode,
{
    ask_in(exchange, Json, subject, question, deadline).await
}

/// Asks as [`ask`] does, in another format than JSON; a router answers in that one, if it reads it.
#[cfg_attr(feature = "msgpack", doc = "```")]
#[cfg_attr(not(feature = "msgpack"), doc = "```ignore")]
/// # use std::time::Duration;
/// # use headwater_nats_messaging::memory::MemoryBroker;
/// # use headwater_nats_messaging::router::{Payload, Reply, Router};
/// use headwater_nats_messaging::codec::MessagePack;
/// use headwater_nats_messaging::router::ask_in;
/// # use tokio::time::Instant;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = MemoryBroker::new();
/// # let doubling = |Payload(number): Payload<u64>| async move { Reply(2 * number) };
/// # let router: Router = Router::new().service("doubler").on_message("double", doubling);
/// # let running = router.start(broker.clone()).await?;
/// let deadline = Instant::now() + Duration::from_secs(1);
/// let doubled: u64 = ask_in(&broker, MessagePack, "double", &21, deadline).await?;
/// assert_eq!(doubled, 42);
/// # running.shutdown(Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`ask`].
pub async fn ask_in<Q, R>(
    exchange: &dyn Exchange,
    codec: impl Codec,
    subject: &str,
    question: &Q,
    deadline: Instant,
) -> Result<R, AskError>
where
    Q: Encode + Sync,
    R: Decode,
{
    let codecs = Codecs::default().with(codec);
    let mut body = Vec::new();
    question.encode(codecs.last(), &mut body)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let content_type = question.content_type(codecs.last());
    let mut message = Message::new(subject, body).header(header::CONTENT_TYPE, content_type);
    if let Some(time) = chrono::Duration::from_std(left).ok().and_then(|left| Utc::now().checked_add_signed(left)) {
        message.headers.set(header::DEADLINE, header::format_time(time));
    }
    let span = Span::map_current(|current| current.span().span_context().clone());
    if span.is_valid() {
        message.headers.set(header::TRACEPARENT, context::traceparent(&span));
    }
    let reply = exchange.request(message, deadline).await?;
    if let Some(failure) = failure_of(&reply) {
        return Err(failure.into());
    }
    let content_type = reply.headers.get(header::CONTENT_TYPE).unwrap_or(JSON);
    Ok(R::decode(content_type, &reply.body, &codecs)?)
}

/// The failure that a reply tells of: by its headers, and in full in its body.
fn failure_of(reply: &Message) -> Option<Failure> {
    reply.headers.get(header::SERVICE_ERROR_CODE)?;
    let told = serde_json::from_slice::<Value>(&reply.body).ok();
    let told = told.and_then(|mut body| serde_json::from_value(body.get_mut("error")?.take()).ok());
    told.or_else(|| {
        let message = reply.headers.get(header::SERVICE_ERROR).unwrap_or("the service gave no message");
        Some(Failure::new(FailureCode::Internal, message))
    })
}
