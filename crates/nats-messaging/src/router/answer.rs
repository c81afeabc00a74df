//! What handlers return.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::Failure;
use headwater_nats::header::CONTENT_TYPE;

use super::context::Context;
use super::handler::Outcome;
use crate::BoxError;
use crate::codec::Encode;
use crate::message::Message;

/// What came of a message, as layers see it.
#[derive(Debug)]
pub enum Answer {
    /// Of an event.
    Event(Outcome),
    /// Of a request: the reply, whose subject is of no matter, or the failure that is told.
    Reply(Result<Message, Failure>),
}

impl Answer {
    /// Whether all went well.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Event(Outcome::Done) | Self::Reply(Ok(_)))
    }
}

/// What a handler of events may return.
///
/// An error means that the event is tried again, with the processing's backoff, as long as deliveries are left; [`Poison`] and
/// [`RetryAfter`] among the errors say otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a handler of events can return",
    label = "no outcome can be made of this",
    note = "handlers of events return `()`, `Outcome`, or `Result` of either with an error that becomes a `BoxError`"
)]
pub trait IntoOutcome {
    /// What came of the event.
    fn into_outcome(self) -> Outcome;
}

/// What a handler of requests may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a handler of requests can return",
    label = "no reply can be made of this",
    note = "handlers of requests return `Reply(value)` with any `Serialize` value, `Bytes`, `Message`, `()` for an empty reply, \
            or `Result` of one of them with an error that becomes a `BoxError`"
)]
pub trait IntoReply {
    /// The reply to this request, or the failure that is told instead.
    ///
    /// # Errors
    ///
    /// With the failure to tell.
    fn into_reply(self, context: &Context) -> Result<Message, Failure>;
}

/// A reply with any value, written in the [format of the request](Context::reply_codec).
///
/// Whoever asks in MessagePack is answered in MessagePack, provided that the router [reads it](super::Router::codecs), and
/// everybody else in JSON. What has a format of its own, such as `Proto`, is written in that, whatever the request was in. The
/// header `Content-Type` says which it is. Failures are told in JSON always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<T>(pub T);

/// The error of an event that no further try can help. Its text must not show the payload.
///
/// ```
/// use headwater_nats_messaging::BoxError;
/// use headwater_nats_messaging::router::{IntoOutcome, Outcome, Poison};
///
/// async fn charge() -> Result<(), BoxError> {
///     Err(Poison::new("the currency is not traded any more").into())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// assert!(matches!(charge().await.into_outcome(), Outcome::Poison { .. }));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Poison(Cow<'static, str>);

impl Poison {
    /// For this reason.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

/// The error of an event that is to be tried again at a time of the handler's choosing.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct RetryAfter {
    /// How long from now.
    pub after: Duration,
    /// Why.
    #[source]
    pub error: BoxError,
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Self {
        self
    }
}

impl<T: IntoOutcome, E: Into<BoxError>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        self.map_or_else(|error| outcome_of_error(error.into()), IntoOutcome::into_outcome)
    }
}

/// What an error of a handler or a layer means for an event.
pub(super) fn outcome_of_error(error: BoxError) -> Outcome {
    let error = match error.downcast::<Poison>() {
        Ok(poison) => return Outcome::Poison { reason: poison.0.into_owned() },
        Err(error) => error,
    };
    let error = match error.downcast::<RetryAfter>() {
        Ok(retry) => return Outcome::Retry { error: retry.error, after: Some(retry.after) },
        Err(error) => error,
    };
    match error.downcast::<Failure>() {
        Ok(failure) => outcome_of_failure(*failure),
        Err(error) => Outcome::Retry { error, after: None },
    }
}

/// What a failure means for an event: one that may be tried again is, any other is poison. A bug of our own may be mended by
/// the next release, so the event is not given up for it at once.
pub(super) fn outcome_of_failure(failure: Failure) -> Outcome {
    if !failure.retryable && failure.code.number() < 500 {
        return Outcome::Poison { reason: failure.message };
    }
    let after = failure.details.get("retryAfterMs").and_then(serde_json::Value::as_u64).map(Duration::from_millis);
    Outcome::Retry { error: failure.into(), after }
}

impl<T: Encode> IntoReply for Reply<T> {
    fn into_reply(self, context: &Context) -> Result<Message, Failure> {
        let (codec, mut body) = (context.reply_codec(), Vec::new());
        self.0.encode(codec, &mut body).map_err(|error| {
            tracing::error!(%error, "a reply cannot be written");
            Failure::internal("the reply cannot be written")
        })?;
        Ok(Message::new("", body).header(CONTENT_TYPE, self.0.content_type(codec)))
    }
}

impl IntoReply for () {
    fn into_reply(self, _: &Context) -> Result<Message, Failure> {
        Ok(Message::new("", ""))
    }
}

impl IntoReply for Bytes {
    fn into_reply(self, _: &Context) -> Result<Message, Failure> {
        Ok(Message::new("", self))
    }
}

impl IntoReply for Message {
    fn into_reply(self, _: &Context) -> Result<Self, Failure> {
        Ok(self)
    }
}

impl<T: IntoReply, E: Into<BoxError>> IntoReply for Result<T, E> {
    fn into_reply(self, context: &Context) -> Result<Message, Failure> {
        self.map_or_else(|error| Err(failure_of_error(error.into())), |reply| reply.into_reply(context))
    }
}

/// What an error of a handler or a layer tells who asked: a failure as it is, what is known of tower as what it means, and of
/// anything else only that it happened.
pub(super) fn failure_of_error(error: BoxError) -> Failure {
    let error = match error.downcast::<Failure>() {
        Ok(failure) => return *failure,
        Err(error) => error,
    };
    if error.is::<tower::timeout::error::Elapsed>() {
        return Failure::deadline_exceeded("the service allows this request less time than it took");
    }
    if error.is::<tower::load_shed::error::Overloaded>() {
        return Failure::unavailable("overloaded", "the service has as many requests of this kind under way as it may");
    }
    tracing::error!(error, "a handler of requests failed");
    Failure::internal("the service failed on this request")
}
