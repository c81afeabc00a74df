//! How long answers took, as a histogram that is written without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

/// Buckets of one power of two. The middle of a bucket is at most 1/32 away from what it stands for.
const PER_OCTAVE: usize = 16;

/// log2 of that.
const STEP_BITS: u32 = PER_OCTAVE.trailing_zeros();

/// Nanoseconds, as a power of two, below which buckets are equally wide: 1 µs.
const FINEST: u32 = 10;

/// Nanoseconds, as a power of two, from which on everything is one bucket: 18 minutes.
const COARSEST: u32 = 40;

const BUCKETS: usize = (COARSEST - FINEST + 1) as usize * PER_OCTAVE;

/// What statistics show, and how many of a thousand answers took at most as long.
const SHOWN: [(&str, u64); 3] = [("p50", 500), ("p90", 900), ("p99", 990)];

/// How long answers took. Its size is fixed: 4 KiB.
pub(crate) struct AnswerTimes(Box<[AtomicU64]>);

impl Default for AnswerTimes {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl AnswerTimes {
    pub(crate) fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reset(&self) {
        self.0.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
    }

    /// Microseconds within which half, 90 and 99 of a hundred answers were given; null before the first.
    pub(crate) fn percentiles(&self) -> Map<String, Value> {
        let counts: Vec<u64> = self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let shown = SHOWN.map(|(name, share)| (name.to_owned(), per_mille(&counts, share).map(micros).into()));
        shown.into_iter().collect()
    }
}

/// The bucket of a time in nanoseconds.
fn bucket(nanos: u64) -> usize {
    let octave = nanos.checked_ilog2().unwrap_or(0).max(FINEST - 1);
    if octave >= COARSEST {
        return BUCKETS - 1;
    }
    // Below the first octave, as wide as in it.
    let width = octave.max(FINEST) - STEP_BITS;
    let place = (nanos >> width) as usize % PER_OCTAVE;
    (octave + 1 - FINEST) as usize * PER_OCTAVE + place
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> u64 {
    let (octave, place) = (bucket / PER_OCTAVE, (bucket % PER_OCTAVE) as u64);
    match u32::try_from(octave) {
        Ok(octave) if octave > 0 => {
            let octave = octave + FINEST - 1;
            let width = 1 << (octave - STEP_BITS);
            (1 << octave) + place * width + width / 2
        }
        _ => {
            let width = 1 << (FINEST - STEP_BITS);
            place * width + width / 2
        }
    }
}

/// The time within which so many of a thousand were done, in nanoseconds: the nearest rank.
fn per_mille(counts: &[u64], share: u64) -> Option<u64> {
    let total: u64 = counts.iter().sum();
    let rank = (total * share).div_ceil(1000).max(1);
    let mut below = 0;
    let found = counts.iter().position(|count| {
        below += count;
        below >= rank
    });
    found.filter(|_| total > 0).map(middle)
}

/// To a tenth: the microseconds of an answer from memory are few.
fn micros(nanos: u64) -> f64 {
    (nanos as f64 / 100.0).round() / 10.0
}

impl std::fmt::Debug for AnswerTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.percentiles()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(nanos: &[u64]) -> AnswerTimes {
        let times = AnswerTimes::default();
        nanos.iter().for_each(|nanos| times.note(Duration::from_nanos(*nanos)));
        times
    }

    #[test]
    fn nothing_is_shown_before_the_first_answer_and_after_a_reset() {
        let times = AnswerTimes::default();
        let nothing = json!({ "p50": null, "p90": null, "p99": null });
        assert_eq!(json!(times.percentiles()), nothing);
        times.note(Duration::from_millis(3));
        assert_ne!(json!(times.percentiles()), nothing);
        times.reset();
        assert_eq!(json!(times.percentiles()), nothing);
    }

    #[test]
    fn buckets_follow_one_another_without_gaps() {
        let mut last = 0;
        for bucket in 0..BUCKETS {
            let middle = middle(bucket);
            assert_eq!(super::bucket(middle), bucket);
            assert!(middle > last || bucket == 0, "{bucket}");
            last = middle;
        }
        let edges = (0..64).flat_map(|power| [(1_u64 << power) - 1, 1 << power]);
        let buckets: Vec<_> = edges.chain([u64::MAX]).map(super::bucket).collect();
        assert!(buckets.is_sorted() && buckets.last() == Some(&(BUCKETS - 1)), "{buckets:?}");
    }

    #[test]
    fn what_lies_far_off_shows_in_the_percentile_it_belongs_to() {
        let mut nanos = vec![100_000; 97];
        nanos.extend([50_000_000; 3]);
        let shown = json!(of(&nanos).percentiles());
        let micros = |name: &str| shown[name].as_f64().unwrap();
        assert!((micros("p90") - 100.0).abs() < 6.0 && (micros("p99") - 50_000.0).abs() < 3000.0, "{shown}");
        assert_eq!(shown["p50"], shown["p90"]);
    }

    proptest! {
        /// Beside the same percentiles of the times themselves.
        #[test]
        fn percentiles_are_right_within_four_percent(
            mut nanos in proptest::collection::vec((1_000_u64..2_000, 0_u32..24).prop_map(|(n, octave)| n << octave), 1..500),
        ) {
            let shown = of(&nanos).percentiles();
            nanos.sort_unstable();
            for (name, share) in SHOWN {
                let rank = (nanos.len() as u64 * share).div_ceil(1000).max(1);
                let exact = nanos[rank as usize - 1] as f64 / 1000.0;
                let told = shown[name].as_f64().unwrap();
                // A tenth of a microsecond is how exactly they are written.
                prop_assert!((told - exact).abs() <= exact * 0.04 + 0.05, "{}: {} instead of {}", name, told, exact);
            }
        }
    }
}
