//! The calls that a circuit breaker remembers.

use std::collections::VecDeque;
use std::time::Duration;

use super::settings::Window as WindowSetting;

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered in time.
    Good,
    /// It was answered, or given up, after too long.
    Slow,
    /// It was not answered.
    Failed,
    /// It says nothing: it was given up before it took too long.
    Neither,
}

/// How many calls went how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) good: u32,
    pub(super) slow: u32,
    pub(super) failed: u32,
}

impl Tally {
    pub(super) fn total(self) -> u32 {
        self.good + self.slow + self.failed
    }

    /// The parts that failed and that were slow, of `total` calls.
    pub(super) fn rates(self, total: u32) -> (f64, f64) {
        let part = |calls: u32| f64::from(calls) / f64::from(total.max(1));
        (part(self.failed), part(self.slow))
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.change(outcome, |calls| calls.saturating_add(1));
    }

    fn take(&mut self, outcome: Outcome) {
        self.change(outcome, |calls| calls.saturating_sub(1));
    }

    fn change(&mut self, outcome: Outcome, change: impl FnOnce(u32) -> u32) {
        let calls = match outcome {
            Outcome::Good => &mut self.good,
            Outcome::Slow => &mut self.slow,
            Outcome::Failed => &mut self.failed,
            Outcome::Neither => return,
        };
        *calls = change(*calls);
    }
}

/// How many parts a window of time has; the oldest is forgotten as a whole.
const PARTS: u32 = 10;

/// The calls that count.
#[derive(Debug)]
pub(super) enum Window {
    /// The last so many, oldest first.
    Calls { most: usize, calls: VecDeque<Outcome>, tally: Tally },
    /// Those of the last so many parts of time; the last one began at a multiple of a part's length.
    Time { part: Duration, parts: VecDeque<(u128, Tally)> },
}

impl Window {
    pub(super) fn new(setting: WindowSetting) -> Self {
        match setting {
            WindowSetting::Calls(calls) => {
                let most = usize::try_from(calls).unwrap_or(1).max(1);
                Self::Calls { most, calls: VecDeque::new(), tally: Tally::default() }
            }
            WindowSetting::Time(time) => {
                Self::Time { part: (time.get() / PARTS).max(Duration::from_micros(1)), parts: VecDeque::new() }
            }
        }
    }

    /// Counts a call that ended at `now`.
    pub(super) fn add(&mut self, outcome: Outcome, now: Duration) {
        match self {
            Self::Calls { most, calls, tally } => {
                if calls.len() == *most
                    && let Some(oldest) = calls.pop_front()
                {
                    tally.take(oldest);
                }
                calls.push_back(outcome);
                tally.add(outcome);
            }
            Self::Time { part, parts } => {
                let place = now.as_nanos() / part.as_nanos();
                forget(parts, place);
                match parts.back_mut() {
                    Some((last, tally)) if *last >= place => tally.add(outcome),
                    _ => {
                        let mut tally = Tally::default();
                        tally.add(outcome);
                        parts.push_back((place, tally));
                    }
                }
            }
        }
    }

    /// How the calls went that count at `now`.
    pub(super) fn tally(&mut self, now: Duration) -> Tally {
        match self {
            Self::Calls { tally, .. } => *tally,
            Self::Time { part, parts } => {
                forget(parts, now.as_nanos() / part.as_nanos());
                parts.iter().fold(Tally::default(), |sum, (_, tally)| Tally {
                    good: sum.good.saturating_add(tally.good),
                    slow: sum.slow.saturating_add(tally.slow),
                    failed: sum.failed.saturating_add(tally.failed),
                })
            }
        }
    }

    /// Forgets all calls.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Calls { calls, tally, .. } => {
                calls.clear();
                *tally = Tally::default();
            }
            Self::Time { parts, .. } => parts.clear(),
        }
    }
}

/// Forgets the parts that are too old when `place` is the present one.
fn forget(parts: &mut VecDeque<(u128, Tally)>, place: u128) {
    while parts.front().is_some_and(|(oldest, _)| oldest + u128::from(PARTS) <= place) {
        parts.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn tally(good: u32, slow: u32, failed: u32) -> Tally {
        Tally { good, slow, failed }
    }

    #[test]
    fn the_last_calls_count_and_no_others() {
        let mut window = Window::new(WindowSetting::Calls(3));
        for outcome in [Outcome::Failed, Outcome::Good, Outcome::Slow] {
            window.add(outcome, Duration::ZERO);
        }
        assert_eq!(window.tally(Duration::ZERO), tally(1, 1, 1));
        window.add(Outcome::Good, Duration::ZERO);
        assert_eq!(window.tally(Duration::ZERO), tally(2, 1, 0));
        window.clear();
        assert_eq!(window.tally(Duration::ZERO), Tally::default());
    }

    #[test]
    fn calls_of_the_last_time_count_and_older_ones_do_not() {
        let mut window = Window::new(WindowSetting::of_time(1000 * MS));
        window.add(Outcome::Failed, 50 * MS);
        window.add(Outcome::Good, 70 * MS);
        window.add(Outcome::Slow, 550 * MS);
        assert_eq!(window.tally(999 * MS), tally(1, 1, 1));
        assert_eq!(window.tally(1000 * MS), tally(0, 1, 0));
        assert_eq!(window.tally(1500 * MS), Tally::default());
        window.add(Outcome::Good, 5000 * MS);
        assert_eq!(window.tally(5000 * MS), tally(1, 0, 0));
    }

    #[test]
    fn a_window_of_time_takes_no_more_memory_however_many_calls_there_are() {
        let mut window = Window::new(WindowSetting::of_time(1000 * MS));
        for call in 0..100_000 {
            window.add(Outcome::Good, call * MS);
        }
        let Window::Time { parts, .. } = window else { unreachable!("it is one of time") };
        assert!(parts.len() <= 10 && parts.capacity() <= 32);
    }
}
