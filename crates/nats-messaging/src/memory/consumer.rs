//! A durable consumer: what is delivered and not acknowledged, what is due again, and to whom it goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::log::{Log, Stored, is_taken};
use super::start::Start;
use crate::consume::{ConsumeError, ConsumerConfig, ConsumerInfo, Replay, Verdict};

/// A consumer of one stream.
#[derive(Debug)]
pub(super) struct Consumer {
    config: ConsumerConfig,
    /// Places that are delivered before all others: of a consumer that begins with the last message of each subject.
    chosen: VecDeque<u64>,
    /// Where it looks for the next message.
    cursor: u64,
    /// How many messages match that were never delivered.
    undelivered: u64,
    /// Delivered and not acknowledged, by place.
    unacknowledged: BTreeMap<u64, Unacknowledged>,
    /// When those are due again that nobody has answered for.
    due: BTreeSet<(Instant, u64)>,
    /// Those that are due.
    again: VecDeque<u64>,
    readers: Vec<Reader>,
    /// Who gets the next message, if there is room.
    turn: usize,
    pace: Option<Pace>,
    /// Since when nobody reads it.
    idle_since: Option<Instant>,
}

#[derive(Debug)]
struct Unacknowledged {
    deliveries: u64,
    /// When it is due again; none: it is due, and waits for room.
    due: Option<Instant>,
}

/// Somebody who reads a consumer.
#[derive(Debug)]
struct Reader {
    id: u64,
    /// How many more it takes.
    room: u32,
    handed: VecDeque<Handed>,
    news: Arc<Notify>,
    stopped: bool,
}

/// A message on its way to a reader.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    pub(super) stored: Stored,
    pub(super) deliveries: u64,
    pub(super) pending: u64,
}

/// The last message of a consumer that keeps the pauses: when it was stored and when it was delivered.
#[derive(Debug, Clone, Copy)]
struct Pace {
    stored: Instant,
    delivered: Instant,
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Found {
    Message(Handed),
    /// Nothing; at this time it may look again.
    Nothing(Option<Instant>),
    /// Nothing more comes.
    Over,
}

impl Consumer {
    pub(super) fn new(config: ConsumerConfig, log: &Log, start: Start, now: Instant) -> Self {
        let mut consumer = Self {
            config,
            chosen: start.chosen,
            cursor: start.cursor,
            undelivered: 0,
            unacknowledged: BTreeMap::new(),
            due: BTreeSet::new(),
            again: VecDeque::new(),
            readers: Vec::new(),
            turn: 0,
            pace: None,
            idle_since: Some(now),
        };
        consumer.count(log);
        consumer
    }

    /// Takes other settings on, where that is possible.
    pub(super) fn update(&mut self, config: ConsumerConfig, log: &Log) -> Result<(), ConsumeError> {
        if config.replay != self.config.replay {
            return Err(config.refused("replay: cannot be changed"));
        }
        self.config = config;
        self.count(log);
        Ok(())
    }

    fn count(&mut self, log: &Log) {
        let matching = log.from(self.cursor).filter(|stored| self.is_wanted(stored)).count();
        self.undelivered = (matching + self.chosen.len()) as u64;
    }

    fn is_wanted(&self, stored: &Stored) -> bool {
        is_taken(&self.config.filter_subjects, &stored.message.subject)
    }

    pub(super) fn join(&mut self, id: u64, room: u32, news: Arc<Notify>) {
        self.idle_since = None;
        self.readers.push(Reader { id, room, handed: VecDeque::new(), news, stopped: false });
    }

    pub(super) fn leave(&mut self, id: u64, now: Instant) {
        self.readers.retain(|reader| reader.id != id);
        if self.readers.is_empty() {
            self.idle_since = Some(now);
        }
    }

    pub(super) fn stop(&mut self, id: u64) {
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            reader.stopped = true;
            reader.news.notify_one();
        }
    }

    /// Whether nobody has read it for longer than it is to stay.
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        let idle = self.idle_since.map(|since| now.saturating_duration_since(since));
        matches!((idle, self.config.inactive_threshold), (Some(idle), Some(longest)) if idle >= longest)
    }

    /// Tells all who read it to look again.
    pub(super) fn wake_all(&self) {
        self.readers.iter().for_each(|reader| reader.news.notify_one());
    }

    /// A message was stored.
    pub(super) fn stored(&mut self, stored: &Stored) {
        if self.is_wanted(stored) {
            self.undelivered += 1;
        }
    }

    /// A message went from the stream.
    pub(super) fn lost(&mut self, stored: &Stored) {
        let sequence = stored.sequence;
        let was_chosen = self.chosen.iter().position(|chosen| *chosen == sequence);
        if let Some(place) = was_chosen {
            self.chosen.remove(place);
        }
        if was_chosen.is_some() || (sequence >= self.cursor && self.is_wanted(stored)) {
            self.undelivered -= 1;
        }
        self.settle(sequence);
    }

    /// Nothing is left of the stream.
    pub(super) fn purged(&mut self, log: &Log) {
        self.chosen.clear();
        self.cursor = log.next_sequence();
        self.undelivered = 0;
        self.unacknowledged.clear();
        self.due.clear();
        self.again.clear();
    }

    /// What the reader is to have next.
    pub(super) fn take(&mut self, id: u64, log: &Log, now: Instant) -> Option<Found> {
        self.pump(log, now);
        let reader = self.readers.iter_mut().find(|reader| reader.id == id)?;
        let Some(handed) = reader.handed.pop_front() else {
            let found = if reader.stopped { Found::Over } else { Found::Nothing(self.next_time(log)) };
            return Some(found);
        };
        reader.room += 1;
        self.pump(log, now);
        Some(Found::Message(handed))
    }

    /// Hands out what can be handed out.
    pub(super) fn pump(&mut self, log: &Log, now: Instant) {
        while let Some((due, sequence)) = self.due.first().copied()
            && due <= now
        {
            self.due.pop_first();
            self.deliver_again(sequence);
        }
        while let Some(reader) = self.reader_with_room() {
            let Some(handed) = self.next(log, now) else { return };
            let reader = &mut self.readers[reader];
            reader.room -= 1;
            reader.handed.push_back(handed);
            reader.news.notify_one();
            self.turn += 1;
        }
    }

    fn reader_with_room(&self) -> Option<usize> {
        let count = self.readers.len();
        let mut in_turn = (0..count).map(|place| (self.turn + place) % count);
        in_turn.find(|reader| self.readers[*reader].room > 0 && !self.readers[*reader].stopped)
    }

    fn next(&mut self, log: &Log, now: Instant) -> Option<Handed> {
        while let Some(sequence) = self.again.pop_front() {
            let is_due = self.unacknowledged.get(&sequence).is_some_and(|entry| entry.due.is_none());
            match log.get(sequence).filter(|_| is_due) {
                Some(stored) => return Some(self.hand_out(stored.clone(), now)),
                None if is_due => self.settle(sequence),
                None => {}
            }
        }
        if self.unacknowledged.len() >= self.config.max_ack_pending as usize {
            return None;
        }
        let stored = self.next_new(log)?.clone();
        if self.time_of(&stored).is_some_and(|time| time > now) {
            return None;
        }
        match self.chosen.front() {
            Some(_) => drop(self.chosen.pop_front()),
            None => self.cursor = stored.sequence + 1,
        }
        self.undelivered -= 1;
        self.pace = Some(Pace { stored: stored.at, delivered: now });
        Some(self.hand_out(stored, now))
    }

    /// The next message that was never delivered.
    fn next_new<'a>(&mut self, log: &'a Log) -> Option<&'a Stored> {
        if let Some(chosen) = self.chosen.front() {
            return log.get(*chosen);
        }
        let found = log.from(self.cursor).find(|stored| self.is_wanted(stored));
        // What does not match is not looked at again.
        self.cursor = found.map_or(log.next_sequence(), |stored| stored.sequence);
        found
    }

    /// When a message is to be delivered by a consumer that keeps the pauses.
    fn time_of(&self, stored: &Stored) -> Option<Instant> {
        let pace = self.pace.filter(|_| self.config.replay == Replay::Original)?;
        Some(pace.delivered + stored.at.saturating_duration_since(pace.stored))
    }

    fn hand_out(&mut self, stored: Stored, now: Instant) -> Handed {
        let sequence = stored.sequence;
        let deliveries = self.unacknowledged.get(&sequence).map_or(0, |entry| entry.deliveries) + 1;
        self.wait_for(sequence, deliveries, now + self.wait_after(deliveries));
        Handed { stored, deliveries, pending: self.undelivered }
    }

    fn wait_after(&self, deliveries: u64) -> Duration {
        let place = usize::try_from(deliveries).unwrap_or(usize::MAX).saturating_sub(1);
        let backoff = &self.config.backoff;
        backoff.get(place).or(backoff.last()).copied().unwrap_or(self.config.ack_wait)
    }

    fn wait_for(&mut self, sequence: u64, deliveries: u64, due: Instant) {
        let entry = Unacknowledged { deliveries, due: Some(due) };
        if let Some(Unacknowledged { due: Some(before), .. }) = self.unacknowledged.insert(sequence, entry) {
            self.due.remove(&(before, sequence));
        }
        self.due.insert((due, sequence));
    }

    /// Puts a message among those that are due, unless it was delivered as often as it may be.
    fn deliver_again(&mut self, sequence: u64) {
        let Some(entry) = self.unacknowledged.get_mut(&sequence) else { return };
        let Some(due) = entry.due.take() else { return };
        self.due.remove(&(due, sequence));
        if self.config.max_deliver.is_some_and(|most| entry.deliveries >= u64::from(most.get())) {
            self.unacknowledged.remove(&sequence);
        } else {
            self.again.push_back(sequence);
        }
    }

    /// A message does not come again.
    fn settle(&mut self, sequence: u64) {
        if let Some(Unacknowledged { due: Some(due), .. }) = self.unacknowledged.remove(&sequence) {
            self.due.remove(&(due, sequence));
        }
    }

    /// Takes in what became of a message. Of one that nobody waits for any more nothing is taken in.
    pub(super) fn told(&mut self, sequence: u64, verdict: &Verdict, log: &Log, now: Instant) {
        let Some(deliveries) = self.unacknowledged.get(&sequence).map(|entry| entry.deliveries) else { return };
        match verdict {
            Verdict::Ack | Verdict::Term(_) => self.settle(sequence),
            Verdict::Nak(None) => self.deliver_again(sequence),
            Verdict::Nak(Some(delay)) => self.wait_for(sequence, deliveries, now + *delay),
            Verdict::InProgress => self.wait_for(sequence, deliveries, now + self.wait_after(deliveries)),
        }
        self.pump(log, now);
        // A new time may be the first of all.
        self.wake_all();
    }

    /// When something is next due.
    fn next_time(&mut self, log: &Log) -> Option<Instant> {
        let due = self.due.first().map(|(due, _)| *due);
        let room = self.unacknowledged.len() < self.config.max_ack_pending as usize;
        let new = self.next_new(log).filter(|_| room).cloned().and_then(|stored| self.time_of(&stored));
        due.into_iter().chain(new).min()
    }

    pub(super) fn info(&self) -> ConsumerInfo {
        let redelivered = self.unacknowledged.values().filter(|entry| entry.deliveries > 1).count() as u64;
        ConsumerInfo {
            pending: self.undelivered,
            ack_pending: self.unacknowledged.len() as u64,
            redelivered,
            ack_floor: self.unacknowledged.keys().next().map_or(self.cursor, |first| *first) - 1,
        }
    }
}
