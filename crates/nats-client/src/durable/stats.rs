//! What a reader has done and how far it is, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use headwater_core::Sequence;
use serde::Serialize;

/// What a reader is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReaderState {
    /// Reaching the server, for the first time or again.
    #[default]
    Opening,
    /// Ready, and not given any events: there are none, or another reader of the same name is at work.
    Waiting,
    /// Given events, and waiting for those that were given to somebody who may still have them.
    Settling,
    /// Given events, and handling them.
    Reading,
    /// Finishing what was begun.
    Stopping,
    /// Ended.
    Stopped,
}

/// What a reader has done since it was started, and what it has in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReaderStats {
    /// What it is doing.
    pub state: ReaderState,
    /// Deliveries by the server, repeated ones included.
    pub deliveries: u64,
    /// Events handled and acknowledged.
    pub handled: u64,
    /// Times a handler failed or panicked.
    pub failures: u64,
    /// Times a handler asked for an event to be shown again later.
    pub deferred: u64,
    /// Events that were given to the dead letters.
    pub dead_letters: u64,
    /// Events that were given up with no more than a line in the log.
    pub skipped: u64,
    /// Deliveries of events that were handled before or are in hand.
    pub duplicates: u64,
    /// Times the way to the server had to be opened anew.
    pub reopened: u64,
    /// Times the durable had vanished and was made anew where the reader was.
    pub recreated: u64,
    /// Events in hand now, acknowledged ones that the server may not know of included.
    pub in_hand: u64,
    /// Events of the filter that the server had not delivered yet, when it last said so.
    pub unread: u64,
    /// Everything of the filter up to here was handled or given up, as far as this reader knows.
    pub position: Sequence,
}

/// How far a durable is behind the journal, as the server says at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Lag {
    /// Events that were not delivered yet.
    pub unread: u64,
    /// Events that were delivered and not acknowledged.
    pub unacknowledged: u64,
    /// Everything up to here is acknowledged.
    pub acknowledged_to: Sequence,
}

impl Lag {
    /// All events that are not acknowledged.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unread + self.unacknowledged
    }
}

/// The numbers behind [`ReaderStats`]: counted by one task, read by many.
#[derive(Debug, Default)]
pub(super) struct Counters {
    state: Mutex<ReaderState>,
    pub(super) deliveries: Counter,
    pub(super) handled: Counter,
    pub(super) failures: Counter,
    pub(super) deferred: Counter,
    pub(super) dead_letters: Counter,
    pub(super) skipped: Counter,
    pub(super) duplicates: Counter,
    pub(super) reopened: Counter,
    pub(super) recreated: Counter,
    pub(super) in_hand: Counter,
    pub(super) unread: Counter,
    pub(super) position: Counter,
}

impl Counters {
    pub(super) fn set_state(&self, state: ReaderState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(super) fn snapshot(&self) -> ReaderStats {
        ReaderStats {
            state: *self.state.lock().unwrap_or_else(PoisonError::into_inner),
            deliveries: self.deliveries.get(),
            handled: self.handled.get(),
            failures: self.failures.get(),
            deferred: self.deferred.get(),
            dead_letters: self.dead_letters.get(),
            skipped: self.skipped.get(),
            duplicates: self.duplicates.get(),
            reopened: self.reopened.get(),
            recreated: self.recreated.get(),
            in_hand: self.in_hand.get(),
            unread: self.unread.get(),
            position: Sequence::new(self.position.get()),
        }
    }
}

/// A number that orders nothing.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
