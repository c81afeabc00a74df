//! Given / when / then: an aggregate's decisions tested without a store, a clock or a server.

mod difference;
mod outcome;
mod whole;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use outcome::{After, Outcome};

use crate::{
    Aggregate, AggregateId, Command, CommandContext, CommandId, Decide, Handle, HandleError, IntoEvents, Metadata,
    Revision,
};

/// 2026-01-01, midnight: what time it is in a scenario that does not say.
const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_767_225_600_000_000_000);

/// The past of one aggregate, and what a command to it meets.
///
/// Events are compared by their names and data, so they need no `PartialEq`. What a decision leads
/// to is also checked for what the journal will ask of it: see [`Outcome::then`].
///
/// ```
/// # use headwater_core::*;
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use serde_json::{Map, Value};
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct Door { open: bool }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Open {}
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct Opened { by: Option<String> }
///
/// #[derive(Debug, Clone, thiserror::Error)]
/// #[error("it is open already")]
/// struct AlreadyOpen;
/// # impl Command for Open { const NAME: &'static str = "open"; }
/// # impl Event for Opened {
/// #     fn types() -> Vec<EventType> {
/// #         vec![EventType { name: "opened", schema_version: 1, schema: |g| g.subschema_for::<Opened>() }]
/// #     }
/// #     fn name(&self) -> &'static str { "opened" }
/// #     fn encode(&self) -> Result<Vec<u8>, serde_json::Error> { serde_json::to_vec(self) }
/// #     fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
/// #         serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })
/// #     }
/// # }
/// # impl IntoEvents<Opened> for Opened {
/// #     fn into_events(self) -> Vec<Opened> { vec![self] }
/// #     fn event_names() -> Vec<&'static str> { vec!["opened"] }
/// # }
/// # impl Rejection for AlreadyOpen {
/// #     fn types() -> Vec<RejectionType> {
/// #         vec![RejectionType { name: "already-open", schema: |g| g.subschema_for::<Open>() }]
/// #     }
/// #     fn name(&self) -> &'static str { "already-open" }
/// #     fn members(&self) -> Map<String, Value> { Map::new() }
/// #     fn from_parts(name: &str, _: &Map<String, Value>) -> Option<Self> {
/// #         (name == "already-open").then_some(AlreadyOpen)
/// #     }
/// # }
/// # impl Aggregate for Door {
/// #     const TYPE: &'static str = "door";
/// #     type Event = Opened;
/// #     type Rejection = AlreadyOpen;
/// #     fn init(_: &AggregateId) -> Self { Door { open: false } }
/// #     fn evolve(&mut self, _: &Opened) { self.open = true; }
/// # }
///
/// impl Decide<Open> for Door {
///     fn decide(&self, _: Open, context: &CommandContext) -> Result<Vec<Opened>, AlreadyOpen> {
///         if self.open {
///             return Err(AlreadyOpen);
///         }
///         Ok(vec![Opened { by: context.metadata.user_id.clone() }])
///     }
/// }
///
/// Scenario::<Door>::new("front")
///     .given_nothing()
///     .by("ann")
///     .when(Open {})
///     .then([Opened { by: Some("ann".to_owned()) }])
///     .then_state(|door| assert!(door.open));
///
/// Scenario::<Door>::new("front").given([Opened { by: None }]).when(Open {}).then_rejected(AlreadyOpen);
/// ```
///
/// A failure shows what differs:
///
/// ```text
/// door/front after 0 events: `open` led to other events than expected
///   - opened {"by":"bob"}
///   + opened {"by":"ann"}
/// ```
#[must_use]
pub struct Scenario<A: Aggregate> {
    id: AggregateId,
    given: Vec<A::Event>,
    now: DateTime<Utc>,
    metadata: Metadata,
}

impl<A: Aggregate> Scenario<A> {
    /// A scenario of the aggregate with this id, nothing given. It is 2026-01-01T00:00:00Z, and
    /// the command knows of no user.
    ///
    /// # Panics
    /// When the aggregate's type or the id breaks its rule.
    #[track_caller]
    pub fn new(id: &str) -> Self {
        match AggregateId::new(A::TYPE, id) {
            Ok(id) => Self::of(id),
            Err(error) => panic!("{error}"),
        }
    }

    /// A scenario of this aggregate, in a tenant for example.
    pub fn of(id: AggregateId) -> Self {
        let command = CommandId::new("scenario").expect("a word is a command id");
        Self { id, given: Vec::new(), now: NOW, metadata: Metadata::new(command) }
    }

    /// What has happened so far; a second call adds to the first.
    pub fn given(mut self, events: impl IntoEvents<A::Event>) -> Self {
        self.given.extend(events.into_events());
        self
    }

    /// Says to the reader that nothing has happened so far.
    pub fn given_nothing(self) -> Self {
        self
    }

    /// The time of the decision.
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// The user on whose behalf the command is sent.
    pub fn by(mut self, user_id: impl Into<String>) -> Self {
        self.metadata.user_id = Some(user_id.into());
        self
    }

    /// Everything that travels beside the command.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Lets the aggregate decide the command.
    pub fn when<C: Command>(self, command: C) -> Outcome<A>
    where
        A: Decide<C>,
    {
        let state = self.state();
        let decided = state.decide(command, &self.context());
        self.outcome::<C>(state, decided.map_err(HandleError::Rejected))
    }

    /// Lets the aggregate handle the command, with `env` to ask.
    pub async fn when_handled<C: Command, Env: Send + Sync + 'static>(self, command: C, env: &Env) -> Outcome<A>
    where
        A: Handle<C, Env>,
    {
        let state = self.state();
        let handled = state.handle(command, &self.context(), env).await;
        self.outcome::<C>(state, handled)
    }

    /// The state after what was given.
    fn state(&self) -> A {
        let mut state = A::init(&self.id);
        self.given.iter().for_each(|event| state.evolve(event));
        state
    }

    fn context(&self) -> CommandContext {
        CommandContext {
            aggregate: self.id.clone(),
            revision: Revision::ZERO.plus(self.given.len()),
            now: self.now,
            metadata: Arc::new(self.metadata.clone()),
        }
    }

    fn outcome<C: Command>(self, state: A, answer: Result<Vec<A::Event>, HandleError<A::Rejection>>) -> Outcome<A> {
        let count = self.given.len();
        let title = format!("{} after {count} event{}: `{}`", self.id, if count == 1 { "" } else { "s" }, C::NAME);
        Outcome::new(title, state, answer)
    }
}

impl<A: Aggregate> std::fmt::Debug for Scenario<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario").field("id", &self.id).field("given", &self.given.len()).finish_non_exhaustive()
    }
}
