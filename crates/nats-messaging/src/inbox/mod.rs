//! Which messages were handled, by their ids, so that those who come twice are handled once.
//!
//! JetStream delivers at least once: what was handled and whose acknowledgement was lost comes again, and what was
//! published twice outside of the stream's duplicate window is there twice. A processor with an inbox looks a message's
//! id up before it hands the message to its handler, and notes it after the handler was done, before it acknowledges.
//!
//! What holds, and what does not:
//!
//! - A process that ends between the handler's end and the note leaves nothing behind: the message comes again and is
//!   handled again. At least once stays at least once; who needs exactly once notes the id in the same transaction as what
//!   the handler does.
//! - Two copies of a message that are handled at the same moment are both handled: the note is made at the end. To keep
//!   copies of one id from running side by side within a processor, make the id its [key](crate::processing::Key).
//! - Ids are forgotten as the bucket's limits say. A copy that comes later than that is handled.
//! - An inbox that cannot be asked holds messages up, because nobody can say whether they were handled. One that cannot take
//!   the note does not: the message was handled, and is acknowledged.
//! - Messages without a [`Nats-Msg-Id`](crate::message::MESSAGE_ID) are not filtered.

use std::sync::Arc;

use bytes::Bytes;

use crate::bucket::{Bucket, BucketError, digest};

/// The ids of messages that were handled, of each consumer apart. Clones are the same inbox.
///
/// ```
/// use std::time::Duration;
/// use headwater_nats_messaging::bucket::{BucketError, BucketLimits, MemoryBucket};
/// use headwater_nats_messaging::inbox::Inbox;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BucketError> {
/// let a_day = BucketLimits::default().max_age(Duration::from_secs(24 * 3600));
/// let inbox = Inbox::new(MemoryBucket::new(a_day));
/// inbox.mark("ORDERS", "mailer", "order-7").await?;
/// assert!(inbox.has("ORDERS", "mailer", "order-7").await?);
/// assert!(!inbox.has("ORDERS", "billing", "order-7").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Inbox {
    bucket: Arc<dyn Bucket>,
}

impl Inbox {
    /// An inbox that keeps ids as long as the bucket does.
    #[must_use]
    pub fn new(bucket: impl Bucket) -> Self {
        Self { bucket: Arc::new(bucket) }
    }

    /// Whether a consumer has handled the message of this id.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be asked.
    pub async fn has(&self, stream: &str, consumer: &str, id: &str) -> Result<bool, BucketError> {
        Ok(self.bucket.get(key(stream, consumer, id)).await?.is_some())
    }

    /// Notes that a consumer has handled the message of this id. What is noted already stays as it is.
    ///
    /// # Errors
    ///
    /// When the bucket did not take it; it may have taken it nevertheless.
    pub async fn mark(&self, stream: &str, consumer: &str, id: &str) -> Result<(), BucketError> {
        match self.bucket.create(key(stream, consumer, id), Bytes::new()).await {
            Ok(_) | Err(BucketError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn key(stream: &str, consumer: &str, id: &str) -> String {
    digest("handled", &[stream, consumer, id])
}
