//! What was handled lately: an event that comes again is recognised, and an acknowledgement that was lost is repeated.

use std::collections::{HashMap, VecDeque};

use async_nats::Subject;
use headwater_core::{AggregateId, RecordedEvent, Revision};

/// The events handled last, up to a number.
#[derive(Debug)]
pub(super) struct Memory {
    capacity: usize,
    handled: HashMap<Key, Handled>,
    order: VecDeque<Key>,
}

type Key = (AggregateId, Revision);

#[derive(Debug)]
struct Handled {
    sequence: u64,
    reply: Subject,
}

/// What memory says of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recollection {
    /// Not handled, as far as it goes.
    New,
    /// Handled.
    Handled,
    /// Another event with this revision was handled, which stands at this sequence: the history is broken.
    Other(u64),
}

impl Memory {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, handled: HashMap::new(), order: VecDeque::new() }
    }

    /// Notes that an event was handled, and on which subject that was said.
    pub(super) fn note(&mut self, event: &RecordedEvent, reply: Subject) {
        if self.capacity == 0 {
            return;
        }
        let key = (event.aggregate.clone(), event.revision);
        let handled = Handled { sequence: event.sequence.get(), reply };
        if self.handled.insert(key.clone(), handled).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.handled.remove(&oldest);
        }
    }

    pub(super) fn recall(&self, event: &RecordedEvent) -> Recollection {
        match self.handled.get(&(event.aggregate.clone(), event.revision)) {
            None => Recollection::New,
            Some(handled) if handled.sequence == event.sequence.get() => Recollection::Handled,
            Some(handled) => Recollection::Other(handled.sequence),
        }
    }

    /// Where to repeat the acknowledgements of what stands after `after`, up to and with `to`.
    pub(super) fn between(&self, after: u64, to: u64) -> Vec<Subject> {
        let within = |handled: &&Handled| handled.sequence > after && handled.sequence <= to;
        self.handled.values().filter(within).map(|handled| handled.reply.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::desk::tests::event;
    use super::*;

    #[test]
    fn what_was_handled_is_known_by_aggregate_and_revision_until_it_is_too_long_ago() {
        let mut memory = Memory::new(2);
        for sequence in 1..=3 {
            memory.note(&event("a", sequence, sequence), format!("ack.{sequence}").into());
        }
        assert_eq!(memory.recall(&event("a", 1, 1)), Recollection::New, "forgotten");
        assert_eq!(memory.recall(&event("a", 2, 2)), Recollection::Handled);
        assert_eq!(memory.recall(&event("b", 2, 2)), Recollection::New, "of another aggregate");
        assert_eq!(memory.recall(&event("a", 3, 9)), Recollection::Other(3));
        assert_eq!(memory.between(2, 9), ["ack.3".into()]);
        assert!(memory.between(3, 9).is_empty());
        memory.note(&event("a", 3, 3), "ack.again".into());
        assert_eq!(memory.recall(&event("a", 2, 2)), Recollection::Handled, "noted twice counts once");
    }

    #[test]
    fn a_memory_of_nothing_knows_nothing() {
        let mut memory = Memory::new(0);
        memory.note(&event("a", 1, 1), "ack".into());
        assert_eq!(memory.recall(&event("a", 1, 1)), Recollection::New);
    }
}
