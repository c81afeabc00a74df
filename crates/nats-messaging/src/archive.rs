//! The port by which a stream is read and cleared message by message, by place: what dead letters are listed and redriven by.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use crate::BoxError;
use crate::message::Message;

/// Looks at the messages of streams without consuming them. Implemented in memory and on JetStream.
pub trait Archive: Debug + Send + Sync + 'static {
    /// The first message at this place or later whose subject the pattern takes; none when there is none.
    fn next(&self, stream: String, pattern: String, from: u64)
    -> BoxFuture<'_, Result<Option<Archived>, ArchiveError>>;

    /// Takes a message out of its stream; whether it was there.
    fn remove(&self, stream: String, sequence: u64) -> BoxFuture<'_, Result<bool, ArchiveError>>;

    /// Whether messages stay in this stream when they are acknowledged, so that they can be read later: not in a work queue.
    /// Where an implementation does not know, they do not.
    fn keeps_acknowledged(&self, stream: String) -> BoxFuture<'_, Result<bool, ArchiveError>> {
        drop(stream);
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// A message in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The message.
    pub message: Message,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// When it was stored.
    pub timestamp: DateTime<Utc>,
}

/// Why a stream could not be read or cleared.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such stream.
    #[error("there is no stream `{stream}`")]
    NoStream {
        /// Its name.
        stream: String,
    },
    /// It will not work later either.
    #[error("stream `{stream}` does not allow that: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// What is wrong.
        reason: String,
    },
    /// It does not work now. A message may have been taken out nevertheless.
    #[error("stream `{stream}` cannot be reached")]
    Unavailable {
        /// The stream.
        stream: String,
        /// Why.
        #[source]
        source: BoxError,
    },
}
