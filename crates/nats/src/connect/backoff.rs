//! Pauses between tries: growing, bounded, and random, so that a thousand clients do not come back in step.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::Rng;

use super::config::ReconnectConfig;

/// The longest pause that somebody has asked for since the settings were made; none until then.
#[derive(Debug, Default)]
pub(crate) struct LongestPause(OnceLock<AtomicU64>);

impl LongestPause {
    /// Pauses are no longer than `longest` from now on, nor than what was asked for before.
    pub(crate) fn lower_to(&self, longest: Duration) {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        self.0.get_or_init(|| AtomicU64::new(longest)).fetch_min(longest, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        self.0.get().map_or(Duration::MAX, |longest| Duration::from_millis(longest.load(Ordering::Relaxed)))
    }
}

/// The pause before the `attempt`-th try, counted from 1.
pub(crate) fn pause(config: &ReconnectConfig, longest: &LongestPause, attempt: usize) -> Duration {
    pause_at(config, longest.get(), attempt, rand::rng().random_range(0.0..=1.0))
}

/// Half of `pause` to all of it.
pub(crate) fn shortened(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn pause_at(config: &ReconnectConfig, longest: Duration, attempt: usize, luck: f64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
    let full = config.initial.get().saturating_mul(1 << doublings).min(config.max.get()).min(longest);
    full.mul_f64((1.0 - config.jitter * luck).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit() {
        let config = ReconnectConfig::default();
        let pauses: Vec<u128> =
            (1..=8).map(|attempt| pause_at(&config, Duration::MAX, attempt, 0.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(pause_at(&config, Duration::MAX, usize::MAX, 0.0).as_millis(), 5_000);
    }

    #[test]
    fn a_longest_pause_that_is_asked_for_later_holds_and_never_grows() {
        let (config, longest) = (ReconnectConfig::default(), LongestPause::default());
        let pauses = |longest: &LongestPause| [1, 9].map(|n| pause_at(&config, longest.get(), n, 0.0).as_millis());
        assert_eq!(pauses(&longest), [100, 5_000]);
        longest.lower_to(Duration::from_millis(500));
        assert_eq!(pauses(&longest), [100, 500]);
        longest.lower_to(Duration::from_secs(2));
        assert_eq!(pauses(&longest), [100, 500]);
    }

    #[test]
    fn a_pause_is_shortened_by_at_most_the_jitter() {
        let config = ReconnectConfig { jitter: 0.25, ..ReconnectConfig::default() };
        assert_eq!(pause_at(&config, Duration::MAX, 1, 1.0).as_millis(), 75);
        for attempt in 1..100 {
            let pause = pause(&config, &LongestPause::default(), attempt);
            let bounds = [1.0, 0.0].map(|luck| pause_at(&config, Duration::MAX, attempt, luck));
            assert!(pause >= bounds[0] && pause <= bounds[1]);
        }
    }
}
