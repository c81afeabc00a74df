//! The journal's stream as a reader sees it: is it still the one that was read before, and has it all its events?

use chrono::{DateTime, SecondsFormat, Utc};
use headwater_core::store::StartFrom;
use headwater_core::{RecordedEvent, Sequence};
use headwater_nats::event;
use headwater_nats::subject::Subjects;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, Trouble};
use super::error::ReaderError;

/// What the server says of the journal's stream.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct JournalInfo {
    /// When the stream was created: another time is another stream.
    pub(super) created: String,
    pub(super) state: JournalState,
}

/// How far the journal reaches.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct JournalState {
    #[serde(default)]
    pub(super) first_seq: u64,
    #[serde(default)]
    pub(super) last_seq: u64,
}

/// Looks at the journal.
pub(super) async fn look(api: &Api, stream: &str) -> Result<JournalInfo, Trouble> {
    api.ask(&format!("STREAM.INFO.{stream}"), None).await
}

impl JournalInfo {
    /// Refuses a journal that is not the one created at `created`, or that does not reach back, or on, to `after`,
    /// where the reader goes on.
    pub(super) fn check(&self, created: Option<&str>, after: u64) -> Result<(), ReaderError> {
        let lost = |what: String| Err(ReaderError::JournalLost(what));
        if let Some(created) = created
            && created != self.created
        {
            return lost(format!(
                "the journal's stream was made anew: the one that was read was created {created}, this one {}",
                self.created
            ));
        }
        let JournalState { first_seq, last_seq } = self.state;
        if after != u64::MAX && last_seq < after {
            return lost(format!(
                "the journal ends at sequence {last_seq}, and was read up to {after}: it has lost events"
            ));
        }
        if after > 0 && first_seq > after.saturating_add(1) {
            return lost(format!(
                "the journal begins at sequence {first_seq}, and was read up to {after}: events in between are gone"
            ));
        }
        Ok(())
    }
}

/// Where in the journal a consumer is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Right after this sequence.
    After(u64),
    /// With the first message at or after this time.
    Time(DateTime<Utc>),
    /// With the next message that is stored.
    New,
}

impl From<StartFrom> for Start {
    fn from(from: StartFrom) -> Self {
        match from {
            StartFrom::After(sequence) => Self::After(sequence.get()),
            StartFrom::Time(time) => Self::Time(time),
            StartFrom::Now => Self::New,
            // The enum may grow; showing everything is the answer that misses nothing.
            _ => Self::After(0),
        }
    }
}

impl Start {
    /// As members of a consumer's configuration.
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::After(0) => json!({ "deliver_policy": "all" }),
            Self::After(sequence) => json!({
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": sequence.saturating_add(1),
            }),
            Self::Time(time) => json!({
                "deliver_policy": "by_start_time",
                "opt_start_time": time.to_rfc3339_opts(SecondsFormat::Nanos, true),
            }),
            Self::New => json!({ "deliver_policy": "new" }),
        }
    }
}

/// The event in a message that JetStream delivered from this sequence of the journal.
pub(super) fn decode(subjects: &Subjects, subject: &str, body: &[u8], at: u64) -> Result<RecordedEvent, ReaderError> {
    let sequence = Sequence::new(at);
    let broken = |aggregate, what: String| {
        let what = format!("the message is no event of the protocol: {what}");
        ReaderError::HistoryBroken { sequence, aggregate, what }
    };
    let stored = subjects.parse_journal(subject).map_err(|error| broken(None, error.to_string()))?;
    let event = event::decode(&stored.aggregate, Some(stored.event.as_str()), body, sequence);
    event.map(|event| event.recorded).map_err(|error| broken(Some(stored.aggregate.clone()), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_lost_events_or_is_another_one_is_noticed() {
        let journal = |first_seq, last_seq| JournalInfo {
            created: "then".to_owned(),
            state: JournalState { first_seq, last_seq },
        };
        for (journal, created, after, fine) in [
            (journal(0, 0), None, 0, true),
            (journal(1, 7), Some("then"), 7, true),
            (journal(8, 9), Some("then"), 7, true),
            (journal(1, 6), Some("then"), 7, false),
            (journal(9, 9), Some("then"), 7, false),
            (journal(1, 7), Some("now"), 7, false),
            (journal(5, 9), None, 0, true),
            (journal(1, 9), None, u64::MAX, true),
        ] {
            assert_eq!(journal.check(created, after).is_ok(), fine, "{journal:?} {created:?} {after}");
        }
    }

    #[test]
    fn a_start_is_written_as_jetstream_wants_it() {
        assert_eq!(Start::from(StartFrom::Beginning).to_json(), json!({ "deliver_policy": "all" }));
        let after = Start::from(StartFrom::After(Sequence::new(41))).to_json();
        assert_eq!(after, json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": 42 }));
        assert_eq!(Start::from(StartFrom::Now).to_json(), json!({ "deliver_policy": "new" }));
        let time = Start::from(StartFrom::Time(DateTime::UNIX_EPOCH)).to_json();
        assert_eq!(time["opt_start_time"], "1970-01-01T00:00:00.000000000Z");
    }
}
