//! The settings of a circuit breaker, and what can be wrong with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::connect::HumanDuration;
use crate::problem::Problems;

/// When something that fails or has become slow is left alone, and when it is tried again. For a service's event store it is
/// handed to `Service::circuit_breaker`, for what its handlers ask to `Dependency::new`, and for the handlers of a message
/// router to `CircuitBreakerLayer::new`.
///
/// Closed, calls go through, and those of the [`window`](Self::window) are counted: how many failed, and how many took longer
/// than [`slow_call`](Self::slow_call). When one of the two rates is reached, and there were at least
/// [`min_calls`](Self::min_calls), the circuit opens, and nothing is asked for the time [`open`](Self::open). Then it is half
/// open: [`trial_calls`](Self::trial_calls) calls go through, and by the same rates it opens again or closes.
///
/// ```
/// use headwater_nats::circuit_breaker::{CircuitBreaker, Window};
/// use std::time::Duration;
///
/// let breaker = CircuitBreaker::default()
///     .failure_rate(0.5)
///     .window(Window::Calls(100))
///     .slow_call(Duration::from_millis(500))
///     .open(Duration::from_secs(10));
/// ```
///
/// The same as TOML:
///
/// ```toml
/// [circuit_breaker]
/// failure_rate = 0.5
/// window = { calls = 100 }
/// slow_call = "500ms"
/// open = "10s"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct CircuitBreaker {
    /// The part of the calls that may not fail, above 0 and up to 1; 0.5 by default.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) failure_rate: f64,
    /// How long a call that is not slow may take; 2 s by default.
    pub(super) slow_call: HumanDuration,
    /// The part of the calls that may not be slow, above 0 and up to 1; 0.8 by default.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) slow_rate: f64,
    /// Which calls are counted; those of the last 10 s by default.
    pub(super) window: Window,
    /// How many calls there must be for the rates to mean anything; 10 by default.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) min_calls: i64,
    /// How long nothing is asked; 5 s by default.
    pub(super) open: HumanDuration,
    /// The part by which that time is lengthened at random, 0 to 1, so that many instances do not try again together; 0 by
    /// default.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) jitter: f64,
    /// How many calls go through to find out whether it works again; 3 by default.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) trial_calls: i64,
    #[serde(skip)]
    pub(super) clock: Clock,
}

/// Which calls a circuit breaker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Window {
    /// The last so many.
    Calls(#[schemars(range(min = 1, max = 100_000))] i64),
    /// Those of the last so much time, to a tenth of it.
    Time(HumanDuration),
}

impl Window {
    /// The calls of the last `time`, to a tenth of it.
    #[must_use]
    pub fn of_time(time: Duration) -> Self {
        Self::Time(time.into())
    }
}

/// The most calls that can be asked for anywhere; the window of calls takes a byte for each.
const MOST_CALLS: i64 = 100_000;

/// The longest time that can be asked for anywhere.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            failure_rate: 0.5,
            slow_call: HumanDuration::from_secs(2),
            slow_rate: 0.8,
            window: Window::Time(HumanDuration::from_secs(10)),
            min_calls: 10,
            open: HumanDuration::from_secs(5),
            jitter: 0.0,
            trial_calls: 3,
            clock: Clock::default(),
        }
    }
}

impl CircuitBreaker {
    /// The part of the calls that may not fail, above 0 and up to 1; 0.5 by default: the circuit opens when half of them do.
    pub fn failure_rate(self, rate: f64) -> Self {
        Self { failure_rate: rate, ..self }
    }

    /// How long a call that is not slow may take; 2 s by default.
    pub fn slow_call(self, time: Duration) -> Self {
        Self { slow_call: time.into(), ..self }
    }

    /// The part of the calls that may not be slow, above 0 and up to 1; 0.8 by default.
    pub fn slow_rate(self, rate: f64) -> Self {
        Self { slow_rate: rate, ..self }
    }

    /// Which calls are counted; those of the last 10 s by default.
    pub fn window(self, window: Window) -> Self {
        Self { window, ..self }
    }

    /// How many calls there must be for the rates to mean anything; 10 by default.
    pub fn min_calls(self, calls: u32) -> Self {
        Self { min_calls: calls.into(), ..self }
    }

    /// How long nothing is asked; 5 s by default.
    pub fn open(self, time: Duration) -> Self {
        Self { open: time.into(), ..self }
    }

    /// The part by which the time [`open`](Self::open) is lengthened at random, 0 to 1, so that many instances do not try
    /// again together; 0 by default.
    pub fn jitter(self, part: f64) -> Self {
        Self { jitter: part, ..self }
    }

    /// How many calls go through to find out whether it works again; 3 by default.
    pub fn trial_calls(self, calls: u32) -> Self {
        Self { trial_calls: calls.into(), ..self }
    }

    /// Tells the time, which must never go back; tokio's clock by default, which its tests can pause.
    pub fn clock(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { clock: Clock(Arc::new(clock)), ..self }
    }

    /// Says what is wrong. `at` is where the settings stand, such as `circuit_breaker`.
    pub fn check(&self, at: &str, problems: &mut Problems) {
        for (field, rate) in [("failure_rate", self.failure_rate), ("slow_rate", self.slow_rate)] {
            if !(rate > 0.0 && rate <= 1.0) {
                problems.add(format!("{at}.{field}"), &rate, "must be above 0 and at most 1");
            }
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            problems.add(format!("{at}.jitter"), &self.jitter, "must be from 0 to 1");
        }
        let (calls, time) = match self.window {
            Window::Calls(calls) => (Some(calls), None),
            Window::Time(time) => (None, Some(time)),
        };
        let calls =
            [("window.calls", calls), ("min_calls", Some(self.min_calls)), ("trial_calls", Some(self.trial_calls))];
        for (field, calls) in calls.into_iter().filter_map(|(field, calls)| Some((field, calls?))) {
            if !(1..=MOST_CALLS).contains(&calls) {
                problems.add(format!("{at}.{field}"), &calls, format!("must be from 1 to {MOST_CALLS}"));
            }
        }
        let times = [("window.time", time), ("slow_call", Some(self.slow_call)), ("open", Some(self.open))];
        for (field, time) in times.into_iter().filter_map(|(field, time)| Some((field, time?))) {
            if time.get() < Duration::from_millis(1) || time.get() > LONGEST {
                problems.add(format!("{at}.{field}"), &time, "must be from 1ms to 24h");
            }
        }
        if let Window::Calls(calls) = self.window
            && self.min_calls > calls
        {
            problems.add(format!("{at}.min_calls"), &self.min_calls, format!("the window holds only {calls} calls"));
        }
    }
}

/// Tells the time.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    pub(super) fn now(&self) -> Instant {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Instant::now))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a clock")
    }
}

/// A clock is no setting that a file could have.
impl PartialEq for Clock {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
