//! What a processor has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a processor has done since it was started, and what it has in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessingStats {
    /// Deliveries, repeated ones included.
    pub deliveries: u64,
    /// Messages that were handled.
    pub handled: u64,
    /// Times a handler failed, panicked or took too long.
    pub failures: u64,
    /// Times a message was put off because a limit was reached, or what its handler needs was not to be had.
    pub postponed: u64,
    /// Messages that were known to be handled, or were redriven for another consumer.
    pub duplicates: u64,
    /// Messages that went to the dead letters because they could not be handled.
    pub dead_letters: u64,
    /// Messages that went to the dead letters because they wait behind one of the same key.
    pub parked: u64,
    /// Times a dead letter could not be written.
    pub letters_not_kept: u64,
    /// Messages that were given up with no more than a line in the log.
    pub discarded: u64,
    /// Times a message was given back to the server, to be delivered again.
    pub given_back: u64,
    /// Times the server could not be told what became of a message.
    pub unanswered: u64,
    /// Times the consumer was gone and was made anew.
    pub recreated: u64,
    /// Messages in hand now.
    pub in_hand: u64,
}

/// What happened when a processor was stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// All that it ever did.
    pub stats: ProcessingStats,
    /// Messages that were finished after it was told to stop.
    pub finished: u64,
    /// Messages that it had not begun, or that waited for another attempt: they were given back, and come again.
    pub given_back: u64,
    /// Messages whose handler was at work when the time was up. It was dropped, and the messages were given back.
    pub interrupted: u64,
    /// How long it took.
    pub took: Duration,
}

impl ShutdownReport {
    /// Whether everything that had come was brought to its end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.given_back == 0 && self.interrupted == 0
    }
}

/// The numbers behind [`ProcessingStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) deliveries: AtomicU64,
    pub(crate) handled: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) postponed: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) parked: AtomicU64,
    pub(crate) letters_not_kept: AtomicU64,
    pub(crate) discarded: AtomicU64,
    pub(crate) given_back: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    pub(crate) recreated: AtomicU64,
    pub(crate) in_hand: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> ProcessingStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProcessingStats {
            deliveries: of(&self.deliveries),
            handled: of(&self.handled),
            failures: of(&self.failures),
            postponed: of(&self.postponed),
            duplicates: of(&self.duplicates),
            dead_letters: of(&self.dead_letters),
            parked: of(&self.parked),
            letters_not_kept: of(&self.letters_not_kept),
            discarded: of(&self.discarded),
            given_back: of(&self.given_back),
            unanswered: of(&self.unanswered),
            recreated: of(&self.recreated),
            in_hand: of(&self.in_hand),
        }
    }

    /// Messages brought to their end, however.
    pub(crate) fn progress(&self) -> u64 {
        let all = self.snapshot();
        all.handled + all.duplicates + all.dead_letters + all.parked + all.discarded
    }
}
