//! The messages in a processor's hands, and which of them may be handled now.
//!
//! Messages of one key have a lane: they go one after the other, in the order of the stream, and what comes after one that
//! has to be tried again waits behind it. Different lanes, and messages without a key, go side by side.
//!
//! In front of it all may be a gate. JetStream delivers *new* messages before those that were delivered to somebody who
//! never answered: after a crash, message 6 of a key comes at once and message 5 when its time to be acknowledged is over.
//! So whenever a delivery may have been missed the gate is shut, and what comes in waits there until every message that
//! is not acknowledged is in these hands.
//!
//! Nothing here knows a server or waits for anything.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::work::Doom;
use crate::consume::Delivery;

/// The latest delivery of a message, by which it is answered for.
#[derive(Debug)]
pub(super) struct Slot(Mutex<Arc<Delivery>>);

impl Slot {
    pub(super) fn new(delivery: Delivery) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new(delivery))))
    }

    pub(super) fn get(&self) -> Arc<Delivery> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, delivery: Delivery) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(delivery);
    }
}

/// What is known of the failures of a message.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Attempts in this process that the server does not count.
    pub(super) tries: u64,
    /// How often something that handling depends on was not to be had.
    pub(super) troubles: u64,
    /// When it failed for the first time, as far as is known.
    pub(super) first_failed: Option<DateTime<Utc>>,
    /// Why it is to be given up.
    pub(super) doom: Option<Doom>,
}

/// A message in hand.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) slot: Arc<Slot>,
    pub(super) key: Option<Arc<str>>,
    pub(super) past: Past,
    /// When the server last heard, or said, that it is in these hands.
    pub(super) signed: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AtGate,
    Waiting,
    Running,
    Paused,
}

#[derive(Debug, Default)]
struct Lane {
    /// Running or paused.
    current: Option<u64>,
    waiting: BTreeSet<u64>,
    queued: bool,
}

#[derive(Debug)]
enum Ready {
    Alone(u64),
    Lane(Arc<str>),
}

/// All messages in hand, by their place in the stream.
#[derive(Debug, Default)]
pub(super) struct Hand {
    held: HashMap<u64, Held>,
    lanes: HashMap<Arc<str>, Lane>,
    ready: VecDeque<Ready>,
    pauses: BinaryHeap<Reverse<(Instant, u64)>>,
    at_gate: BTreeSet<u64>,
    gate_shut: bool,
    running: usize,
}

impl Hand {
    /// Takes a message into hand. One that is there already is only answered for by its newer delivery; false then.
    pub(super) fn take(&mut self, delivery: Delivery, key: Option<Arc<str>>, past: Past, now: Instant) -> bool {
        let sequence = delivery.context.sequence;
        if let Some(held) = self.held.get_mut(&sequence) {
            held.slot.set(delivery);
            held.signed = now;
            return false;
        }
        let state = if self.gate_shut { State::AtGate } else { State::Waiting };
        self.held.insert(sequence, Held { slot: Slot::new(delivery), key, past, signed: now, state });
        if self.gate_shut {
            self.at_gate.insert(sequence);
        } else {
            self.line_up(sequence);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// Whether a message seems to wait for its turn only.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn shut_gate(&mut self) {
        self.gate_shut = true;
    }

    pub(super) fn is_gate_shut(&self) -> bool {
        self.gate_shut
    }

    /// Opens the gate: what waits there goes to its lane, in the order of the stream.
    pub(super) fn open_gate(&mut self) {
        self.gate_shut = false;
        for sequence in std::mem::take(&mut self.at_gate) {
            self.line_up(sequence);
        }
    }

    /// The next message to begin, which counts as running from now on.
    pub(super) fn next(&mut self) -> Option<(u64, &mut Held)> {
        let sequence = loop {
            match self.ready.pop_front()? {
                Ready::Alone(sequence) if self.is_waiting(sequence) => break sequence,
                Ready::Alone(_) => {}
                Ready::Lane(key) => {
                    let Some(lane) = self.lanes.get_mut(&key) else { continue };
                    lane.queued = false;
                    if lane.current.is_some() {
                        continue;
                    }
                    let Some(sequence) = lane.waiting.pop_first() else { continue };
                    lane.current = Some(sequence);
                    break sequence;
                }
            }
        };
        self.running += 1;
        let held = self.held.get_mut(&sequence)?;
        held.state = State::Running;
        Some((sequence, held))
    }

    /// Puts a running message out of hand.
    pub(super) fn finished(&mut self, sequence: u64) -> Option<Held> {
        let held = self.held.remove(&sequence)?;
        if held.state == State::Running {
            self.running -= 1;
        }
        if let Some(key) = &held.key {
            self.free(key);
        }
        Some(held)
    }

    /// Lets a running message wait until it may be begun again; its lane waits with it.
    pub(super) fn pause(&mut self, sequence: u64, until: Instant, past: Past) {
        let Some(held) = self.held.get_mut(&sequence) else { return };
        if held.state == State::Running {
            self.running -= 1;
        }
        held.state = State::Paused;
        held.past = past;
        self.pauses.push(Reverse((until, sequence)));
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
            match held.key.clone() {
                None => self.ready.push_back(Ready::Alone(sequence)),
                Some(key) => {
                    if let Some(lane) = self.lanes.get_mut(&key) {
                        lane.waiting.insert(sequence);
                    }
                    self.free(&key);
                }
            }
        }
    }

    /// Those of which the server has heard nothing since `then`.
    pub(super) fn unsigned_since(&self, then: Instant) -> Vec<(u64, Arc<Slot>)> {
        let unsigned = self.held.iter().filter(|(_, held)| held.signed <= then);
        unsigned.map(|(sequence, held)| (*sequence, Arc::clone(&held.slot))).collect()
    }

    pub(super) fn sign(&mut self, sequence: u64, now: Instant) {
        if let Some(held) = self.held.get_mut(&sequence) {
            held.signed = held.signed.max(now);
        }
    }

    /// Puts out of hand what is not running: all of it, or what waits for another attempt. In the order of the stream.
    pub(super) fn give_back(&mut self, which: GiveBack) -> Vec<Held> {
        let goes = |held: &Held| match which {
            GiveBack::Paused => held.state == State::Paused,
            GiveBack::NotRunning => held.state != State::Running,
        };
        let mut going: Vec<u64> =
            self.held.iter().filter(|(_, held)| goes(held)).map(|(sequence, _)| *sequence).collect();
        going.sort_unstable();
        if which == GiveBack::NotRunning {
            self.ready.clear();
            self.at_gate.clear();
            self.pauses.clear();
            let held = &self.held;
            let is_running = |sequence| held.get(&sequence).is_some_and(|held| held.state == State::Running);
            self.lanes.retain(|_, lane| {
                lane.waiting.clear();
                lane.queued = false;
                lane.current.is_some_and(is_running)
            });
            return going.iter().filter_map(|sequence| self.held.remove(sequence)).collect();
        }
        // What waits behind a paused message must not overtake it: it goes back too.
        let mut given = Vec::new();
        for sequence in going {
            let Some(held) = self.held.remove(&sequence) else { continue };
            let behind = held.key.as_ref().and_then(|key| self.lanes.remove(key)).map(|lane| lane.waiting);
            given.push(held);
            given.extend(behind.into_iter().flatten().filter_map(|later| self.held.remove(&later)));
        }
        given
    }

    /// Everything, running ones included, in the order of the stream.
    pub(super) fn empty(&mut self) -> Vec<Held> {
        let mut all: Vec<(u64, Held)> = std::mem::take(self).held.into_iter().collect();
        all.sort_unstable_by_key(|(sequence, _)| *sequence);
        all.into_iter().map(|(_, held)| held).collect()
    }

    fn is_waiting(&self, sequence: u64) -> bool {
        self.held.get(&sequence).is_some_and(|held| held.state == State::Waiting)
    }

    fn line_up(&mut self, sequence: u64) {
        let Some(held) = self.held.get_mut(&sequence) else { return };
        held.state = State::Waiting;
        let Some(key) = held.key.clone() else {
            self.ready.push_back(Ready::Alone(sequence));
            return;
        };
        let lane = self.lanes.entry(Arc::clone(&key)).or_default();
        lane.waiting.insert(sequence);
        if lane.current.is_none() && !lane.queued {
            lane.queued = true;
            self.ready.push_back(Ready::Lane(key));
        }
    }

    /// The lane's current message is no longer that: the next one may be begun.
    fn free(&mut self, key: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.current = None;
        if lane.waiting.is_empty() {
            self.lanes.remove(key);
        } else if !lane.queued {
            lane.queued = true;
            self.ready.push_back(Ready::Lane(Arc::clone(key)));
        }
    }
}

/// What is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GiveBack {
    /// What waits for another attempt, and whatever waits behind it.
    Paused,
    /// All but what is running.
    NotRunning,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::consume::{AckError, Acknowledge, DeliveryContext, Verdict};
    use crate::message::Message;

    struct Deaf;

    impl Acknowledge for Deaf {
        fn tell(&self, _: &str, _: &Verdict) -> BoxFuture<'_, Result<(), AckError>> {
            async { Ok(()) }.boxed()
        }

        fn tell_and_wait(&self, _: &str, _: &Verdict, _: Duration) -> BoxFuture<'_, Result<(), AckError>> {
            async { Ok(()) }.boxed()
        }
    }

    fn delivery(sequence: u64, deliveries: u64) -> Delivery {
        let context = DeliveryContext {
            stream: "S".into(),
            consumer: "c".into(),
            sequence,
            deliveries,
            timestamp: DateTime::UNIX_EPOCH,
            pending: 0,
        };
        Delivery::new(Message::new("a", ""), context, Arc::new(Deaf), sequence.to_string())
    }

    fn take(hand: &mut Hand, key: Option<&str>, sequence: u64) -> bool {
        hand.take(delivery(sequence, 1), key.map(Arc::from), Past::default(), Instant::now())
    }

    fn begin(hand: &mut Hand) -> Vec<u64> {
        std::iter::from_fn(|| hand.next().map(|(sequence, _)| sequence)).collect()
    }

    #[test]
    fn messages_of_a_key_go_one_after_the_other_and_all_others_side_by_side() {
        let mut hand = Hand::default();
        for (key, sequence) in [(Some("a"), 1), (Some("a"), 2), (Some("b"), 3), (None, 4), (None, 5)] {
            assert!(take(&mut hand, key, sequence));
        }
        assert_eq!(begin(&mut hand), [1, 3, 4, 5]);
        assert_eq!(hand.running(), 4);
        hand.finished(1);
        assert_eq!(begin(&mut hand), [2]);
        for sequence in 2..=5 {
            hand.finished(sequence);
        }
        assert!(hand.is_empty() && hand.lanes.is_empty() && hand.running() == 0, "nothing is left behind");
    }

    #[test]
    fn later_messages_wait_behind_one_that_is_tried_again() {
        let (mut hand, now) = (Hand::default(), Instant::now());
        take(&mut hand, Some("a"), 1);
        take(&mut hand, Some("a"), 2);
        assert_eq!(begin(&mut hand), [1]);
        let later = now + Duration::from_secs(1);
        hand.pause(1, later, Past { tries: 1, ..Past::default() });
        take(&mut hand, Some("a"), 3);
        assert!(begin(&mut hand).is_empty() && hand.next_due() == Some(later));
        hand.end_pauses(later);
        assert_eq!(hand.next().map(|(sequence, held)| (sequence, held.past.tries)), Some((1, 1)));
        hand.finished(1);
        assert_eq!(begin(&mut hand), [2]);
    }

    #[test]
    fn what_waits_at_the_gate_goes_through_in_the_order_of_the_stream() {
        let mut hand = Hand::default();
        hand.shut_gate();
        for sequence in [9, 6, 8] {
            take(&mut hand, Some("a"), sequence);
        }
        assert!(begin(&mut hand).is_empty());
        hand.open_gate();
        assert_eq!(begin(&mut hand), [6]);
        hand.finished(6);
        assert_eq!(begin(&mut hand), [8]);
    }

    #[test]
    fn a_message_that_comes_again_while_in_hand_is_answered_for_by_its_newer_delivery() {
        let mut hand = Hand::default();
        take(&mut hand, None, 1);
        let slot = Arc::clone(&hand.next().unwrap().1.slot);
        assert!(!hand.take(delivery(1, 2), None, Past::default(), Instant::now()));
        assert_eq!((slot.get().context.deliveries, hand.len()), (2, 1));
        assert!(begin(&mut hand).is_empty(), "it is not handled twice");
    }

    #[test]
    fn what_is_paused_goes_back_with_all_that_waits_behind_it() {
        let mut hand = Hand::default();
        for (key, sequence) in [(Some("a"), 1), (Some("a"), 2), (Some("b"), 3), (Some("b"), 4)] {
            take(&mut hand, key, sequence);
        }
        assert_eq!(begin(&mut hand), [1, 3]);
        hand.pause(1, Instant::now(), Past::default());
        let sequences =
            |given: Vec<Held>| given.iter().map(|held| held.slot.get().context.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(hand.give_back(GiveBack::Paused)), [1, 2]);
        assert_eq!(sequences(hand.give_back(GiveBack::NotRunning)), [4]);
        assert_eq!(sequences(hand.empty()), [3]);
    }

    #[test]
    fn those_of_whom_the_server_heard_nothing_are_found_until_it_did() {
        let (mut hand, now) = (Hand::default(), Instant::now());
        hand.take(delivery(1, 1), None, Past::default(), now);
        let later = now + Duration::from_secs(5);
        assert_eq!(hand.unsigned_since(later).len(), 1);
        hand.sign(1, later + Duration::from_secs(1));
        assert!(hand.unsigned_since(later).is_empty());
    }
}
