//! How far a subscription got, and whether the journal still has what comes next.

use chrono::SecondsFormat;
use headwater_core::store::{StartFrom, StoreError};
use serde_json::{Value, json};

use crate::stream::StreamState;

/// Where a subscription goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// With the first message at or after this time.
    Time(chrono::DateTime<chrono::Utc>),
    /// Right after this sequence.
    After(u64),
}

impl Position {
    /// Where to start, in a journal whose last sequence is `last`.
    pub(super) fn new(from: StartFrom, last: u64) -> Self {
        match from {
            StartFrom::After(sequence) => Self::After(sequence.get()),
            StartFrom::Time(time) => Self::Time(time),
            StartFrom::Now => Self::After(last),
            // The enum may grow; showing everything is the answer that misses nothing.
            _ => Self::After(0),
        }
    }

    /// Notes that the message at this sequence was shown.
    pub(super) fn shown(&mut self, sequence: u64) {
        *self = Self::After(sequence);
    }

    /// Refuses a journal that does not reach back, or on, to where the subscription is: it was restored from a backup
    /// or made anew, and going on would skip events or mistake others for them.
    pub(super) fn check(&self, state: &StreamState) -> Result<(), StoreError> {
        let Self::After(sequence) = *self else { return Ok(()) };
        if sequence > 0 && sequence != u64::MAX && state.last_seq < sequence {
            return Err(StoreError::new(format!(
                "the journal ends at sequence {}, and the subscription was at {sequence}: the journal has lost events",
                state.last_seq
            )));
        }
        if sequence > 0 && state.first_seq > sequence.saturating_add(1) {
            return Err(StoreError::new(format!(
                "the journal begins at sequence {}, and the subscription was at {sequence}: events in between are gone",
                state.first_seq
            )));
        }
        Ok(())
    }

    /// As members of a consumer's configuration.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Time(time) => json!({
                "deliver_policy": "by_start_time",
                "opt_start_time": time.to_rfc3339_opts(SecondsFormat::Nanos, true),
            }),
            Self::After(0) => json!({ "deliver_policy": "all" }),
            Self::After(sequence) => json!({
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": sequence.saturating_add(1),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_core::Sequence;

    use super::*;

    fn state(first_seq: u64, last_seq: u64) -> StreamState {
        StreamState { first_seq, last_seq, ..StreamState::default() }
    }

    #[test]
    fn a_journal_that_lost_events_is_noticed() {
        let mut position = Position::new(StartFrom::Beginning, 9);
        assert!(position.check(&state(0, 0)).is_ok());
        position.shown(7);
        assert!(position.check(&state(1, 7)).is_ok());
        assert!(position.check(&state(8, 9)).is_ok());
        assert!(position.check(&state(1, 6)).is_err());
        assert!(position.check(&state(9, 9)).is_err());
        let now = Position::new(StartFrom::Now, 9);
        assert_eq!(now, Position::After(9));
        assert!(now.check(&state(1, 9)).is_ok());
        let end = Position::new(StartFrom::After(Sequence::new(u64::MAX)), 9);
        assert_eq!(end.to_json()["opt_start_seq"], json!(u64::MAX));
    }
}
