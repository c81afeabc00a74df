//! What a command led to, and what a test may expect of it.

use super::difference::{Line, difference};
use super::whole::{fits_the_journal, fits_the_wire};
use crate::{Aggregate, Event, HandleError, IntoEvents, Rejection};

/// What a command led to. An expectation that does not hold is a panic that shows what differs.
#[must_use = "a scenario without an expectation shows nothing"]
pub struct Outcome<A: Aggregate> {
    title: String,
    /// Before the command.
    state: A,
    answer: Result<Vec<A::Event>, HandleError<A::Rejection>>,
}

impl<A: Aggregate> Outcome<A> {
    pub(super) fn new(title: String, state: A, answer: Result<Vec<A::Event>, HandleError<A::Rejection>>) -> Self {
        Self { title, state, answer }
    }

    /// Expects exactly these events, in this order.
    ///
    /// Each event is also checked for what the journal asks of it: its name is among the
    /// aggregate's [`Event::types`], its data fits the schema it has there, and what was written
    /// is read back as the same event.
    ///
    /// # Panics
    /// When it does not hold.
    #[track_caller]
    pub fn then(self, events: impl IntoEvents<A::Event>) -> After<A> {
        let expected: Vec<_> = events.into_events().iter().map(Line::event).collect();
        let what = if self.answer.is_ok() { "led to other events than expected" } else { "led to no events" };
        self.compare(&expected, what);
        let events = self.answer.unwrap_or_default();
        for event in &events {
            if let Err(problem) = fits_the_journal(event) {
                panic!("{} led to an event that cannot be kept: `{}`: {problem}", self.title, event.name());
            }
        }
        let mut state = self.state;
        events.iter().for_each(|event| state.evolve(event));
        After { state }
    }

    /// Expects the command to be done and nothing to have happened.
    ///
    /// # Panics
    /// When it does not hold.
    #[track_caller]
    pub fn then_nothing(self) -> After<A> {
        self.then(())
    }

    /// Expects the domain to say no with this rejection. It is compared by its name and members.
    ///
    /// It is also checked for the way to the caller: its name is among the aggregate's
    /// [`Rejection::types`], its members fit the schema it has there, and what was written is read
    /// back as the same rejection.
    ///
    /// # Panics
    /// When it does not hold.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test writes the rejection where it expects it")]
    pub fn then_rejected(self, rejection: A::Rejection) -> After<A> {
        self.compare(&[Line::rejection(&rejection)], "was not rejected as expected");
        if let Err(problem) = fits_the_wire(&rejection) {
            panic!("{} met a rejection that cannot be told: `{}`: {problem}", self.title, rejection.name());
        }
        After { state: self.state }
    }

    /// Expects the handler to say that `dependency` could not be asked.
    ///
    /// # Panics
    /// When it does not hold.
    #[track_caller]
    pub fn then_unavailable(self, dependency: &str) -> After<A> {
        self.compare(&[Line::unavailable(dependency)], "did not find its dependency unavailable");
        After { state: self.state }
    }

    #[track_caller]
    fn compare(&self, expected: &[Line], what: &str) {
        let actual = match &self.answer {
            Ok(events) => events.iter().map(Line::event).collect(),
            Err(HandleError::Rejected(rejection)) => vec![Line::rejection(rejection)],
            Err(HandleError::Unavailable { dependency, .. }) => vec![Line::unavailable(dependency)],
        };
        if let Some(difference) = difference(expected, &actual) {
            panic!("{} {what}\n{difference}", self.title);
        }
    }
}

impl<A: Aggregate> std::fmt::Debug for Outcome<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome").field("of", &self.title).finish_non_exhaustive()
    }
}

/// The aggregate after a command that led to what was expected.
pub struct After<A> {
    state: A,
}

impl<A: Aggregate> After<A> {
    /// Shows the state to a check of the test's own: after the command's events, or as it was
    /// when there were none.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&A)) {
        check(&self.state);
    }
}

impl<A: Aggregate> std::fmt::Debug for After<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("After").finish_non_exhaustive()
    }
}
