//! Pauses between attempts: they double up to a limit, and no two callers take the same ones.

use std::time::Duration;

use rand::Rng;

/// The next pauses of one caller.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, next: first, longest }
    }

    /// Between half of the current pause and the whole of it.
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    /// It worked: the next pause is the first again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}
