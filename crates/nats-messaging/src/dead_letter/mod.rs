//! Messages that could not be handled: kept with all that is known of them, listed, and redriven.
//!
//! A dead letter is stored at `dead.{stream}.{consumer}`, in a stream that takes `dead.>` and that a topology declares. It
//! carries the message's own headers and body, and in headers `Headwater-Dead-…` ([`header`]) its subject, stream, place,
//! consumer, reason, count and times.
//!
//! What holds:
//!
//! - The dead letter is stored before the message is terminated. When it cannot be stored the message is given back to the
//!   server, or stays in hand where order is kept, and is never lost.
//! - It is stored with an id made of stream, consumer and place, so that a message that is given up twice, because the
//!   process ended in between, is stored once: within the duplicate window of the dead letters' stream.
//! - A dead letter that its stream refuses is stored without its body, and without the largest of the message's headers if it
//!   must be, provided that the message's own stream keeps what is acknowledged: there the rest is found when the letter is
//!   redriven. [`Letter::left_out`] says how much that is. From a work queue nothing is left out.
//! - A redriven message goes to the subject it came from, with an id made of its letter: redriven twice, because the program
//!   that does it ended in between, it is stored once, within the duplicate window of its stream. It says for whom it is
//!   meant, and a processor of another consumer passes it over: that one has had the message. Other programs see it again.
//! - With [`park`](DeadLetters::park), later messages of a dead message's key go to the dead letters too, in their order, until
//!   the key is [released](DeadLetters::release).

mod left_out;
mod letter;
mod listing;
mod parking;
mod redrive;
mod release;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::archive::{Archive, ArchiveError};
use crate::bucket::{Bucket, BucketError};
use crate::publish::{Publish, PublishError, Published};

pub use left_out::LeftOut;
pub use letter::{Cause, Letter, Redriven, header};
pub use listing::{DeadLetter, Selection};
pub use redrive::RedriveReport;
pub use release::Release;

pub(crate) use letter::one_line;
use parking::Parking;

/// Keeps dead letters in a stream, and gives them out again. Clones are the same.
///
/// ```
/// use std::time::Duration;
/// use headwater_nats_messaging::dead_letter::{DeadLetters, Selection};
/// use headwater_nats_messaging::memory::MemoryBroker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MemoryBroker::new();
/// broker.stream("DEAD", ["dead.>"])?;
/// let letters = DeadLetters::new(broker, "DEAD");
/// assert!(letters.list(&Selection::of("ORDERS", "mailer")).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct DeadLetters {
    publish: Arc<dyn Publish>,
    archive: Arc<dyn Archive>,
    stream: Arc<str>,
    prefix: Arc<str>,
    within: Duration,
    parking: Option<Parking>,
}

impl DeadLetters {
    /// Dead letters in this stream, which has to take `dead.>`.
    pub fn new(transport: impl Publish + Archive + Clone, stream: impl Into<String>) -> Self {
        Self {
            publish: Arc::new(transport.clone()),
            archive: Arc::new(transport),
            stream: stream.into().into(),
            prefix: "dead".into(),
            within: Duration::from_secs(5),
            parking: None,
        }
    }

    /// The first tokens of their subjects; `dead` by default.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into().into(), ..self }
    }

    /// How long storing one may take before the message is given back; 5 s by default.
    pub fn store_within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Parks the key of a dead message: later messages of that key go to the dead letters as well, in order, and wait there
    /// until [`release`](Self::release). Which keys are parked is kept in the bucket, in which nothing may go by itself.
    ///
    /// It takes a processor that keeps [order](crate::processing::Processing::in_order_by), and costs it one look into the
    /// bucket for each message: nothing is remembered, so that a key parked by one process is parked for all from that
    /// moment on, and over restarts.
    pub fn park(self, bucket: impl Bucket) -> Self {
        Self { parking: Some(Parking::new(Arc::new(bucket))), ..self }
    }

    /// The stream they are in.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Where the dead letters of a consumer are.
    #[must_use]
    pub fn subject(&self, stream: &str, consumer: &str) -> String {
        format!("{}.{stream}.{consumer}", self.prefix)
    }

    /// Stores a letter; returns once the stream has it. One that is refused as it is, because it is too large, is stored
    /// [without its body](LeftOut).
    ///
    /// # Errors
    ///
    /// When the stream does not say that it has it; it may have it nevertheless.
    pub async fn keep(&self, letter: &Letter) -> Result<Published, LetterError> {
        match self.store(letter).await {
            Err(LetterError::Publish(refused @ PublishError::Refused { .. })) => {
                self.keep_in_part(letter, refused).await
            }
            stored => stored,
        }
    }

    async fn store(&self, letter: &Letter) -> Result<Published, LetterError> {
        let message = letter.to_message(self.subject(&letter.stream, &letter.consumer));
        let published = self.publish(message).await?;
        if published.stream != *self.stream {
            return Err(LetterError::Misplaced { expected: self.stream.to_string(), found: published.stream });
        }
        Ok(published)
    }

    async fn publish(&self, message: crate::message::Message) -> Result<Published, LetterError> {
        Ok(self.publish.send(message, Instant::now() + self.within).await?.await?)
    }

    pub(crate) fn parks(&self) -> bool {
        self.parking.is_some()
    }
}

/// Why a dead letter was not kept, found or redriven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LetterError {
    /// A message was not stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The dead letters cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// What is known of parked keys cannot be read or written.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Another stream takes the subject of dead letters.
    #[error("dead letters are meant for the stream `{expected}`, and their subject leads to `{found}`")]
    Misplaced {
        /// The stream they are meant for.
        expected: String,
        /// The stream that took one.
        found: String,
    },
    /// A letter was refused, and its body can be nowhere else: the message's own stream gives messages away once they are
    /// acknowledged.
    #[error(
        "the dead letter of message {sequence} was refused, and its body cannot be left in the stream `{stream}`, which \
         keeps no messages that are acknowledged"
    )]
    NothingToLeaveOut {
        /// The message's stream.
        stream: String,
        /// The message's place there.
        sequence: u64,
        /// The refusal.
        #[source]
        source: PublishError,
    },
    /// What was left out of a letter is not there any more.
    #[error(
        "message {sequence} of the stream `{stream}` is gone, and its body of {bytes} bytes was left out of its dead letter"
    )]
    Lost {
        /// The message's stream.
        stream: String,
        /// The message's place there.
        sequence: u64,
        /// The size of the body.
        bytes: u64,
    },
}
