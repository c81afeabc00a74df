//! Where a new consumer begins.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::clock::Clock;
use super::log::{Log, Stored, is_taken};
use crate::consume::{ConsumerConfig, Deliver};

/// The first messages of a consumer.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Places that come before all others.
    pub(super) chosen: VecDeque<u64>,
    /// The place from which on all come.
    pub(super) cursor: u64,
}

impl Start {
    pub(super) fn of(config: &ConsumerConfig, log: &Log, clock: &Clock) -> Self {
        let wanted = |stored: &&Stored| is_taken(&config.filter_subjects, &stored.message.subject);
        let at = |cursor| Self { cursor, ..Self::default() };
        match config.deliver {
            Deliver::All => at(log.first_sequence()),
            Deliver::New => at(log.next_sequence()),
            Deliver::Last => at(log.backwards().find(wanted).map_or(log.next_sequence(), |stored| stored.sequence)),
            Deliver::LastPerSubject => {
                let mut seen = HashSet::new();
                let last = log.backwards().filter(wanted).filter(|stored| seen.insert(&stored.message.subject));
                let places: BTreeSet<u64> = last.map(|stored| stored.sequence).collect();
                Self { chosen: places.into_iter().collect(), cursor: log.next_sequence() }
            }
            Deliver::FromSequence(sequence) => at(sequence.clamp(log.first_sequence(), log.next_sequence())),
            Deliver::FromTime(time) => {
                let first = log.from(0).find(|stored| clock.time_at(stored.at) >= time);
                at(first.map_or(log.next_sequence(), |stored| stored.sequence))
            }
        }
    }
}
