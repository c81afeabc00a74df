//! Pauses between attempts: they double up to a limit, and no two callers take the same ones.

use std::time::Duration;

use rand::Rng;

/// The next pauses of one caller.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// Between half of the current pause and the whole of it.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        pause
    }
}
