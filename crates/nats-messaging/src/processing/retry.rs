//! How often a message is tried, and how long between.

use std::time::Duration;

use rand::Rng;

/// How often a message is tried before it is given up, and how long between.
///
/// ```
/// use std::time::Duration;
/// use headwater_nats_messaging::processing::Retry;
///
/// let patient = Retry::default().attempts(10).first(Duration::from_millis(200)).longest(Duration::from_secs(300));
/// assert!(patient.pause(1) <= Duration::from_millis(200));
/// assert!(patient.pause(60) <= Duration::from_secs(300));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Retry {
    attempts: u32,
    first: Duration,
    longest: Duration,
    unanswered: u32,
    excused_for: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            unanswered: 25,
            excused_for: Duration::from_secs(24 * 3600),
        }
    }
}

impl Retry {
    /// After how many deliveries a message whose handler failed is given up; 5 by default, at least 1.
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts: attempts.max(1), ..self }
    }

    /// The pause after the first failure; 1 s by default. Each further one is twice as long.
    pub fn first(self, first: Duration) -> Self {
        Self { first, ..self }
    }

    /// The longest pause; 60 s by default.
    pub fn longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// After how many deliveries more than [`attempts`](Self::attempts) a message is given up without being handed to the
    /// handler once more; 25 by default. That one was delivered so often and never answered for, so it may be what ends
    /// the process each time.
    pub fn unanswered(self, deliveries: u32) -> Self {
        Self { unanswered: deliveries, ..self }
    }

    /// For how long, since it failed for the first time, a message is excused whose handler fails because of what it needs: a
    /// circuit breaker says so. 1 day by default; after that such a failure is an attempt like any other. Messages that are
    /// put off without being tried wait as long as it takes.
    pub fn excused_for(self, time: Duration) -> Self {
        Self { excused_for: time, ..self }
    }

    /// The pause after so many failures, counted from 1: half of it is certain and the rest is chance, so that messages that
    /// failed together do not come back together.
    #[must_use]
    pub fn pause(&self, failures: u64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Whether a message that failed for the first time so long ago is still excused.
    pub(crate) fn excuses(&self, since: Duration) -> bool {
        since < self.excused_for
    }

    pub(crate) fn is_last(&self, attempt: u64) -> bool {
        attempt >= u64::from(self.attempts)
    }

    pub(crate) fn is_hopeless(&self, deliveries: u64) -> bool {
        deliveries > u64::from(self.attempts) + u64::from(self.unanswered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_never_less_than_half() {
        let ms = Duration::from_millis;
        let retry = Retry::default().first(ms(10)).longest(ms(35));
        for (failures, whole) in [(1, 10), (2, 20), (3, 35), (40, 35), (u64::MAX, 35)] {
            let pause = retry.pause(failures);
            assert!(pause >= ms(whole) / 2 && pause <= ms(whole), "{failures}: {pause:?}");
        }
    }

    #[test]
    fn the_last_attempt_is_the_one_that_was_set_and_deliveries_alone_give_up_much_later() {
        let retry = Retry::default().attempts(3).unanswered(2);
        assert!(!retry.is_last(2) && retry.is_last(3) && retry.is_last(4));
        assert!(!retry.is_hopeless(5) && retry.is_hopeless(6));
        assert!(Retry::default().attempts(0).is_last(1), "one attempt at least");
    }
}
