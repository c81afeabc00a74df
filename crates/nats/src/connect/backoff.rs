//! Pauses between tries: growing, bounded, and random, so that a thousand clients do not come back in step.

use std::time::Duration;

use rand::Rng;

use super::config::ReconnectConfig;

/// The pause before the `attempt`-th try, counted from 1.
pub(crate) fn pause(config: &ReconnectConfig, attempt: usize) -> Duration {
    pause_at(config, attempt, rand::rng().random_range(0.0..=1.0))
}

/// Half of `pause` to all of it.
pub(crate) fn shortened(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn pause_at(config: &ReconnectConfig, attempt: usize, luck: f64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
    let full = config.initial.get().saturating_mul(1 << doublings).min(config.max.get());
    full.mul_f64((1.0 - config.jitter * luck).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit() {
        let config = ReconnectConfig::default();
        let pauses: Vec<u128> = (1..=8).map(|attempt| pause_at(&config, attempt, 0.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(pause_at(&config, usize::MAX, 0.0).as_millis(), 5_000);
    }

    #[test]
    fn a_pause_is_shortened_by_at_most_the_jitter() {
        let config = ReconnectConfig { jitter: 0.25, ..ReconnectConfig::default() };
        assert_eq!(pause_at(&config, 1, 1.0).as_millis(), 75);
        for attempt in 1..100 {
            let pause = pause(&config, attempt);
            assert!(pause >= pause_at(&config, attempt, 1.0) && pause <= pause_at(&config, attempt, 0.0));
        }
    }
}
