//! Which messages were brought to their end, as far as that is remembered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::hand::Past;

/// How many finished messages are remembered, and how many that were given back.
const MOST: usize = 65_536;

/// Remembers which messages this processor finished, in case they are delivered again because the answer was lost or the
/// consumer was made anew, and what is known of those it gave back.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Everything up to here is acknowledged, by whoever reads the consumer.
    floor: u64,
    finished: BTreeSet<u64>,
    given_back: HashMap<u64, Past>,
    oldest_given_back: BTreeMap<u64, u64>,
    round: u64,
}

impl Memory {
    /// Everything up to here is acknowledged, the server says.
    pub(super) fn acknowledged_to(&mut self, floor: u64) {
        if floor > self.floor {
            self.floor = floor;
            self.finished = self.finished.split_off(&(floor + 1));
        }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn finish(&mut self, sequence: u64) {
        self.take_back(sequence);
        self.finished.insert(sequence);
        if self.finished.len() > MOST {
            self.finished.pop_first();
        }
    }

    pub(super) fn is_finished(&self, sequence: u64) -> bool {
        self.finished.contains(&sequence)
    }

    pub(super) fn give_back(&mut self, sequence: u64, past: Past) {
        self.round += 1;
        if self.given_back.insert(sequence, past).is_none() {
            self.oldest_given_back.insert(self.round, sequence);
        }
        while self.oldest_given_back.len() > MOST {
            if let Some((_, sequence)) = self.oldest_given_back.pop_first() {
                self.given_back.remove(&sequence);
            }
        }
    }

    /// What is known of a message that was given back and has come again.
    pub(super) fn take_back(&mut self, sequence: u64) -> Past {
        // Nearly always there are none: nothing is looked up then.
        if self.given_back.is_empty() { Past::default() } else { self.given_back.remove(&sequence).unwrap_or_default() }
    }

    /// Forgets everything: the stream is another one.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_finished_is_known_until_the_server_knows_it_too() {
        let mut memory = Memory::default();
        for sequence in [3, 5] {
            memory.finish(sequence);
        }
        assert!(memory.is_finished(3) && !memory.is_finished(4));
        memory.acknowledged_to(3);
        memory.acknowledged_to(1);
        assert!(!memory.is_finished(3) && memory.is_finished(5));
        assert_eq!(memory.floor(), 3);
    }

    #[test]
    fn what_was_given_back_is_known_once_and_only_so_many() {
        let mut memory = Memory::default();
        memory.give_back(1, Past { troubles: 2, ..Past::default() });
        assert_eq!((memory.take_back(1).troubles, memory.take_back(1).troubles), (2, 0));
        for sequence in 0..=MOST as u64 + 10 {
            memory.give_back(sequence, Past::default());
            memory.finish(sequence);
            memory.give_back(sequence, Past::default());
        }
        assert!(memory.given_back.len() <= MOST && memory.finished.len() <= MOST);
        assert!(memory.oldest_given_back.len() <= MOST);
    }
}
