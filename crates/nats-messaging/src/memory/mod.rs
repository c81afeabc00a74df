//! All three ports in one process: for tests, and for programs that need no server.
//!
//! It redelivers, times out, shares among readers and fans out as JetStream does, by tokio's clock: in a test with paused time
//! an hour passes at once. Nothing is kept when the process ends.

mod archive;
mod clock;
mod consume;
mod consumer;
mod exchange;
mod log;
mod publish;
mod settings;
mod start;
mod stream;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use tokio::time::Instant;

pub(crate) use exchange::listen_flaw;
pub use settings::{MemoryStream, StreamRefused, WhenFull};

use crate::consume::ConsumeError;
use crate::message::Message;
use clock::Clock;
use exchange::Listeners;
use stream::Stream;

/// The most bytes one message may have, headers included; the same as a server has without other settings.
const MAX_MESSAGE: usize = 1024 * 1024;

/// Streams, consumers, requests and replies in one process. Clones are the same broker.
///
/// ```
/// use std::time::Duration;
///
/// use futures_util::StreamExt;
/// use headwater_nats_messaging::consume::{Consume, ConsumerConfig};
/// use headwater_nats_messaging::memory::MemoryBroker;
/// use headwater_nats_messaging::message::Message;
/// use headwater_nats_messaging::publish::Publish;
/// use tokio::time::Instant;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MemoryBroker::new();
/// broker.stream("ORDERS", ["orders.>"])?;
/// let deadline = Instant::now() + Duration::from_secs(1);
/// let stored = broker.send(Message::new("orders.placed", "7"), deadline).await?.await?;
/// assert_eq!((stored.stream.as_str(), stored.sequence), ("ORDERS", 1));
///
/// let mut orders = broker.open(ConsumerConfig::new("ORDERS", "mailer").filter("orders.placed")).await?;
/// let delivery = orders.deliveries.next().await.expect("a message is there")?;
/// assert_eq!(&delivery.message.body[..], b"7");
/// delivery.ack().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    listeners: Listeners,
    /// The last number that a reader or a listener was given.
    last_id: u64,
}

impl MemoryBroker {
    /// A broker without streams.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { clock: Clock::start(), state: Mutex::default() }) }
    }

    /// Declares a stream that takes these subjects. One that is there takes them from now on, and keeps what it has.
    ///
    /// # Errors
    ///
    /// As [`declare`](Self::declare).
    pub fn stream<S: Into<String>>(
        &self,
        name: impl Into<String>,
        subjects: impl IntoIterator<Item = S>,
    ) -> Result<(), StreamRefused> {
        self.declare(MemoryStream::new(name, subjects))
    }

    /// Declares a stream. One that is there has these settings from now on, and keeps what it has.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, or another stream takes some of its subjects.
    pub fn declare(&self, stream: MemoryStream) -> Result<(), StreamRefused> {
        let mut state = self.shared.state();
        if let Some(reason) = stream.flaw().or_else(|| state.overlap(&stream)) {
            return Err(StreamRefused { stream: stream.name, reason });
        }
        // No two streams are made at the same time, also while the clock stands still.
        let created = self.shared.clock.time_at(Instant::now()) + TimeDelta::microseconds(state.next_id() as i64);
        match state.streams.get_mut(&stream.name) {
            Some(known) => known.settings = stream,
            None => drop(state.streams.insert(stream.name.clone(), Stream::new(stream, created))),
        }
        Ok(())
    }

    /// The messages that a stream holds, oldest first; none when there is no such stream.
    #[must_use]
    pub fn messages(&self, stream: &str) -> Vec<Message> {
        let state = self.shared.state();
        let stored = state.streams.get(stream).into_iter().flat_map(|stream| stream.log.from(0));
        stored.map(|stored| Message::clone(&stored.message)).collect()
    }

    /// Takes all messages out of a stream; whether there is one of that name.
    pub fn purge(&self, stream: &str) -> bool {
        self.shared.state().streams.get_mut(stream).map(Stream::purge).is_some()
    }

    /// Deletes a stream with its consumers: whoever reads them is told that they are gone. Whether there was one.
    pub fn delete_stream(&self, stream: &str) -> bool {
        let gone = self.shared.state().streams.remove(stream);
        gone.map(|stream| stream.consumers.values().for_each(|consumer| consumer.wake_all())).is_some()
    }

    /// Deletes a consumer: whoever reads it is told that it is gone. Whether there was one.
    pub fn delete_consumer(&self, stream: &str, consumer: &str) -> bool {
        let mut state = self.shared.state();
        let gone = state.streams.get_mut(stream).and_then(|stream| stream.consumers.remove(consumer));
        gone.map(|consumer| consumer.wake_all()).is_some()
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("MemoryBroker")
            .field("streams", &state.streams.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here leaves things half done when it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// What another stream takes that this one would take too.
    fn overlap(&self, stream: &MemoryStream) -> Option<String> {
        self.streams.values().filter(|known| known.settings.name != stream.name).find_map(|known| {
            let (mine, theirs) = stream.overlap(&known.settings)?;
            Some(format!("subjects: `{mine}` overlaps with `{theirs}` of the stream `{}`", known.settings.name))
        })
    }

    /// A stream with the consumers that it still has.
    fn stream(&mut self, name: &str) -> Result<&mut Stream, ConsumeError> {
        let no_stream = || ConsumeError::NoStream { stream: name.to_owned() };
        let stream = self.streams.get_mut(name).ok_or_else(no_stream)?;
        stream.forget_idle_consumers(Instant::now());
        Ok(stream)
    }
}
