//! Pauses between attempts: they double up to a limit, and no two programs take the same ones.

use std::time::Duration;

use rand::Rng;

/// The next pauses of one who tries again.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// The first pause, and the one that they grow to.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        let first = first.min(longest);
        Self { first, next: first, longest }
    }

    /// Between half of the current pause and the whole of it.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = self.next.saturating_mul(2).min(self.longest);
        pause
    }

    /// Begins anew with the first pause.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew_when_told() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(10), ms(35));
        for longest in [10, 20, 35, 35] {
            let pause = backoff.next_pause();
            assert!(pause >= ms(longest) / 2 && pause <= ms(longest), "{pause:?} of {longest}");
        }
        backoff.reset();
        assert!(backoff.next_pause() <= ms(10));
    }
}
