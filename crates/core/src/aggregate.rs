//! The aggregate: a state that decides commands and evolves by events.

use std::future::Future;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{AggregateId, Command, CommandContext, Event, Rejection};

/// A consistency boundary: the state that is rebuilt from an aggregate's events.
///
/// The state is what queries and replies show, so it serializes and has a JSON Schema. The
/// associated constants and names reach the wire and the journal; typing them by hand keeps a
/// renamed Rust type from renaming stored data.
pub trait Aggregate: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static {
    /// The aggregate type on the wire, such as `receipt`: `^[a-z][a-z0-9-]{0,49}$`.
    const TYPE: &'static str;

    /// The version of the code that folds events into the state. Raise it when [`evolve`](Self::evolve)
    /// comes to another state from the same events although the state's schema is the same:
    /// snapshots of older versions are not used any more.
    const CODE_VERSION: u32 = 1;

    /// Its events: an enum.
    type Event: Event;

    /// Why it says no: an enum, or [`NeverRejected`](crate::NeverRejected).
    type Rejection: Rejection;

    /// The state before the first event.
    fn init(id: &AggregateId) -> Self;

    /// Takes in what happened. It cannot fail and does not argue: the event is a fact.
    fn evolve(&mut self, event: &Self::Event);
}

/// How an aggregate answers the command `C`: purely. No clock, no I/O, no randomness; what the
/// decision needs is in the state, the command and the context. It may be called more than once
/// for one command, after a conflict for example.
pub trait Decide<C: Command>: Aggregate {
    /// The events that follow from the command, or why the domain says no. No events at all is
    /// an answer too: the command is done and nothing happened.
    ///
    /// # Errors
    /// The domain's rejection, which travels to the caller unchanged.
    fn decide(&self, command: C, context: &CommandContext) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The names of the events this command can cause, for the contract. All of the
    /// aggregate's by default.
    #[must_use]
    fn event_names() -> Vec<&'static str> {
        Self::Event::types().iter().map(|event| event.name).collect()
    }
}

/// How an aggregate answers the command `C` when it must ask something outside first: a price, a
/// credit limit, another service. `Env` is how it asks; the service is given one when it is built.
///
/// It runs while the aggregate's later commands wait, and again after a conflict, so what it asks
/// must bear being asked twice.
pub trait Handle<C: Command, Env: Send + Sync + 'static>: Aggregate {
    /// The events that follow, the domain's no, or the news that the outside did not answer.
    fn handle(
        &self,
        command: C,
        context: &CommandContext,
        env: &Env,
    ) -> impl Future<Output = Result<Vec<Self::Event>, HandleError<Self::Rejection>>> + Send;

    /// The names of the events this command can cause, for the contract. All of the
    /// aggregate's by default.
    #[must_use]
    fn event_names() -> Vec<&'static str> {
        Self::Event::types().iter().map(|event| event.name).collect()
    }
}

/// Why an asynchronous handler gave no events.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError<R> {
    /// The domain said no. `?` on a rejection becomes this.
    #[error(transparent)]
    Rejected(#[from] R),
    /// Something outside could not be asked; the caller may try again (503 `unavailable`).
    #[error("{dependency} is not available")]
    Unavailable {
        /// What was asked, such as `price-list`: reaches the caller as `details.reason`.
        dependency: &'static str,
        /// Why; logged, and kept from the caller.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// When it will be asked again, if that is known: reaches the caller as `details.retryAfterMs`.
        retry_after: Option<Duration>,
    },
}

impl<R> HandleError<R> {
    /// The news that `dependency` could not be asked.
    pub fn unavailable(dependency: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable { dependency, source: source.into(), retry_after: None }
    }

    /// The same with the time after which the caller had better try again. A rejection stays as it is.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        if let Self::Unavailable { retry_after, .. } = &mut self {
            *retry_after = Some(time);
        }
        self
    }
}
