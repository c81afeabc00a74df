//! The port of requests and replies.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use tokio::time::Instant;

use crate::BoxError;
use crate::message::Message;

/// Sends requests and takes them in. Implemented in memory and on NATS, and held to one conformance suite.
pub trait Exchange: Debug + Send + Sync + 'static {
    /// Sends a request and waits for the first reply.
    fn request(&self, message: Message, deadline: Instant) -> BoxFuture<'_, Result<Message, RequestError>>;

    /// Sends a message to whoever listens, and asks for no reply. Nobody keeps it.
    fn tell(&self, message: Message) -> BoxFuture<'_, Result<(), RequestError>>;

    /// Takes in what is sent to a subject, wildcards allowed. All who listen in one group share the messages; without a group
    /// each gets them all. When the future is done, nothing that is sent from then on is missed.
    fn listen(&self, subject: String, group: Option<String>) -> BoxFuture<'_, Result<Requests, ListenError>>;
}

/// What is sent to a subject, as it comes. Dropped, it listens no more, and what was on its way is lost.
pub struct Requests {
    coming: BoxStream<'static, Request>,
    leave: Option<Box<dyn FnOnce() + Send>>,
}

impl Requests {
    /// These, which end some time after `leave` was called; for implementations of [`Exchange`].
    pub fn new(coming: impl Stream<Item = Request> + Send + 'static, leave: impl FnOnce() + Send + 'static) -> Self {
        Self { coming: coming.boxed(), leave: Some(Box::new(leave)) }
    }

    /// Listens no more: what is on its way by now still comes, and then the stream ends. What is sent later goes to the others
    /// of the group.
    pub fn leave(&mut self) {
        if let Some(leave) = self.leave.take() {
            leave();
        }
    }
}

impl Stream for Requests {
    type Item = Request;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Request>> {
        self.coming.poll_next_unpin(context)
    }
}

impl Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("has_left", &self.leave.is_none()).finish_non_exhaustive()
    }
}

/// A message that may want a reply.
#[derive(Debug)]
pub struct Request {
    /// The message.
    pub message: Message,
    /// Where the reply goes; none when nobody waits for one.
    pub reply: Option<Box<dyn Reply>>,
}

/// Answers one request.
pub trait Reply: Debug + Send {
    /// Sends the reply; the subject of the message is of no matter.
    fn send(self: Box<Self>, message: Message) -> BoxFuture<'static, Result<(), RequestError>>;
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nobody listens. The request has reached no one.
    #[error("nobody listens at `{subject}`")]
    NobodyListens {
        /// Where the request went.
        subject: String,
    },
    /// There was no reply in time. Somebody may have got the request.
    #[error("there was no reply from `{subject}` in time")]
    TimedOut {
        /// Where the request went.
        subject: String,
    },
    /// The subject, a header or the size is not allowed. Nothing was sent.
    #[error("a message for `{subject}` cannot be sent: {reason}")]
    Refused {
        /// Where it was to go.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be sent, or the connection was lost while it was under way.
    #[error("`{subject}` cannot be reached")]
    Unavailable {
        /// Where the request was to go.
        subject: String,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
#[error("`{subject}` cannot be listened to")]
pub struct ListenError {
    /// What was to be listened to.
    pub subject: String,
    /// Why.
    #[source]
    pub source: BoxError,
}
