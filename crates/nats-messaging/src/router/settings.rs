//! Streams and groups of patterns, with the settings of their consumers.

use std::fmt;
use std::sync::Arc;

use crate::consume::ConsumerConfig;
use crate::processing::Processing;

/// Changes the settings of a consumer.
pub(super) type Tune = Arc<dyn Fn(&mut ConsumerConfig) + Send + Sync>;

/// A stream that a router reads: which patterns it carries, and how it is read.
///
/// ```
/// use std::time::Duration;
///
/// use headwater_nats_messaging::consume::Deliver;
/// use headwater_nats_messaging::router::Stream;
///
/// let stream = Stream::new("TASK_EVENTS").carries("task.>").consumer(|consumer| {
///     consumer.deliver = Deliver::New;
///     consumer.ack_wait = Duration::from_secs(300);
/// });
/// ```
#[derive(Clone)]
pub struct Stream {
    pub(super) name: String,
    pub(super) carries: Vec<String>,
    pub(super) tune: Vec<Tune>,
    pub(super) processing: Option<Processing>,
}

impl Stream {
    /// A stream by its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), carries: Vec::new(), tune: Vec::new(), processing: None }
    }

    /// Patterns that are covered by this one are read from this stream, without a look-up at the start.
    #[must_use]
    pub fn carries(mut self, pattern: impl Into<String>) -> Self {
        self.carries.push(pattern.into());
        self
    }

    /// Changes the settings of all consumers of the stream. Its name, stream and subjects are the router's to set.
    #[must_use]
    pub fn consumer(mut self, tune: impl Fn(&mut ConsumerConfig) + Send + Sync + 'static) -> Self {
        self.tune.push(Arc::new(tune));
        self
    }

    /// How the stream's events are worked on, where a group or a pattern does not say otherwise.
    #[must_use]
    pub fn processing(self, processing: Processing) -> Self {
        Self { processing: Some(processing), ..self }
    }
}

impl From<&str> for Stream {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("name", &self.name).field("carries", &self.carries).finish_non_exhaustive()
    }
}

/// Patterns that share a consumer on each stream, and how it is read.
///
/// Their messages come in one order, and whoever handles in order by key does so across them. An event that several of
/// them take is delivered once, and tried again for all of them when one fails.
#[derive(Clone)]
pub struct Group {
    pub(super) name: String,
    pub(super) reads: Vec<String>,
    pub(super) tune: Vec<Tune>,
    pub(super) processing: Option<Processing>,
}

impl Group {
    /// A group by its name, which the consumer is named after.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), reads: Vec::new(), tune: Vec::new(), processing: None }
    }

    /// The consumer reads all that this pattern takes too. What no handler's pattern takes goes to the router's
    /// [fallback](super::Router::event_fallback), or is done.
    #[must_use]
    pub fn reads(mut self, pattern: impl Into<String>) -> Self {
        self.reads.push(pattern.into());
        self
    }

    /// Changes the settings of the group's consumers, after the stream's. Its name, stream and subjects are the router's to
    /// set.
    #[must_use]
    pub fn consumer(mut self, tune: impl Fn(&mut ConsumerConfig) + Send + Sync + 'static) -> Self {
        self.tune.push(Arc::new(tune));
        self
    }

    /// The same with what it reads under a prefix.
    pub(super) fn under(&self, prefix: &str) -> Self {
        let reads = self.reads.iter().map(|pattern| format!("{prefix}.{pattern}"));
        Self { reads: reads.collect(), ..self.clone() }
    }

    /// How the group's events are worked on.
    #[must_use]
    pub fn processing(self, processing: Processing) -> Self {
        Self { processing: Some(processing), ..self }
    }
}

impl From<&str> for Group {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).field("reads", &self.reads).finish_non_exhaustive()
    }
}
