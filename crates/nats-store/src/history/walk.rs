//! Which places to look up next, on the way from an aggregate's last event back to the wanted ones.

use std::collections::VecDeque;

use headwater_core::store::Head;
use headwater_core::{Revision, Sequence};
use headwater_nats::event::StoredEvent;

/// A walk back along the places that events name. It knows no server, only what to fetch and what was found.
#[derive(Debug)]
pub(super) struct Walk {
    from: Revision,
    to: Revision,
    /// The oldest event whose place is known. Only what it names leads further back.
    anchor: Revision,
    to_fetch: VecDeque<(Revision, Sequence)>,
    found: Vec<StoredEvent>,
}

/// Where a history does not hold together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) revision: Revision,
    pub(super) what: String,
}

impl Walk {
    /// Starts at `last`, whose revision is `to` or later, for the revisions `from` to `to`.
    pub(super) fn new(last: StoredEvent, from: Revision, to: Revision) -> Self {
        let anchor = last.recorded.revision;
        let mut walk = Self { from, to, anchor, to_fetch: VecDeque::new(), found: Vec::new() };
        walk.take(last);
        walk
    }

    /// Starts at the end of the history, whose last places are known, for the revisions `from` to `to`.
    pub(super) fn from_head(head: &Head, from: Revision, to: Revision) -> Self {
        // As if the event after the last had been found, and had named them.
        let anchor = head.revision().next();
        let mut walk = Self { from, to, anchor, to_fetch: VecDeque::new(), found: Vec::new() };
        walk.step_back(head.recent());
        walk
    }

    /// A place to look up, and the revision that must stand there. None when nothing can be looked up before more
    /// has been found.
    pub(super) fn next_place(&mut self) -> Option<(Revision, Sequence)> {
        self.to_fetch.pop_front()
    }

    /// Takes an event that was found where it had to be.
    pub(super) fn take(&mut self, event: StoredEvent) {
        let revision = event.recorded.revision;
        if revision == self.anchor {
            self.step_back(&event.previous);
        }
        if (self.from..=self.to).contains(&revision) {
            self.found.push(event);
        }
    }

    /// Notes the places that the anchor names, newest first. The oldest is looked up first, since the rest of the way
    /// depends on it; those in between are left out where they are not wanted.
    fn step_back(&mut self, places: &[Sequence]) {
        let mut oldest = None;
        for (steps, sequence) in places.iter().enumerate() {
            let earlier = self.anchor.get().saturating_sub(steps as u64 + 1);
            if earlier < self.from.get() {
                break;
            }
            if let Some(newer) = oldest.replace((Revision::new(earlier), *sequence))
                && newer.0 <= self.to
            {
                self.to_fetch.push_back(newer);
            }
        }
        if let Some((revision, sequence)) = oldest {
            self.anchor = revision;
            self.to_fetch.push_front((revision, sequence));
        }
    }

    /// The wanted events, oldest first.
    pub(super) fn finish(mut self) -> Result<Vec<StoredEvent>, Gap> {
        self.found.sort_unstable_by_key(|event| event.recorded.revision);
        let mut expected = self.from;
        let mut before: Option<Sequence> = None;
        for event in &self.found {
            let revision = event.recorded.revision;
            if revision != expected {
                return Err(Gap { revision: expected, what: "no event names its place".to_owned() });
            }
            if before.is_some_and(|before| event.previous.first() != Some(&before)) {
                let what = format!("the event at sequence {} names another event before it", event.recorded.sequence);
                return Err(Gap { revision, what });
            }
            before = Some(event.recorded.sequence);
            expected = expected.next();
        }
        if expected <= self.to {
            return Err(Gap { revision: expected, what: "no event names its place".to_owned() });
        }
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_core::{AggregateId, CommandId, EventId, JSON, Metadata, Name, NewEvent, RecordedEvent};

    use super::*;

    /// Stands at ten times its revision and names `hop` places before it.
    fn event(revision: u64, hop: u64) -> StoredEvent {
        let aggregate = AggregateId::new("receipt", "one").unwrap();
        let command = CommandId::new("c").unwrap();
        let event = NewEvent {
            id: EventId::derive(&command, &aggregate, 0),
            name: Name::new("noted").unwrap(),
            schema_version: 1,
            time: chrono::DateTime::UNIX_EPOCH,
            content_type: JSON.into(),
            data: bytes::Bytes::from_static(b"{}"),
            metadata: Arc::new(Metadata::new(command)),
        };
        let sequence = Sequence::new(revision * 10);
        let previous = (1..revision).rev().take(hop as usize).map(|earlier| Sequence::new(earlier * 10)).collect();
        let revision = Revision::new(revision);
        StoredEvent { recorded: RecordedEvent { aggregate, revision, sequence, event }, previous }
    }

    /// Walks through a whole history of events that name `hop` places each; what was found and how many look-ups it took.
    fn walk(last: u64, from: u64, to: u64, hop: u64) -> (Vec<u64>, usize) {
        finish(Walk::new(event(last, hop), Revision::new(from), Revision::new(to)), hop)
    }

    fn finish(mut walk: Walk, hop: u64) -> (Vec<u64>, usize) {
        let mut lookups = 0;
        while let Some((revision, sequence)) = walk.next_place() {
            assert_eq!(sequence.get(), revision.get() * 10);
            lookups += 1;
            walk.take(event(revision.get(), hop));
        }
        let found = walk.finish().unwrap();
        (found.iter().map(|event| event.recorded.revision.get()).collect(), lookups)
    }

    #[test]
    fn every_part_of_a_history_is_found_in_order() {
        for (last, hop) in [(1, 32), (2, 32), (33, 32), (34, 32), (100, 32), (100, 1), (100, 7)] {
            for from in [1, 2, 33, 50, last] {
                for to in [from, from + 1, last] {
                    if from <= to && to <= last {
                        assert_eq!(
                            walk(last, from, to, hop).0,
                            (from..=to).collect::<Vec<_>>(),
                            "{last} {from} {to} {hop}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_whole_history_takes_one_look_up_for_each_earlier_event() {
        assert_eq!(walk(100, 1, 100, 32).1, 99);
    }

    #[test]
    fn from_a_known_head_its_places_are_looked_up_at_once() {
        let head = |last: u64, known: usize| {
            let recent = (1..=last).rev().take(known).map(|revision| Sequence::new(revision * 10)).collect();
            Head::new(Revision::new(last), recent)
        };
        let mut tail = Walk::from_head(&head(100, 32), Revision::new(90), Revision::new(100));
        assert_eq!(std::iter::from_fn(|| tail.next_place()).count(), 11, "before anything was found");
        for (last, known, from, to) in
            [(100, 32, 1, 100), (100, 1, 1, 100), (100, 32, 5, 7), (33, 32, 1, 33), (1, 1, 1, 1)]
        {
            let walk = Walk::from_head(&head(last, known), Revision::new(from), Revision::new(to));
            assert_eq!(finish(walk, 32).0, (from..=to).collect::<Vec<_>>(), "{last} {known} {from} {to}");
        }
    }

    #[test]
    fn on_the_way_back_to_old_events_only_the_signposts_are_fetched() {
        // From 100 by way of 68, 36 and 4 to 3, 2 and 1.
        assert_eq!(walk(100, 1, 3, 32), (vec![1, 2, 3], 6));
        // The tail needs nothing before it.
        assert_eq!(walk(100, 98, 100, 32), (vec![98, 99, 100], 2));
    }

    #[test]
    fn an_event_that_names_a_wrong_place_before_it_is_a_gap() {
        let mut walk = Walk::new(event(3, 32), Revision::new(1), Revision::new(3));
        while let Some((revision, _)) = walk.next_place() {
            let mut found = event(revision.get(), 32);
            if revision == Revision::new(2) {
                found.previous = vec![Sequence::new(9)];
            }
            walk.take(found);
        }
        let gap = walk.finish().unwrap_err();
        assert_eq!(gap.revision, Revision::new(2));
        assert!(gap.what.contains("sequence 20"), "{}", gap.what);
    }

    #[test]
    fn an_event_that_names_nothing_before_it_is_a_gap() {
        let mut last = event(5, 32);
        last.previous.clear();
        let walk = Walk::new(last, Revision::new(1), Revision::new(5));
        assert_eq!(walk.finish().unwrap_err().revision, Revision::new(1));
    }
}
