//! What is tried again, how often, and for how long.

use std::time::Duration;

use crate::publish::PublishError;

/// What is tried again, how often, and for how long.
///
/// Messages that were certainly not stored because the server could not be reached are tried again, and those of which nobody
/// knows, because their id keeps them from being stored twice. What is refused, and what no stream takes, is not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) attempt_timeout: Duration,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    pub(super) duplicate_window: Duration,
    pub(super) no_stream: bool,
    pub(super) refused: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            attempt_timeout: Duration::from_secs(5),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            duplicate_window: Duration::from_secs(110),
            no_stream: false,
            refused: false,
        }
    }
}

impl RetryPolicy {
    /// One attempt, and no more.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// How often a message is handed over at the most, the first time included. 10 by default, and at least 1. The message's
    /// deadline may come before.
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts: attempts.max(1), ..self }
    }

    /// How long one attempt waits for its acknowledgement. 5 s by default.
    pub fn attempt_timeout(self, attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, ..self }
    }

    /// The first pause and the longest: pauses double, and each is shortened by up to a half at random. 50 ms and 2 s by
    /// default.
    pub fn pauses(self, first: Duration, longest: Duration) -> Self {
        Self { first_pause: first, longest_pause: longest, ..self }
    }

    /// For how long after the first attempt a message that may have been stored is tried again. It must be shorter than the
    /// stream's duplicate window, or the message may be stored twice. 110 s by default, since streams have 2 minutes.
    pub fn duplicate_window(self, duplicate_window: Duration) -> Self {
        Self { duplicate_window, ..self }
    }

    /// Whether a message that no stream takes is tried again: for streams that are still being made, or have no leader yet. Not
    /// by default.
    pub fn retry_no_stream(self, no_stream: bool) -> Self {
        Self { no_stream, ..self }
    }

    /// Whether a message that was refused is tried again. Not by default.
    pub fn retry_refused(self, refused: bool) -> Self {
        Self { refused, ..self }
    }

    /// Whether another attempt may be made, this long after the first one.
    pub(super) fn allows(&self, attempts: u32, after: Duration, maybe_stored: bool, error: &PublishError) -> bool {
        let safe = match error {
            PublishError::Unavailable { .. } | PublishError::Unknown { .. } => true,
            PublishError::NoStream { .. } => self.no_stream,
            PublishError::Refused { .. } => self.refused,
        };
        safe && attempts < self.attempts && (!maybe_stored || after < self.duplicate_window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors() -> [PublishError; 4] {
        let subject = || "a".to_owned();
        [
            PublishError::Unavailable { subject: subject(), source: "down".into() },
            PublishError::Unknown { subject: subject(), source: "late".into() },
            PublishError::NoStream { subject: subject() },
            PublishError::Refused { subject: subject(), reason: String::new() },
        ]
    }

    fn allowed(policy: &RetryPolicy, attempts: u32, after: Duration, maybe_stored: bool) -> [bool; 4] {
        errors().map(|error| policy.allows(attempts, after, maybe_stored, &error))
    }

    #[test]
    fn only_what_is_safe_is_tried_again_unless_told() {
        let policy = RetryPolicy::default();
        assert_eq!(allowed(&policy, 1, Duration::ZERO, false), [true, true, false, false]);
        let told = policy.retry_no_stream(true).retry_refused(true);
        assert_eq!(allowed(&told, 1, Duration::ZERO, false), [true; 4]);
    }

    #[test]
    fn attempts_have_a_limit() {
        let policy = RetryPolicy::default().attempts(2);
        assert_eq!(allowed(&policy, 2, Duration::ZERO, false), [false; 4]);
        assert_eq!(allowed(&RetryPolicy::never(), 1, Duration::ZERO, false), [false; 4]);
    }

    #[test]
    fn what_may_be_stored_is_tried_again_only_while_the_stream_would_know_it() {
        let policy = RetryPolicy::default().duplicate_window(Duration::from_secs(5));
        let later = Duration::from_secs(5);
        assert_eq!(allowed(&policy, 1, later, true), [false; 4]);
        assert_eq!(allowed(&policy, 1, later, false), [true, true, false, false]);
    }
}
