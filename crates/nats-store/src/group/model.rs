//! The cost model: what a plain publish costs the server, what a batch does, and which is cheaper for those who wait.
//!
//! A batch costs `c0 + c1 × messages`. Plain publishes cost `s` each, which shows only while several are under way:
//! a server that syncs every write takes about 200 µs for each of them one after the other, one that does not takes 10 to
//! 40 µs. Grouping pays when `waiting × s > c0 + c1 × waiting`, and by a margin, since a batch also makes everybody in it
//! wait for the slowest.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::CommitMode;
use crate::stats::GroupStats;

/// Acknowledgements in one measurement of `s`.
const WINDOW: u32 = 64;

/// A window counts only if so many publishes were under way all the time: with fewer, the time is that of the network.
const BUSY: usize = 8;

/// The median of so many windows is taken for `s`, so that one stall does not change the way.
const WINDOWS: usize = 9;

/// Below this a server does not sync, and grouping loses at any number that wait.
const LEAST_SINGLE: Duration = Duration::from_micros(120);

/// What a message adds to a batch.
const PER_MESSAGE: Duration = Duration::from_micros(20);

/// What a batch is taken to cost before one was measured, and again when none was for [`REMEASURE`].
const FIRST_GUESS: Duration = Duration::from_micros(2500);

/// `c0` is the median of so many batches. Those not measured yet count as the first guess, so that one stall at the
/// beginning does not put an end to grouping.
const BATCHES: usize = 5;

/// By how much grouping must be cheaper. Measured: with 16 waiting it loses where the bare break-even is at 14.
const MARGIN: u32 = 2;

/// For how long one-event appends are grouped before plain ones are measured again, and for how long a batch's cost is
/// believed when no further one is sent.
const REMEASURE: Duration = Duration::from_secs(5);

/// What was measured, and what follows from it.
#[derive(Default)]
pub(crate) struct Model {
    /// One-event appends under way, plain or in a batch.
    singles: AtomicUsize,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Measured {
    window: Option<Window>,
    /// `s` of the last windows.
    singles: VecDeque<Duration>,
    /// `c0` of the last batches, and when the last of them was committed.
    batches: VecDeque<Duration>,
    last_batch: Option<Instant>,
    /// How long a plain publish takes from its sending to its acknowledgement, smoothed.
    round_trip: Option<Duration>,
    grouping_since: Option<Instant>,
}

struct Window {
    since: Instant,
    acknowledged: u32,
}

/// A one-event append from its beginning to its end.
pub(crate) struct SingleUnderWay<'a> {
    model: &'a Model,
    since: Instant,
}

impl Model {
    pub(crate) fn single_begins(&self) -> SingleUnderWay<'_> {
        self.singles.fetch_add(1, Ordering::Relaxed);
        SingleUnderWay { model: self, since: Instant::now() }
    }

    /// Whether one-event appends had better share batches at the moment.
    pub(crate) fn groups_singles(&self) -> bool {
        let waiting = u32::try_from(self.singles.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let mut measured = self.measured();
        let grouping = measured.pays(waiting);
        match (grouping, measured.grouping_since) {
            (true, None) => measured.grouping_since = Some(Instant::now()),
            (true, Some(since)) if since.elapsed() > REMEASURE => {
                // While all are grouped nothing tells what a plain one would cost; it may have become cheap.
                measured.singles.clear();
                measured.grouping_since = None;
                return false;
            }
            (false, Some(_)) => measured.grouping_since = None,
            (true, Some(_)) | (false, None) => {}
        }
        grouping
    }

    /// Whether `waiting` appends to one aggregate, which can only go one after the other, are cheaper as one batch.
    pub(crate) fn prefers_one_append(&self, waiting: usize) -> bool {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let measured = self.measured();
        let Some(round_trip) = measured.round_trip else { return false };
        let batch = measured.batch_or_guess() + PER_MESSAGE.saturating_mul(waiting);
        round_trip.saturating_mul(waiting) > batch
    }

    /// A batch of so many messages was committed in this time.
    pub(crate) fn batch_took(&self, time: Duration, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let fixed = time.saturating_sub(PER_MESSAGE.saturating_mul(messages));
        let mut measured = self.measured();
        measured.batches.push_back(fixed);
        if measured.batches.len() > BATCHES {
            measured.batches.pop_front();
        }
        measured.last_batch = Some(Instant::now());
    }

    fn acknowledged(&self, round_trip: Duration) {
        let under_way = self.singles.load(Ordering::Relaxed);
        let mut measured = self.measured();
        measured.round_trip = Some(match measured.round_trip {
            None => round_trip,
            Some(before) => (before * 15 + round_trip) / 16,
        });
        if under_way < BUSY {
            measured.window = None;
            return;
        }
        let window = measured.window.get_or_insert_with(|| Window { since: Instant::now(), acknowledged: 0 });
        window.acknowledged += 1;
        if window.acknowledged > WINDOW {
            let single = window.since.elapsed() / WINDOW;
            measured.window = None;
            measured.singles.push_back(single);
            if measured.singles.len() > WINDOWS {
                measured.singles.pop_front();
            }
        }
    }

    pub(crate) fn stats(&self, mode: CommitMode) -> GroupStats {
        let measured = self.measured();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        GroupStats {
            mode,
            grouping_singles: measured.grouping_since.is_some(),
            single_micros: measured.single().map(micros),
            batch_micros: measured.batch().map(micros),
            round_trip_micros: measured.round_trip.map(micros),
        }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    /// `s`, once enough was measured to say.
    fn single(&self) -> Option<Duration> {
        if self.singles.len() < WINDOWS / 3 {
            return None;
        }
        median(self.singles.iter().copied())
    }

    /// `c0`, when a batch was committed lately.
    fn batch(&self) -> Option<Duration> {
        self.last_batch.filter(|last| last.elapsed() <= REMEASURE)?;
        let unmeasured = BATCHES.saturating_sub(self.batches.len());
        median(self.batches.iter().copied().chain(std::iter::repeat_n(FIRST_GUESS, unmeasured)))
    }

    /// What a batch will cost. While none is sent nothing tells, and a server that was slow for a moment would never be
    /// sent one again if what it was measured at then were believed for ever.
    fn batch_or_guess(&self) -> Duration {
        self.batch().unwrap_or(FIRST_GUESS)
    }

    fn pays(&self, waiting: u32) -> bool {
        let Some(single) = self.single().filter(|single| *single >= LEAST_SINGLE) else { return false };
        let gain = single.saturating_sub(PER_MESSAGE).saturating_mul(waiting);
        gain >= self.batch_or_guess() * MARGIN
    }
}

/// The median of at most [`WINDOWS`] times. Asked for by every append, so it sorts without allocating.
fn median(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut sorted = [Duration::MAX; WINDOWS];
    let mut count = 0;
    for (place, time) in sorted.iter_mut().zip(times) {
        *place = time;
        count += 1;
    }
    sorted.sort_unstable();
    sorted[..count].get(count / 2).copied()
}

impl SingleUnderWay<'_> {
    /// It was sent alone and is stored.
    pub(crate) fn acknowledged(self) {
        self.model.acknowledged(self.since.elapsed());
    }
}

impl Drop for SingleUnderWay<'_> {
    fn drop(&mut self) {
        self.model.singles.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(single: u64, batch: u64) -> Measured {
        Measured {
            singles: std::iter::repeat_n(Duration::from_micros(single), WINDOWS).collect(),
            batches: std::iter::repeat_n(Duration::from_micros(batch), BATCHES).collect(),
            last_batch: Some(Instant::now()),
            ..Measured::default()
        }
    }

    #[test]
    fn a_server_that_does_not_sync_never_sees_groups() {
        for waiting in [1, 64, 1024] {
            assert!(!model(40, 2500).pays(waiting));
            assert!(!Measured::default().pays(waiting));
        }
    }

    #[test]
    fn a_server_that_syncs_sees_groups_once_enough_wait() {
        let syncing = model(200, 2500);
        assert!(!syncing.pays(16));
        assert!(syncing.pays(64) && syncing.pays(256));
    }

    #[test]
    fn one_stall_changes_nothing() {
        let mut stalled = model(30, 2500);
        stalled.singles[4] = Duration::from_secs(1);
        assert!(!stalled.pays(1024));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_stalled_is_not_the_measure_of_all_later_ones() {
        let model = Model::default();
        *model.measured() = Measured { batches: VecDeque::new(), ..super::tests::model(200, 0) };
        let _waiting: Vec<_> = (0..64).map(|_| model.single_begins()).collect();
        model.batch_took(Duration::from_secs(1), 64);
        assert!(model.groups_singles(), "one stall is none");
        for _ in 0..BATCHES {
            model.batch_took(Duration::from_millis(50), 64);
        }
        assert!(!model.groups_singles(), "batches are slow now");
        tokio::time::advance(REMEASURE + Duration::from_millis(1)).await;
        assert!(model.groups_singles(), "and may be fast again later");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_publish_costs_is_measured_only_under_load() {
        let model = Model::default();
        let few: Vec<_> = (0..BUSY - 1).map(|_| model.single_begins()).collect();
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_micros(330)).await;
            model.acknowledged(Duration::from_micros(400));
        }
        assert_eq!(model.stats(CommitMode::Auto).single_micros, None);
        let many: Vec<_> = (0..64).map(|_| model.single_begins()).collect();
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_micros(200)).await;
            model.acknowledged(Duration::from_micros(400));
        }
        assert_eq!(model.stats(CommitMode::Auto).single_micros, Some(200));
        assert!(model.groups_singles());
        drop((few, many));
        assert!(!model.groups_singles());
    }

    #[tokio::test(start_paused = true)]
    async fn one_aggregates_appends_become_one_when_enough_of_them_wait() {
        let model = Model::default();
        assert!(!model.prefers_one_append(1000), "nothing was measured yet");
        model.single_begins().model.acknowledged(Duration::from_micros(120));
        assert!(!model.prefers_one_append(10));
        assert!(model.prefers_one_append(40));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_while_of_grouping_plain_publishes_are_measured_again() {
        let model = Model::default();
        *model.measured() = super::tests::model(200, 2500);
        let _waiting: Vec<_> = (0..64).map(|_| model.single_begins()).collect();
        assert!(model.groups_singles());
        tokio::time::advance(REMEASURE * 2).await;
        assert!(!model.groups_singles());
        assert_eq!(model.stats(CommitMode::Auto).single_micros, None);
    }
}
