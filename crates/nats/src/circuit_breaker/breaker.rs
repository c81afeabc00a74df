//! A circuit that many tasks share: its clock, its lock, and its numbers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::call::Call;
use super::machine::{Change, Machine, Pass, Phase};
use super::settings::CircuitBreaker;
use super::stats::{CircuitState, CircuitStats};
use super::window::{Outcome, Tally};
use crate::count::Count;

/// Nothing is asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// How long until the next try.
    pub wait: Duration,
}

/// A circuit that many tasks share.
pub struct Breaker {
    name: &'static str,
    settings: CircuitBreaker,
    machine: Mutex<Machine>,
    /// Until when nobody is let through, in nanoseconds since the beginning: read without the lock. 0 stands for closed, and
    /// a time that has passed for asking the machine.
    shut: AtomicU64,
    began: Instant,
    opened: Count,
    refused: Count,
    good: Count,
    slow: Count,
    failed: Count,
    given_up: Count,
}

/// A time that has always passed.
const ASK: u64 = 1;

impl Breaker {
    /// The circuit called `name`, closed. The settings were [checked](CircuitBreaker::check).
    #[must_use]
    pub fn new(name: &'static str, settings: CircuitBreaker) -> Self {
        Self {
            name,
            machine: Mutex::new(Machine::new(&settings)),
            shut: AtomicU64::new(0),
            began: settings.clock.now(),
            settings,
            opened: Count::default(),
            refused: Count::default(),
            good: Count::default(),
            slow: Count::default(),
            failed: Count::default(),
            given_up: Count::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its settings.
    pub fn settings(&self) -> &CircuitBreaker {
        &self.settings
    }

    /// Lets somebody through who will make calls of [`begin_within`](Self::begin_within). While all is well this is one
    /// atomic read, and while the circuit is open another and a look at the clock.
    ///
    /// # Errors
    /// When nothing is asked now.
    pub fn admit(&self) -> Result<(), Refused> {
        match self.shut.load(Ordering::Acquire) {
            0 => Ok(()),
            until => self.enter(until).map(drop),
        }
    }

    /// Begins a call of its own.
    ///
    /// # Errors
    /// When nothing is asked now.
    pub fn begin(&self) -> Result<Call<'_>, Refused> {
        let pass = self.enter(self.shut.load(Ordering::Acquire))?;
        Ok(self.call(pass))
    }

    /// Begins a call by somebody who was admitted; refused only while the circuit is open.
    ///
    /// # Errors
    /// When nothing is asked now.
    pub fn begin_within(&self) -> Result<Call<'_>, Refused> {
        let machine = self.machine();
        match machine.phase() {
            Phase::Closed | Phase::HalfOpen { .. } => Ok(self.call(machine.pass())),
            Phase::Open { .. } => {
                drop(machine);
                self.begin()
            }
        }
    }

    /// Begins a call that is not refused whatever the state.
    pub fn begin_anyhow(&self) -> Call<'_> {
        let pass = self.machine().pass();
        self.call(pass)
    }

    fn enter(&self, shut: u64) -> Result<Pass, Refused> {
        let now = self.now();
        let entered = match Duration::from_nanos(shut).checked_sub(now) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                let mut machine = self.machine();
                let entered = machine.enter(now);
                self.note(&machine);
                entered
            }
        };
        entered.map_err(|wait| {
            self.refused.add(1);
            Refused { wait }
        })
    }

    fn call(&self, pass: Pass) -> Call<'_> {
        Call::new(self, pass)
    }

    pub(super) fn end(&self, pass: Pass, outcome: Outcome) {
        let count = match outcome {
            Outcome::Good => &self.good,
            Outcome::Slow => &self.slow,
            Outcome::Failed => &self.failed,
            Outcome::Neither => &self.given_up,
        };
        count.add(1);
        let change = {
            let now = self.now();
            let mut machine = self.machine();
            let change = machine.end(pass, outcome, now, rand::random());
            self.note(&machine);
            change
        };
        match change {
            None => {}
            Some(Change::Closed) => tracing::info!(circuit = self.name, "the circuit is closed again"),
            Some(Change::Opened(Tally { good, slow, failed })) => {
                self.opened.add(1);
                tracing::warn!(circuit = self.name, good, slow, failed, "the circuit opens");
            }
        }
    }

    /// Tells those who read without the lock how things are.
    fn note(&self, machine: &Machine) {
        let shut = match (machine.phase(), machine.shut_until()) {
            (Phase::Closed, _) => 0,
            (_, Some(until)) => u64::try_from(until.as_nanos()).unwrap_or(u64::MAX).max(ASK),
            (_, None) => ASK,
        };
        self.shut.store(shut, Ordering::Release);
    }

    /// How it is now, and how long until the next try when it is open.
    #[must_use]
    pub fn state(&self) -> (CircuitState, Option<Duration>) {
        let now = self.now();
        match self.machine().phase() {
            Phase::Closed => (CircuitState::Closed, None),
            Phase::Open { until } if until > now => (CircuitState::Open, Some(until - now)),
            Phase::Open { .. } | Phase::HalfOpen { .. } => (CircuitState::HalfOpen, None),
        }
    }

    /// How it is, and what it has seen.
    #[must_use]
    pub fn stats(&self) -> CircuitStats {
        let (state, wait) = self.state();
        let tally = self.machine().tally(self.now());
        let (failure_rate, slow_rate) = tally.rates(tally.total());
        CircuitStats {
            state,
            next_try_ms: wait.map(whole_milliseconds),
            opened: self.opened.get(),
            refused: self.refused.get(),
            good: self.good.get(),
            slow: self.slow.get(),
            failed: self.failed.get(),
            given_up: self.given_up.get(),
            failure_rate,
            slow_rate,
        }
    }

    /// Begins to count anew. What the circuit knows of the calls stays.
    pub fn reset_stats(&self) {
        let counts = [&self.opened, &self.refused, &self.good, &self.slow, &self.failed, &self.given_up];
        counts.into_iter().for_each(Count::reset);
    }

    /// Since the beginning.
    fn now(&self) -> Duration {
        self.settings.clock.now().saturating_duration_since(self.began)
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounded up: whoever waits as long has waited long enough.
fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).field("state", &self.state().0).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::settings::Window;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A breaker that opens at the second failure in four calls for a second, and the time it is told.
    fn breaker() -> (Breaker, Arc<AtomicU64>) {
        let time: Arc<AtomicU64> = Arc::default();
        let (start, told) = (Instant::now(), Arc::clone(&time));
        let settings = CircuitBreaker::default()
            .clock(move || start + told.load(Ordering::Relaxed) as u32 * MS)
            .window(Window::Calls(4))
            .min_calls(2)
            .slow_call(100 * MS)
            .open(1000 * MS)
            .trial_calls(1);
        (Breaker::new("store", settings), time)
    }

    fn open(breaker: &Breaker) {
        for _ in 0..2 {
            breaker.begin_within().unwrap().failed();
        }
        assert_eq!(breaker.state(), (CircuitState::Open, Some(1000 * MS)));
    }

    #[test]
    fn open_it_says_when_the_next_try_is_and_refuses_until_then() {
        let (breaker, time) = breaker();
        assert_eq!(breaker.admit(), Ok(()));
        open(&breaker);
        time.store(400, Ordering::Relaxed);
        assert_eq!(breaker.admit(), Err(Refused { wait: 600 * MS }));
        assert_eq!(breaker.begin_within().unwrap_err(), Refused { wait: 600 * MS });
        let stats = breaker.stats();
        assert_eq!((stats.next_try_ms, stats.opened, stats.refused, stats.failed), (Some(600), 1, 2, 2));
        time.store(1000, Ordering::Relaxed);
        assert_eq!(breaker.state(), (CircuitState::HalfOpen, None));
        assert_eq!(breaker.admit(), Ok(()));
        assert_eq!(breaker.admit(), Err(Refused { wait: 1000 * MS }), "there is one trial");
        breaker.begin_within().unwrap().answered();
        assert_eq!((breaker.state().0, breaker.admit()), (CircuitState::Closed, Ok(())));
    }

    #[test]
    fn a_call_that_is_dropped_in_time_counts_as_nothing_and_later_as_slow() {
        let (breaker, time) = breaker();
        drop(breaker.begin_within().unwrap());
        let late = breaker.begin_within().unwrap();
        time.store(101, Ordering::Relaxed);
        drop(late);
        let stats = breaker.stats();
        assert_eq!((stats.given_up, stats.slow, stats.slow_rate), (1, 1, 1.0));
        let forgotten = breaker.begin_within().unwrap();
        time.store(300, Ordering::Relaxed);
        forgotten.forget();
        assert_eq!((breaker.stats().given_up, breaker.stats().slow), (2, 1));
    }

    #[test]
    fn a_trial_that_is_dropped_leaves_its_place_to_another() {
        let (breaker, time) = breaker();
        open(&breaker);
        time.store(1000, Ordering::Relaxed);
        let trial = breaker.begin().unwrap();
        assert!(breaker.begin().is_err());
        drop(trial);
        breaker.begin().unwrap().answered();
        assert_eq!(breaker.state().0, CircuitState::Closed);
    }

    #[test]
    fn what_must_go_through_goes_through_and_does_not_disturb_an_open_circuit() {
        let (breaker, time) = breaker();
        open(&breaker);
        breaker.begin_anyhow().answered();
        breaker.begin_anyhow().failed();
        time.store(999, Ordering::Relaxed);
        assert_eq!(breaker.state(), (CircuitState::Open, Some(MS)));
    }
}
