//! How a consumer fares: how much waits, whether it gets on, and what happened to it behind our back.

mod monitor;
mod telemetry;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use monitor::{Monitor, Shown};

/// How often a consumer is looked at, when it counts as stalled, and who is told.
///
/// ```
/// use std::time::Duration;
/// use headwater_nats_messaging::health::HealthSettings;
///
/// let settings = HealthSettings::default()
///     .stalled_after(Duration::from_secs(30))
///     .on_change(|health, change| eprintln!("{}: {change:?}", health.consumer));
/// # drop(settings);
/// ```
#[derive(Clone)]
#[must_use]
pub struct HealthSettings {
    pub(crate) interval: Duration,
    pub(crate) stalled_after: Duration,
    pub(crate) hook: Option<Hook>,
}

/// Who is told of changes.
pub(crate) type Hook = Arc<dyn Fn(&ConsumerHealth, &HealthChange) + Send + Sync>;

impl Default for HealthSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), stalled_after: Duration::from_secs(60), hook: None }
    }
}

impl HealthSettings {
    /// How often the server is asked; 5 s by default. It is also how far back a consumer may begin that has to be made anew.
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval: interval.max(Duration::from_millis(10)), ..self }
    }

    /// A consumer for which messages wait counts as stalled when none was brought to its end for so long; 60 s by default.
    /// Handlers that take longer than that for one message make it look stalled.
    pub fn stalled_after(self, time: Duration) -> Self {
        Self { stalled_after: time, ..self }
    }

    /// Calls this with each change, from the processor's own task: it must be quick. A panic in it is caught and logged.
    pub fn on_change(self, told: impl Fn(&ConsumerHealth, &HealthChange) + Send + Sync + 'static) -> Self {
        Self { hook: Some(Arc::new(told)), ..self }
    }
}

impl fmt::Debug for HealthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthSettings")
            .field("interval", &self.interval)
            .field("stalled_after", &self.stalled_after)
            .field("hook", &self.hook.is_some())
            .finish()
    }
}

/// How a consumer fares, as far as was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerHealth {
    /// The stream.
    pub stream: Arc<str>,
    /// The consumer.
    pub consumer: Arc<str>,
    /// Whether it gets on.
    pub state: HealthState,
    /// Messages that match and were never delivered.
    pub pending: u64,
    /// Delivered and not acknowledged.
    pub ack_pending: u64,
    /// Of those, how many were delivered more than once.
    pub redelivered: u64,
    /// The place in the stream up to which all is acknowledged.
    pub ack_floor: u64,
}

/// Whether a consumer gets on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// It was not seen yet.
    #[default]
    Unknown,
    /// Messages are handled, or there are none.
    Working,
    /// Messages wait, and none was brought to its end for too long.
    Stalled,
    /// The server cannot be asked.
    Unreachable,
    /// It is gone, and is to be made anew.
    Lost,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthChange {
    /// Messages wait, and none was brought to its end for so long.
    Stalled(Duration),
    /// It gets on again.
    Recovered,
    /// The server cannot be asked.
    Unreachable,
    /// It can be asked again.
    Reachable,
    /// The consumer, or its stream, was deleted by somebody.
    Lost,
    /// It was made anew.
    Recreated {
        /// The place in the stream it begins at: the one after the last that was known to be acknowledged with all before it.
        /// None where it begins as it did at first.
        from: Option<u64>,
        /// The stream itself is another one, whose places begin anew.
        stream_is_new: bool,
    },
}

impl HealthChange {
    /// One word, for labels.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stalled(_) => "stalled",
            Self::Recovered => "recovered",
            Self::Unreachable => "unreachable",
            Self::Reachable => "reachable",
            Self::Lost => "lost",
            Self::Recreated { .. } => "recreated",
        }
    }
}
