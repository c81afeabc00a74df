//! How often and how fast a call is tried again.

use std::time::Duration;

/// How often and how fast a call is tried again.
///
/// A further try is made where the protocol marks a failure as retryable (`rate-limited`, after the time the service
/// names; `unavailable`; `outcome-unknown`; `deadline-exceeded`), when nobody listens, and when a reply is lost: always
/// with the same command id, and only while the call's time lasts. To leave time for that, a try that gets no answer ends
/// after its share of the time that is left: with three tries in 5 s, the first after 1.7 s. An answer to an earlier
/// try still counts when it comes later.
///
/// ```
/// use std::time::Duration;
/// use headwater_nats_client::RetryPolicy;
///
/// let patient = RetryPolicy::default().attempts(5).longest_pause(Duration::from_secs(1));
/// assert_eq!(patient.attempts, 5);
/// assert_eq!(RetryPolicy::none().attempts, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct RetryPolicy {
    /// How many tries there are at most, the first included; 3 by default.
    pub attempts: u32,
    /// The pause before the second try; it doubles for each one after. 100 ms by default.
    pub first_pause: Duration,
    /// The longest pause; 2 s by default. A pause that the service asks for may be longer.
    pub longest_pause: Duration,
    /// The part of each pause that is random, 0 to 1: with the default of 0.5 a pause of 100 ms becomes 50 to 100 ms.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
            jitter: 0.5,
        }
    }
}

impl RetryPolicy {
    /// One try and no more.
    pub fn none() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// At most this many tries, the first included.
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The pause before the second try.
    pub fn first_pause(self, first_pause: Duration) -> Self {
        Self { first_pause, ..self }
    }

    /// The longest pause.
    pub fn longest_pause(self, longest_pause: Duration) -> Self {
        Self { longest_pause, ..self }
    }

    /// The part of each pause that is random, 0 to 1.
    pub fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.attempts == 0 {
            return Some("retry.attempts is 0; the first try counts, so it is at least 1".to_owned());
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Some(format!("retry.jitter is {}; it is a part, from 0 to 1", self.jitter));
        }
        None
    }

    /// The pause after try number `attempt`, counted from 1. What the service asks for is taken as the shortest.
    pub(crate) fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(self.longest_pause);
        let random = self.jitter * rand::random::<f64>();
        match asked {
            // Everybody was told the same time, so the random part is added to it rather than taken off.
            Some(asked) => asked + doubled.mul_f64(random),
            None => doubled.mul_f64(1.0 - random),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_at_random() {
        let policy = RetryPolicy::default().longest_pause(300 * MS);
        for (attempt, longest) in [(1, 100 * MS), (2, 200 * MS), (3, 300 * MS), (40, 300 * MS)] {
            for _ in 0..200 {
                let pause = policy.pause(attempt, None);
                assert!(pause >= longest / 2 && pause <= longest, "{attempt}: {pause:?}");
            }
        }
        assert_eq!(policy.jitter(0.0).pause(2, None), 200 * MS);
    }

    #[test]
    fn a_pause_that_the_service_asks_for_is_never_shortened() {
        for _ in 0..200 {
            let pause = RetryPolicy::default().pause(1, Some(5000 * MS));
            assert!(pause >= 5000 * MS && pause <= 5050 * MS, "{pause:?}");
        }
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused_by_name() {
        assert_eq!(RetryPolicy::default().problem(), None);
        assert!(RetryPolicy::default().attempts(0).problem().unwrap().starts_with("retry.attempts"));
        for jitter in [-0.1, 1.1, f64::NAN] {
            assert!(RetryPolicy::default().jitter(jitter).problem().unwrap().starts_with("retry.jitter"));
        }
    }
}
