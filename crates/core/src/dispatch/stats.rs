//! What a dispatcher has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::cache::Cache;
use super::job::Job;
use super::lane::Lanes;

#[derive(Default)]
pub(super) struct Counters {
    pub(super) cache_hits: Counter,
    pub(super) cache_misses: Counter,
    pub(super) events_read: Counter,
    pub(super) appends: Counter,
    pub(super) events_appended: Counter,
    pub(super) joint_appends: Counter,
    pub(super) conflicts: Counter,
    pub(super) replays: Counter,
    pub(super) unknown_outcomes: Counter,
    pub(super) panics: Counter,
    pub(super) snapshots_used: Counter,
    pub(super) snapshots_written: Counter,
    pub(super) snapshots_skipped: Counter,
    pub(super) snapshots_failed: Counter,
}

/// A number that only grows.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a dispatcher has done since it was built, and what it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DispatchStats {
    /// Calls that found their aggregate in memory.
    pub cache_hits: u64,
    /// Calls that had to read it first.
    pub cache_misses: u64,
    /// How many of a hundred calls found their aggregate in memory, rounded down; none before the first call.
    pub cache_hit_percent: Option<u64>,
    /// Aggregates in memory.
    pub cached_aggregates: u64,
    /// Their estimated size, in bytes.
    pub cached_bytes: u64,
    /// The most that may be kept, in bytes.
    pub cache_capacity_bytes: u64,
    /// Events read to fold states.
    pub events_read: u64,
    /// Appends that were stored.
    pub appends: u64,
    /// Their events.
    pub events_appended: u64,
    /// Appends that stored the events of several commands on one aggregate.
    pub joint_appends: u64,
    /// Appends that met another writer's and were decided again or refused.
    pub conflicts: u64,
    /// Commands answered from an earlier attempt.
    pub replays: u64,
    /// Commands whose outcome could not be learnt.
    pub unknown_outcomes: u64,
    /// Commands and queries in which the domain's code panicked.
    pub panics: u64,
    /// Loads that started from a snapshot.
    pub snapshots_used: u64,
    /// Snapshots written.
    pub snapshots_written: u64,
    /// Snapshots left out because too many were waiting to be written.
    pub snapshots_skipped: u64,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
    /// Aggregates with a command under way.
    pub active_lanes: u64,
}

impl Counters {
    pub(super) fn read(&self, cache: &Cache, lanes: &Lanes<Job>) -> DispatchStats {
        let (hits, misses) = (self.cache_hits.get(), self.cache_misses.get());
        DispatchStats {
            cache_hits: hits,
            cache_misses: misses,
            cache_hit_percent: hits.saturating_mul(100).checked_div(hits.saturating_add(misses)),
            cached_aggregates: cache.len() as u64,
            cached_bytes: cache.weight(),
            cache_capacity_bytes: cache.capacity(),
            events_read: self.events_read.get(),
            appends: self.appends.get(),
            events_appended: self.events_appended.get(),
            joint_appends: self.joint_appends.get(),
            conflicts: self.conflicts.get(),
            replays: self.replays.get(),
            unknown_outcomes: self.unknown_outcomes.get(),
            panics: self.panics.get(),
            snapshots_used: self.snapshots_used.get(),
            snapshots_written: self.snapshots_written.get(),
            snapshots_skipped: self.snapshots_skipped.get(),
            snapshots_failed: self.snapshots_failed.get(),
            active_lanes: lanes.active() as u64,
        }
    }
}
