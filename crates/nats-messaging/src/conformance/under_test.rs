//! The transport that is put to the test, and what it stands on.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::consume::Consume;
use crate::exchange::Exchange;
use crate::memory::{MemoryBroker, MemoryStream};
use crate::publish::Publish;

/// All three ports at once.
pub trait Transport: Publish + Consume + Exchange {}

impl<T: Publish + Consume + Exchange> Transport for T {}

/// Declares the streams that a case needs, and deletes consumers behind the transport's back. Both panic when that fails.
pub trait Streams: Send + Sync + 'static {
    /// Declares a stream that takes these subjects and knows ids for so long.
    fn declare(&self, name: String, subjects: Vec<String>, duplicate_window: Duration) -> BoxFuture<'_, ()>;

    /// Deletes a consumer.
    fn delete_consumer(&self, stream: String, consumer: String) -> BoxFuture<'_, ()>;
}

impl Streams for MemoryBroker {
    fn declare(&self, name: String, subjects: Vec<String>, duplicate_window: Duration) -> BoxFuture<'_, ()> {
        let stream = MemoryStream { duplicate_window, ..MemoryStream::new(name, subjects) };
        if let Err(refused) = Self::declare(self, stream) {
            panic!("{refused}");
        }
        ready(()).boxed()
    }

    fn delete_consumer(&self, stream: String, consumer: String) -> BoxFuture<'_, ()> {
        assert!(Self::delete_consumer(self, &stream, &consumer), "there is no consumer {consumer}");
        ready(()).boxed()
    }
}

/// A transport to run the suite on, with what must live as long as it does.
#[must_use]
pub struct UnderTest {
    // Dropped in this order: the transport says goodbye before its server goes.
    pub(super) transport: Arc<dyn Transport>,
    pub(super) streams: Arc<dyn Streams>,
    pub(super) kept: Vec<Box<dyn Any + Send>>,
}

impl UnderTest {
    /// This transport, on streams that are declared so.
    pub fn new(transport: impl Transport, streams: impl Streams) -> Self {
        Self { transport: Arc::new(transport), streams: Arc::new(streams), kept: Vec::new() }
    }

    /// The same, with something that is dropped after the transport.
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }
}

impl std::fmt::Debug for UnderTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnderTest").field("transport", &self.transport).finish_non_exhaustive()
    }
}
