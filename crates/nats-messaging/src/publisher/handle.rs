//! The publisher.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::PublisherError;
use super::builder::PublisherBuilder;
use super::core::Core;
use super::flush::FlushError;
use super::pipeline::{Pipeline, Receipt};
use super::publishing::{Publishing, Value};
use crate::codec::{Codec, CodecError, Encode};
use crate::family::EventFamily;
use crate::publish::{Publish, Published};

/// Publishes values. Clones are the same publisher: they share the window, and closing one closes all.
///
/// Once all of them are gone, messages under way still go their way, and nobody is told when they fail; [`close`](Self::close)
/// waits for them.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    core: Arc<Core>,
    pipeline: Pipeline,
}

impl Publisher {
    /// Settings of a publisher whose messages name this source: a URI reference such as `/orders`.
    pub fn builder(port: Arc<dyn Publish>, source: impl Into<String>) -> PublisherBuilder {
        PublisherBuilder::new(port, source.into())
    }

    pub(super) fn new(core: Core, window: usize) -> Self {
        let pipeline = Pipeline::new(window);
        if let Some(telemetry) = &core.telemetry {
            telemetry.observe(pipeline.under_way());
        }
        Self(Arc::new(Shared { core: Arc::new(core), pipeline }))
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    pub(super) fn pipeline(&self) -> &Pipeline {
        &self.0.pipeline
    }

    /// Publishes a value: awaited, it is stored when this is done.
    ///
    /// Dropped before, the message may be stored all the same.
    ///
    /// # Errors
    ///
    /// When it is not stored, or nobody knows whether it is; see [`PublisherError`].
    pub fn publish<'a, T: Encode + Sync>(&'a self, subject: &'a str, value: &'a T) -> Publishing<'a> {
        Publishing::new(self, Cow::Borrowed(subject), Value::Of(value))
    }

    /// Publishes an event of a family, to the event's own subject and under its own name; otherwise as [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_event<'a, E: EventFamily + Sync>(&'a self, event: &'a E) -> Publishing<'a> {
        let value = Value::Wrapped(Box::new(OfFamily(event)));
        Publishing::new(self, Cow::Owned(event.subject()), value).event_type(event.name())
    }

    /// Hands a value over as soon as there is a place among those under way, and does not wait until it is stored.
    ///
    /// Messages of one task are stored in the order in which they were enqueued, as long as none has to be tried again: that
    /// one may come after those that were under way with it. With a window of 1 the order is kept in any case.
    ///
    /// Dropped before it is done, the message may be stored all the same.
    ///
    /// # Errors
    ///
    /// When it cannot be written, finds no place before its deadline, or cannot be handed over. What becomes of it then, the
    /// receipt tells, and [`flush`](Self::flush).
    pub async fn enqueue<T: Encode + Sync>(&self, subject: &str, value: &T) -> Result<Receipt, PublisherError> {
        self.publish(subject, value).enqueue().await
    }

    /// Publishes many values, as many at once as the window has places, and waits until all are stored. The results come in the
    /// order of the messages.
    ///
    /// They are not one unit: when some fail, the others are stored.
    pub async fn publish_all<S: AsRef<str>, T: Encode + Sync>(
        &self,
        messages: impl IntoIterator<Item = (S, T)>,
    ) -> Vec<Result<Published, PublisherError>> {
        let mut receipts = Vec::new();
        for (subject, value) in messages {
            receipts.push(self.enqueue(subject.as_ref(), &value).await);
        }
        let mut results = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            results.push(match receipt {
                Ok(receipt) => receipt.await,
                Err(error) => Err(error),
            });
        }
        results
    }

    /// How many enqueued messages are under way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.0.pipeline.under_way().load(Ordering::Relaxed)
    }

    /// Waits until no enqueued message is under way. Those that come meanwhile wait for that too.
    ///
    /// # Errors
    ///
    /// When messages have failed since the last time, or may have, whether or not somebody holds their receipts.
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.0.pipeline.flush().await
    }

    /// Takes no more messages, and waits until no enqueued one is under way: at the longest until the last one's deadline.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub async fn close(&self) -> Result<(), FlushError> {
        self.0.pipeline.close().await
    }
}

/// An event of a family as a value: a codec writes it in the event's own way.
struct OfFamily<'a, E>(&'a E);

impl<E: EventFamily> Encode for OfFamily<'_, E> {
    fn content_type<'a>(&'a self, codec: &'a dyn Codec) -> Cow<'a, str> {
        self.0.content_type(codec)
    }

    fn encode(&self, codec: &dyn Codec, body: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.encode(codec, body)
    }
}

impl Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("core", &self.0.core).field("in_flight", &self.in_flight()).finish()
    }
}
