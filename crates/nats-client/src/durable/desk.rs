//! The events in a reader's hands, and which of them may be handled now.
//!
//! Each aggregate has a lane: its events go one after the other, in the order of the journal, and what comes after one
//! that has to be tried again waits behind it. Different lanes go side by side.
//!
//! In front of the lanes is a gate. JetStream delivers *new* events before those that were delivered to somebody who
//! never answered: after a reader died, a connection dropped or the server restarted, revision 6 of an aggregate comes
//! at once and revision 5 when its time to acknowledge is over. So whenever a delivery may have been missed the gate is
//! shut, and what comes in waits there until every event that is not acknowledged is in these hands.
//!
//! Nothing here knows a server or waits for anything.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use async_nats::Subject;
use headwater_core::{AggregateId, RecordedEvent};
use tokio::time::Instant;

/// All events in hand, by their place in the journal.
#[derive(Debug, Default)]
pub(super) struct Desk {
    held: BTreeMap<u64, Held>,
    lanes: HashMap<AggregateId, Lane>,
    /// Lanes whose next event may be begun.
    ready: VecDeque<AggregateId>,
    /// When events that are to be tried again may be begun.
    pauses: BinaryHeap<Reverse<(Instant, u64)>>,
    gate_shut: bool,
    /// Nothing from here on is begun.
    barrier: Option<u64>,
}

/// An event in hand.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) event: RecordedEvent,
    /// Where to acknowledge it, by its latest delivery.
    pub(super) reply: Subject,
    /// How often the server has delivered it.
    pub(super) deliveries: u64,
    /// How often it was handed over.
    pub(super) attempts: u32,
    /// How often that failed.
    pub(super) failures: u32,
    /// Why it cannot be handled; it is on its way to the dead letters then.
    pub(super) hopeless: Option<String>,
    /// When the server last heard, or said, that it is in these hands.
    pub(super) signed: Instant,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Before the gate.
    AtGate,
    /// In its lane.
    Waiting,
    Running,
    /// Until it is tried again.
    Paused,
    /// Handled, or given up as the text says; the server does not know for certain.
    Finished(Finish),
}

/// How an event was brought to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finish {
    Handled,
    GivenUp(String),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Begin this event.
    Begin(u64),
    /// Expire this event.
    Expired(u64),
}

#[derive(Debug, Default)]
struct Lane {
    /// Running or paused.
    current: Option<u64>,
    waiting: BTreeSet<u64>,
    /// Whether it is among the ready ones.
    queued: bool,
}

impl Held {
    pub(super) fn new(event: RecordedEvent, reply: Subject, deliveries: u64, now: Instant) -> Self {
        let state = State::AtGate;
        Self { event, reply, deliveries, attempts: 0, failures: 0, hopeless: None, signed: now, state }
    }

    pub(super) fn finish(&self) -> Option<&Finish> {
        match &self.state {
            State::Finished(finish) => Some(finish),
            _ => None,
        }
    }
}

impl Desk {
    /// Takes an event into hand, behind the gate when it is shut.
    pub(super) fn take(&mut self, held: Held) {
        let sequence = held.event.sequence.get();
        self.held.insert(sequence, held);
        if !self.gate_shut {
            self.line_up(sequence);
        }
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Held> {
        self.held.get(&sequence)
    }

    pub(super) fn get_mut(&mut self, sequence: u64) -> Option<&mut Held> {
        self.held.get_mut(&sequence)
    }

    /// Everything in hand, in the order of the journal.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Held)> {
        self.held.iter().map(|(sequence, held)| (*sequence, held))
    }

    /// The same, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Held)> {
        self.held.iter_mut().map(|(sequence, held)| (*sequence, held))
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The place of the first event in hand.
    pub(super) fn first(&self) -> Option<u64> {
        self.held.keys().next().copied()
    }

    /// How many events in hand stand after `after`, up to and with `to`, and are not finished. Of those that are, the
    /// server may know already.
    pub(super) fn unfinished_between(&self, after: u64, to: u64) -> usize {
        if after >= to {
            return 0;
        }
        self.held.range(after + 1..=to).filter(|(_, held)| held.finish().is_none()).count()
    }

    pub(super) fn shut_gate(&mut self) {
        self.gate_shut = true;
    }

    pub(super) fn is_gate_shut(&self) -> bool {
        self.gate_shut
    }

    /// Opens the gate: what waits there goes to its lane, in the order of the journal.
    pub(super) fn open_gate(&mut self) {
        self.gate_shut = false;
        let at_gate = self.held.iter().filter(|(_, held)| held.state == State::AtGate);
        for sequence in at_gate.map(|(sequence, _)| *sequence).collect::<Vec<_>>() {
            self.line_up(sequence);
        }
    }

    /// From now on, nothing from `sequence` on is begun.
    pub(super) fn bar_from(&mut self, sequence: u64) {
        self.barrier = Some(self.barrier.map_or(sequence, |barrier| barrier.min(sequence)));
    }

    /// Whether everything before the barrier is finished, and nothing can come any more that stands before it.
    pub(super) fn is_done_before_barrier(&self) -> bool {
        let Some(barrier) = self.barrier else { return false };
        !self.gate_shut && self.held.range(..barrier).all(|(_, held)| held.finish().is_some())
    }

    /// The next event to begin, which counts as running from now on.
    ///
    /// One that the server has not heard of for `ack_wait` may be somebody else's by now: it is not begun, and has to
    /// be [expired](Self::expire).
    pub(super) fn next(&mut self, now: Instant, ack_wait: Duration) -> Option<Next> {
        while let Some(aggregate) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&aggregate) else { continue };
            lane.queued = false;
            let Some(sequence) = lane.waiting.first().copied() else { continue };
            if lane.current.is_some() || self.barrier.is_some_and(|barrier| sequence >= barrier) {
                continue;
            }
            let Some(held) = self.held.get_mut(&sequence) else { continue };
            if now.duration_since(held.signed) >= ack_wait {
                return Some(Next::Expired(sequence));
            }
            lane.waiting.remove(&sequence);
            lane.current = Some(sequence);
            held.state = State::Running;
            return Some(Next::Begin(sequence));
        }
        None
    }

    /// Puts an event out of hand that will be delivered again. What follows it in its lane goes back before the gate,
    /// which is shut.
    pub(super) fn expire(&mut self, sequence: u64) {
        self.gate_shut = true;
        let Some(held) = self.held.remove(&sequence) else { return };
        let Some(lane) = self.lanes.remove(&held.event.aggregate) else { return };
        for later in lane.waiting {
            if let Some(held) = self.held.get_mut(&later) {
                held.state = State::AtGate;
            }
        }
    }

    /// Notes how a running event ended. It stays in hand until [`remove`](Self::remove): the server has to hear of it.
    pub(super) fn finished(&mut self, sequence: u64, finish: Finish) {
        let Some(held) = self.held.get_mut(&sequence) else { return };
        held.state = State::Finished(finish);
        let aggregate = held.event.aggregate.clone();
        self.free(&aggregate);
    }

    /// Lets a running event wait until it may be begun again; its lane waits with it.
    pub(super) fn pause(&mut self, sequence: u64, until: Instant) {
        if let Some(held) = self.held.get_mut(&sequence) {
            held.state = State::Paused;
            self.pauses.push(Reverse((until, sequence)));
        }
    }

    /// When the next pause is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.pauses.peek().map(|Reverse((until, _))| *until)
    }

    /// Ends pauses that are over.
    pub(super) fn end_pauses(&mut self, now: Instant) {
        while let Some(Reverse((until, sequence))) = self.pauses.peek().copied()
            && until <= now
        {
            self.pauses.pop();
            let Some(held) = self.held.get_mut(&sequence).filter(|held| held.state == State::Paused) else { continue };
            held.state = State::Waiting;
            let aggregate = held.event.aggregate.clone();
            if let Some(lane) = self.lanes.get_mut(&aggregate) {
                lane.waiting.insert(sequence);
            }
            self.free(&aggregate);
        }
    }

    /// Puts an event that the server knows to be finished out of hand.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<Held> {
        self.held.remove(&sequence)
    }

    /// Puts everything out of hand that was not begun or waits to be tried again, in the order of the journal.
    pub(super) fn give_up_unbegun(&mut self) -> Vec<Held> {
        let begun = |held: &Held| matches!(held.state, State::Running | State::Finished(_));
        let (kept, given_up) = std::mem::take(&mut self.held).into_iter().partition(|(_, held)| begun(held));
        self.held = kept;
        self.ready.clear();
        self.pauses.clear();
        let held = &self.held;
        self.lanes.retain(|_, lane| {
            lane.waiting.clear();
            lane.queued = false;
            lane.current.is_some_and(|current| held.contains_key(&current))
        });
        let given_up: BTreeMap<u64, Held> = given_up;
        given_up.into_values().collect()
    }

    fn line_up(&mut self, sequence: u64) {
        let Some(held) = self.held.get_mut(&sequence) else { return };
        held.state = State::Waiting;
        let aggregate = held.event.aggregate.clone();
        let lane = self.lanes.entry(aggregate.clone()).or_default();
        lane.waiting.insert(sequence);
        if lane.current.is_none() && !lane.queued {
            lane.queued = true;
            self.ready.push_back(aggregate);
        }
    }

    /// The lane's current event is no longer that: the next one may be begun.
    fn free(&mut self, aggregate: &AggregateId) {
        let Some(lane) = self.lanes.get_mut(aggregate) else { return };
        lane.current = None;
        if lane.waiting.is_empty() {
            self.lanes.remove(aggregate);
        } else if !lane.queued {
            lane.queued = true;
            self.ready.push_back(aggregate.clone());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use headwater_core::{CommandId, EventId, JSON, Metadata, Name, NewEvent, Revision, Sequence};

    use super::*;

    const WAIT: Duration = Duration::from_secs(30);

    pub(crate) fn event(id: &str, revision: u64, sequence: u64) -> RecordedEvent {
        let aggregate = AggregateId::new("receipt", id).unwrap();
        let command = CommandId::new("c").unwrap();
        let event = NewEvent {
            id: EventId::derive(&command, &aggregate, usize::try_from(revision).unwrap()),
            name: Name::new("noted").unwrap(),
            schema_version: 1,
            time: chrono::DateTime::UNIX_EPOCH,
            content_type: JSON.into(),
            data: bytes::Bytes::from_static(b"{}"),
            metadata: Arc::new(Metadata::new(command)),
        };
        RecordedEvent { aggregate, revision: Revision::new(revision), sequence: Sequence::new(sequence), event }
    }

    struct Case {
        desk: Desk,
        now: Instant,
    }

    impl Case {
        fn new() -> Self {
            Self { desk: Desk::default(), now: Instant::now() }
        }

        fn take(&mut self, id: &str, sequence: u64) {
            let held = Held::new(event(id, sequence, sequence), format!("ack.{sequence}").into(), 1, self.now);
            self.desk.take(held);
        }

        /// Everything that may be begun now.
        fn begin(&mut self) -> Vec<u64> {
            let mut begun = Vec::new();
            while let Some(next) = self.desk.next(self.now, WAIT) {
                match next {
                    Next::Begin(sequence) => begun.push(sequence),
                    Next::Expired(sequence) => self.desk.expire(sequence),
                }
            }
            begun
        }

        fn handle(&mut self, sequence: u64) {
            self.desk.finished(sequence, Finish::Handled);
            self.desk.remove(sequence);
        }
    }

    #[test]
    fn an_aggregates_events_go_one_after_the_other_and_aggregates_side_by_side() {
        let mut case = Case::new();
        for (id, sequence) in [("a", 1), ("a", 2), ("b", 3), ("a", 4)] {
            case.take(id, sequence);
        }
        assert_eq!(case.begin(), [1, 3]);
        assert!(case.begin().is_empty());
        case.handle(1);
        assert_eq!(case.begin(), [2]);
        case.handle(3);
        case.handle(2);
        assert_eq!(case.begin(), [4]);
        case.handle(4);
        assert_eq!((case.desk.len(), case.desk.lanes.len()), (0, 0), "nothing is left behind");
    }

    #[test]
    fn later_events_wait_behind_one_that_is_tried_again() {
        let mut case = Case::new();
        for (id, sequence) in [("a", 1), ("a", 2), ("b", 3)] {
            case.take(id, sequence);
        }
        assert_eq!(case.begin(), [1, 3]);
        case.desk.pause(1, case.now + Duration::from_secs(1));
        case.handle(3);
        assert!(case.begin().is_empty());
        case.take("a", 4);
        assert!(case.begin().is_empty());
        assert_eq!(case.desk.next_due(), Some(case.now + Duration::from_secs(1)));
        case.now += Duration::from_secs(1);
        case.desk.end_pauses(case.now);
        assert_eq!(case.begin(), [1]);
        case.handle(1);
        assert_eq!(case.begin(), [2]);
    }

    #[test]
    fn what_waits_at_the_gate_goes_through_in_the_order_of_the_journal() {
        let mut case = Case::new();
        case.take("a", 3);
        case.desk.shut_gate();
        for (id, sequence) in [("a", 9), ("b", 8), ("a", 6), ("b", 7)] {
            case.take(id, sequence);
        }
        assert_eq!(case.begin(), [3], "what was in hand before goes on");
        case.handle(3);
        assert!(case.begin().is_empty());
        case.desk.open_gate();
        assert_eq!(case.begin(), [6, 7]);
        case.handle(6);
        case.handle(7);
        assert_eq!(case.begin(), [9, 8]);
    }

    #[test]
    fn an_event_the_server_has_not_heard_of_for_too_long_is_not_begun_and_nothing_overtakes_it() {
        let mut case = Case::new();
        case.take("a", 1);
        case.now += WAIT;
        case.take("a", 2);
        case.take("b", 3);
        assert_eq!(case.begin(), [3]);
        assert!(case.desk.is_gate_shut() && case.desk.get(1).is_none());
        case.take("a", 1);
        case.desk.open_gate();
        assert_eq!(case.begin(), [1]);
    }

    #[test]
    fn nothing_from_the_barrier_on_is_begun() {
        let mut case = Case::new();
        for (id, sequence) in [("a", 1), ("a", 5), ("b", 2), ("c", 6)] {
            case.take(id, sequence);
        }
        case.desk.bar_from(5);
        case.desk.bar_from(7);
        assert_eq!(case.begin(), [1, 2]);
        case.handle(1);
        assert!(!case.desk.is_done_before_barrier());
        assert!(case.begin().is_empty());
        case.desk.finished(2, Finish::Handled);
        assert!(case.desk.is_done_before_barrier());
        case.desk.shut_gate();
        assert!(!case.desk.is_done_before_barrier(), "something before it may still come");
    }

    #[test]
    fn what_was_not_begun_is_given_up_in_order_and_what_was_stays() {
        let mut case = Case::new();
        for (id, sequence) in [("a", 1), ("a", 4), ("b", 2), ("b", 5)] {
            case.take(id, sequence);
        }
        assert_eq!(case.begin(), [1, 2]);
        case.desk.pause(2, case.now);
        case.desk.shut_gate();
        case.take("c", 3);
        let given_up: Vec<u64> = case.desk.give_up_unbegun().iter().map(|held| held.event.sequence.get()).collect();
        assert_eq!(given_up, [2, 3, 4, 5]);
        case.take("a", 4);
        case.desk.open_gate();
        assert!(case.begin().is_empty(), "its lane is still busy");
        case.handle(1);
        assert_eq!(case.begin(), [4]);
    }

    #[test]
    fn events_in_hand_are_counted_between_two_places() {
        let mut case = Case::new();
        for sequence in [3, 5, 9] {
            case.take("a", sequence);
        }
        assert_eq!(case.desk.unfinished_between(3, 9), 2);
        assert_eq!(case.desk.unfinished_between(0, u64::MAX), 3);
        assert_eq!((case.desk.unfinished_between(9, 9), case.desk.unfinished_between(9, 3)), (0, 0));
        assert_eq!(case.begin(), [3]);
        case.desk.finished(3, Finish::Handled);
        assert_eq!((case.desk.first(), case.desk.unfinished_between(0, 9)), (Some(3), 2));
    }
}
