//! The port that messages are published by.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::BoxError;
use crate::message::Message;

/// Stores messages in streams. Implemented in memory and on JetStream, and held to one conformance suite.
///
/// An implementation sends and tells what became of it, and no more: prefixes, codecs, retries and hooks are the
/// publisher's on top.
pub trait Publish: Debug + Send + Sync + 'static {
    /// Hands a message to the transport, which happens before the outer future is done, so that messages are stored in the
    /// order in which they were handed over; the inner one tells whether it was stored.
    ///
    /// Past the deadline the inner future gives up with [`PublishError::Unknown`], or with
    /// [`PublishError::Unavailable`] where nothing was sent.
    fn send(&self, message: Message, deadline: Instant) -> BoxFuture<'_, Result<Acknowledgement, PublishError>>;
}

/// Resolves when a stream has said whether it stored a message.
pub type Acknowledgement = BoxFuture<'static, Result<Published, PublishError>>;

/// A message that a stream has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The stream.
    pub stream: String,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// The stream had a message with this id already, within its duplicate window: this one was not stored again.
    pub duplicate: bool,
}

/// Why a message was not stored, or why nobody can tell.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No stream takes this subject. Nothing was stored.
    #[error("no stream takes messages at `{subject}`")]
    NoStream {
        /// Where the message was to go.
        subject: String,
    },
    /// The subject, a header or the size is not allowed. Nothing was stored, and trying again would not help.
    #[error("a message for `{subject}` cannot be published: {reason}")]
    Refused {
        /// Where the message was to go.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing was stored; it may be tried again.
    #[error("a message for `{subject}` was not stored")]
    Unavailable {
        /// Where the message was to go.
        subject: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// It may have been stored. Trying again is safe with a message id, within the stream's duplicate window.
    #[error("whether a message for `{subject}` was stored is unknown")]
    Unknown {
        /// Where the message was to go.
        subject: String,
        /// Why.
        #[source]
        source: BoxError,
    },
}
