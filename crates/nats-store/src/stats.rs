//! What a store has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::config::CommitMode;

/// What a store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StoreStats {
    /// Appends that were confirmed, repeated ones included.
    pub appends: u64,
    /// Events that were stored by them.
    pub events: u64,
    /// Atomic batches that were sent, those sent again included.
    pub batches: u64,
    /// Appends that were stored by a batch made for sharing, alone in it or not.
    pub grouped: u64,
    /// Shared batches that were refused because of some of their appends, and taken apart.
    pub taken_apart: u64,
    /// How appends are grouped, and why.
    pub group: GroupStats,
    /// Appends refused because the aggregate had moved on.
    pub conflicts: u64,
    /// Appends that had been stored by an earlier attempt.
    pub duplicates: u64,
    /// Appends whose outcome stayed unknown.
    pub unknowns: u64,
    /// Appends that could not be taken.
    pub unavailable: u64,
    /// Acknowledgements that were lost.
    pub lost_acks: u64,
    /// Appends that were sent again.
    pub resends: u64,
    /// Times a history was looked at to learn what became of an append.
    pub settlements: u64,
    /// Reads of a history or its end.
    pub reads: u64,
    /// Stored events that were looked up, in reads and settlements.
    pub lookups: u64,
    /// Look-ups that were sent to the leader as well, because no other answer came.
    pub hedged: u64,
}

/// How appends are grouped at the moment, and what that rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GroupStats {
    /// The mode that was set.
    pub mode: CommitMode,
    /// Whether one-event appends share batches now; several-event ones do unless the mode or the stream forbids it.
    pub grouping_singles: bool,
    /// What a plain publish costs the server under load, in microseconds; none before it was measured.
    pub single_micros: Option<u64>,
    /// What a batch costs before its messages are counted, in microseconds; none before one was sent.
    pub batch_micros: Option<u64>,
    /// How long a plain publish takes from its sending to its acknowledgement, in microseconds.
    pub round_trip_micros: Option<u64>,
}

/// The numbers behind [`StoreStats`], counted from many tasks.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appends: Counter,
    pub(crate) events: Counter,
    pub(crate) batches: Counter,
    pub(crate) grouped: Counter,
    pub(crate) taken_apart: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) unknowns: Counter,
    pub(crate) unavailable: Counter,
    pub(crate) lost_acks: Counter,
    pub(crate) resends: Counter,
    pub(crate) settlements: Counter,
    pub(crate) reads: Counter,
    pub(crate) lookups: Counter,
    pub(crate) hedged: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, group: GroupStats) -> StoreStats {
        StoreStats {
            appends: self.appends.get(),
            events: self.events.get(),
            batches: self.batches.get(),
            grouped: self.grouped.get(),
            taken_apart: self.taken_apart.get(),
            group,
            conflicts: self.conflicts.get(),
            duplicates: self.duplicates.get(),
            unknowns: self.unknowns.get(),
            unavailable: self.unavailable.get(),
            lost_acks: self.lost_acks.get(),
            resends: self.resends.get(),
            settlements: self.settlements.get(),
            reads: self.reads.get(),
            lookups: self.lookups.get(),
            hedged: self.hedged.get(),
        }
    }
}

/// A number that only grows and orders nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
