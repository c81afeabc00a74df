//! A call through a circuit, from its beginning to whatever end it has.

use tokio::time::Instant;

use super::breaker::Breaker;
use super::machine::Pass;
use super::window::Outcome;

/// A call under way. Dropped before it has ended it counts as slow when it was, and otherwise as nothing.
#[derive(Debug)]
#[must_use = "dropped, it counts as given up"]
pub struct Call<'a> {
    breaker: &'a Breaker,
    pass: Pass,
    began: Instant,
    outcome: Outcome,
    /// Whether how long it took means something.
    has_speed: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(breaker: &'a Breaker, pass: Pass) -> Self {
        Self { breaker, pass, began: breaker.settings().clock.now(), outcome: Outcome::Neither, has_speed: true }
    }

    /// It was answered, in whatever time.
    pub fn answered(mut self) {
        self.outcome = if self.is_slow() { Outcome::Slow } else { Outcome::Good };
    }

    /// It was answered in a way that says nothing about speed.
    pub fn good(mut self) {
        self.outcome = Outcome::Good;
    }

    /// It was not answered.
    pub fn failed(mut self) {
        self.outcome = Outcome::Failed;
    }

    /// It says nothing, however long it took.
    pub fn forget(mut self) {
        self.has_speed = false;
    }

    fn is_slow(&self) -> bool {
        let settings = self.breaker.settings();
        settings.clock.now().saturating_duration_since(self.began) > settings.slow_call.get()
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let given_up_late = self.outcome == Outcome::Neither && self.has_speed && self.is_slow();
        self.breaker.end(self.pass, if given_up_late { Outcome::Slow } else { self.outcome });
    }
}
