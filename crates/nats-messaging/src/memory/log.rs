//! The messages of one stream, oldest first, and the ids by which repetitions are known.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::settings::{MemoryStream, WhenFull};
use crate::message::Message;
use crate::subject;

/// One stored message.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) message: Arc<Message>,
    pub(super) at: Instant,
}

/// The messages that a stream holds.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// By their places. Of one that was taken out nothing is left, however old those are that stay.
    messages: BTreeMap<u64, Stored>,
    last: u64,
    bytes: usize,
    ids: HashMap<String, u64>,
    /// The same ids in the order in which they came.
    id_order: VecDeque<(Instant, String)>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is stored here.
    Stored(u64),
    /// One with its id stands here already.
    Duplicate(u64),
    /// There is no room; the text says of what.
    Full(String),
}

impl Log {
    /// The place of the next message.
    pub(super) fn next_sequence(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn first_sequence(&self) -> u64 {
        self.messages.first_key_value().map_or(self.next_sequence(), |(sequence, _)| *sequence)
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Stored> {
        self.messages.get(&sequence)
    }

    /// The messages from this place on.
    pub(super) fn from(&self, sequence: u64) -> impl Iterator<Item = &Stored> {
        self.messages.range(sequence..).map(|(_, stored)| stored)
    }

    /// All messages, the newest first.
    pub(super) fn backwards(&self) -> impl Iterator<Item = &Stored> {
        self.messages.values().rev()
    }

    /// Stores a message; what had to go for it is handed to `gone`.
    pub(super) fn add(
        &mut self,
        message: Message,
        now: Instant,
        settings: &MemoryStream,
        mut gone: impl FnMut(Stored),
    ) -> Added {
        self.forget_ids(now, settings);
        if let Some(known) = message.message_id().and_then(|id| self.ids.get(id)) {
            return Added::Duplicate(*known);
        }
        let size = size(&message);
        while let Some(what) = self.lacks(size, settings) {
            match settings.when_full {
                WhenFull::DropOldest if size <= settings.max_bytes => {
                    self.drop_oldest().into_iter().for_each(&mut gone)
                }
                WhenFull::DropOldest | WhenFull::Refuse => return Added::Full(what),
            }
        }
        self.last += 1;
        self.bytes += size;
        if let Some(id) = message.message_id() {
            self.ids.insert(id.to_owned(), self.last);
            self.id_order.push_back((now, id.to_owned()));
        }
        let stored = Stored { sequence: self.last, message: Arc::new(message), at: now };
        self.messages.insert(self.last, stored);
        Added::Stored(self.last)
    }

    /// Takes all messages away.
    pub(super) fn purge(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    /// Takes one message out.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<Stored> {
        let stored = self.messages.remove(&sequence)?;
        self.bytes -= size(&stored.message);
        Some(stored)
    }

    /// What there is not enough of for another message of this size.
    fn lacks(&self, size: usize, settings: &MemoryStream) -> Option<String> {
        let MemoryStream { max_messages, max_bytes, .. } = settings;
        if self.messages.len() >= *max_messages {
            return Some(format!("it holds {max_messages} messages, and may not hold more"));
        }
        let bytes = self.bytes;
        (bytes + size > *max_bytes).then(|| {
            format!("it holds {bytes} bytes, a message of {size} is to be stored, and {max_bytes} are allowed")
        })
    }

    fn drop_oldest(&mut self) -> Option<Stored> {
        let (_, stored) = self.messages.pop_first()?;
        self.bytes -= size(&stored.message);
        Some(stored)
    }

    fn forget_ids(&mut self, now: Instant, settings: &MemoryStream) {
        while let Some((since, _)) = self.id_order.front() {
            if now.saturating_duration_since(*since) < settings.duplicate_window
                && self.id_order.len() <= settings.max_messages
            {
                return;
            }
            if let Some((_, id)) = self.id_order.pop_front() {
                self.ids.remove(&id);
            }
        }
    }
}

/// Whether one of the filters takes a subject; without filters all are taken.
pub(super) fn is_taken(filters: &[String], subject: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| subject::matches(filter, subject))
}

fn size(message: &Message) -> usize {
    message.subject.len() + message.size()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn add(log: &mut Log, message: Message, now: Instant, settings: &MemoryStream) -> Added {
        log.add(message, now, settings, drop)
    }

    #[test]
    fn an_id_is_known_within_the_window_and_forgotten_after_it() {
        let (mut log, settings, start) = (Log::default(), MemoryStream::new("S", ["a"]), Instant::now());
        let message = || Message::new("a", "x").id("1");
        assert_eq!(add(&mut log, message(), start, &settings), Added::Stored(1));
        let later = start + Duration::from_secs(119);
        assert_eq!(add(&mut log, message(), later, &settings), Added::Duplicate(1));
        let too_late = start + Duration::from_secs(120);
        assert_eq!(add(&mut log, message(), too_late, &settings), Added::Stored(2));
        assert_eq!(log.ids.len(), log.id_order.len());
    }

    #[test]
    fn what_was_taken_out_leaves_a_gap_and_makes_room() {
        let now = Instant::now();
        let settings = MemoryStream { max_messages: 3, ..MemoryStream::new("S", ["a"]) };
        let mut log = Log::default();
        for body in ["1", "2", "3"] {
            add(&mut log, Message::new("a", body), now, &settings);
        }
        let removed = log.remove(2).unwrap();
        assert_eq!((&removed.message.body[..], log.bytes), (&b"2"[..], 4));
        assert!(log.remove(2).is_none() && log.get(2).is_none() && log.remove(9).is_none());
        assert_eq!(log.from(0).map(|stored| stored.sequence).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(add(&mut log, Message::new("a", "4"), now, &settings), Added::Stored(4));
        log.remove(1);
        assert_eq!((log.first_sequence(), log.messages.len()), (3, 2));
        assert_eq!(&log.get(4).unwrap().message.body[..], b"4");
    }

    #[test]
    fn what_was_taken_out_takes_no_room_behind_an_old_message_that_stays() {
        let (mut log, settings, now) = (Log::default(), MemoryStream::new("S", ["a"]), Instant::now());
        add(&mut log, Message::new("a", "stays"), now, &settings);
        for sequence in 2..1_000 {
            assert_eq!(add(&mut log, Message::new("a", "goes"), now, &settings), Added::Stored(sequence));
            log.remove(sequence);
        }
        assert_eq!((log.messages.len(), log.first_sequence(), log.next_sequence()), (1, 1, 1_000));
    }

    #[test]
    fn a_full_log_refuses_or_drops_the_oldest() {
        let now = Instant::now();
        let mut settings = MemoryStream { max_messages: 2, ..MemoryStream::new("S", ["a"]) };
        let mut log = Log::default();
        for _ in 0..2 {
            add(&mut log, Message::new("a", "x"), now, &settings);
        }
        assert!(matches!(add(&mut log, Message::new("a", "x"), now, &settings), Added::Full(_)));
        settings.when_full = WhenFull::DropOldest;
        assert_eq!(add(&mut log, Message::new("a", "x"), now, &settings), Added::Stored(3));
        assert_eq!((log.first_sequence(), log.messages.len(), log.bytes), (2, 2, 4));
        settings.max_bytes = 10;
        assert!(matches!(add(&mut log, Message::new("a", vec![0; 10]), now, &settings), Added::Full(_)));
        assert_eq!(log.messages.len(), 2, "what can never fit drives nothing out");
        assert_eq!(add(&mut log, Message::new("a", vec![0; 7]), now, &settings), Added::Stored(4));
        assert_eq!(log.from(0).map(|stored| stored.sequence).collect::<Vec<_>>(), [3, 4]);
    }
}
