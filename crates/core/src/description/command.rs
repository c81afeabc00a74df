//! One command of a described aggregate type: its schema, its check, its decision.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::catalog::{EncodeError, EventCatalog};
use super::state::{AnyState, typed, typed_mut};
use crate::schema::{PayloadValidator, SchemaError, misfit, schema_of};
use crate::{Aggregate, Command, CommandContext, Decide, Failure, Handle, HandleError, Name, Violation};

/// One command of a described aggregate type.
pub struct CommandType {
    name: Name,
    schema: Value,
    validator: PayloadValidator,
    events: Vec<&'static str>,
    /// Whether it is decided from the state alone.
    pure: bool,
    parse: fn(&Value) -> Result<ParsedCommand, Violation>,
    decider: Box<dyn Decider>,
}

/// A payload that passed every check, as the command it is.
pub(crate) type ParsedCommand = Box<dyn Any + Send>;

/// An event ready for the journal.
#[derive(Debug)]
pub(crate) struct EncodedEvent {
    pub(crate) name: Name,
    pub(crate) schema_version: u32,
    pub(crate) data: Bytes,
}

/// What a command leads to: events, and the step they make the state take once they are stored.
pub(crate) struct Decision {
    pub(crate) events: Vec<EncodedEvent>,
    pub(crate) evolve: EvolveStep,
}

/// The step the state takes once the events of a decision are stored.
pub(crate) type EvolveStep = Box<dyn FnOnce(&mut dyn AnyState) + Send>;

/// Why a command leads to nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The caller gets this.
    Failure(Failure),
    /// The caller gets `internal`; the log gets the rest.
    Bug(EncodeError),
    /// The caller gets `unavailable` with the dependency's name; the log gets the rest.
    Dependency { name: &'static str, source: Box<dyn std::error::Error + Send + Sync>, retry_after: Option<Duration> },
}

/// A decision, made or in the making.
pub(crate) enum Decided {
    Now(Result<Decision, Refusal>),
    Later(BoxFuture<'static, Result<Decision, Refusal>>),
}

trait Decider: Send + Sync {
    fn decide(&self, state: &dyn AnyState, command: ParsedCommand, context: CommandContext) -> Decided;
}

impl CommandType {
    /// A command that is decided purely.
    pub(super) fn decided<A: Decide<C>, C: Command>(
        name: Name,
        catalog: Arc<EventCatalog>,
    ) -> Result<Self, SchemaError> {
        let decider = move |state: &dyn AnyState, command: C, context: CommandContext| {
            let decided = typed::<A>(state).decide(command, &context);
            Decided::Now(match decided {
                Ok(events) => decision::<A>(&catalog, events),
                Err(rejection) => Err(Refusal::Failure(Failure::rejected(&rejection))),
            })
        };
        Self::new::<C>(name, <A as Decide<C>>::event_names(), true, typed_decider(decider))
    }

    /// A command that asks `env` first.
    pub(super) fn handled<A, C, Env>(name: Name, catalog: Arc<EventCatalog>, env: Arc<Env>) -> Result<Self, SchemaError>
    where
        A: Handle<C, Env>,
        C: Command,
        Env: Send + Sync + 'static,
    {
        let decider = move |state: &dyn AnyState, command: C, context: CommandContext| {
            // The handler waits while others may read the state, so it gets a copy of its own.
            let (state, catalog, env) = (typed::<A>(state).clone(), Arc::clone(&catalog), Arc::clone(&env));
            let handling = async move {
                match state.handle(command, &context, &env).await {
                    Ok(events) => decision::<A>(&catalog, events),
                    Err(HandleError::Rejected(rejection)) => Err(Refusal::Failure(Failure::rejected(&rejection))),
                    Err(HandleError::Unavailable { dependency, source, retry_after }) => {
                        Err(Refusal::Dependency { name: dependency, source, retry_after })
                    }
                }
            };
            Decided::Later(handling.boxed())
        };
        Self::new::<C>(name, <A as Handle<C, Env>>::event_names(), false, typed_decider(decider))
    }

    fn new<C: Command>(
        name: Name,
        events: Vec<&'static str>,
        pure: bool,
        decider: Box<dyn Decider>,
    ) -> Result<Self, SchemaError> {
        let schema = schema_of::<C>();
        let validator = PayloadValidator::new(&format!("command `{name}`"), &schema)?;
        let parse = |payload: &Value| {
            C::deserialize(payload).map(|command| Box::new(command) as ParsedCommand).map_err(|_| misfit::<C>(payload))
        };
        Ok(Self { name, schema, validator, events, pure, parse, decider })
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The JSON Schema of its payload.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The names of the events it can cause.
    #[must_use]
    pub fn events(&self) -> &[&'static str] {
        &self.events
    }

    /// Checks a payload against the schema and the type.
    ///
    /// # Errors
    /// 400 `validation-failed` with the violations.
    pub fn check(&self, payload: &Value) -> Result<(), Failure> {
        self.parse(payload).map(drop)
    }

    /// Checks a payload and makes the command of it.
    pub(crate) fn parse(&self, payload: &Value) -> Result<ParsedCommand, Failure> {
        self.validator
            .check(payload)
            .and_then(|()| (self.parse)(payload).map_err(|violation| vec![violation]))
            .map_err(|violations| Failure::validation_failed(self.name.as_str(), &violations))
    }

    /// Whether it is decided from the state alone, without asking anything outside.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        self.pure
    }

    pub(crate) fn decide(&self, state: &dyn AnyState, command: ParsedCommand, context: CommandContext) -> Decided {
        self.decider.decide(state, command, context)
    }
}

impl std::fmt::Debug for CommandType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandType").field("name", &self.name).field("events", &self.events).finish_non_exhaustive()
    }
}

fn typed_decider<C: Command>(
    decide: impl Fn(&dyn AnyState, C, CommandContext) -> Decided + Send + Sync + 'static,
) -> Box<dyn Decider> {
    struct Typed<F, C>(F, std::marker::PhantomData<fn(C)>);
    impl<F, C> Decider for Typed<F, C>
    where
        F: Fn(&dyn AnyState, C, CommandContext) -> Decided + Send + Sync,
        C: Command,
    {
        fn decide(&self, state: &dyn AnyState, command: ParsedCommand, context: CommandContext) -> Decided {
            let command = command.downcast::<C>().expect("a command type only meets payloads it parsed itself");
            (self.0)(state, *command, context)
        }
    }
    Box::new(Typed(decide, std::marker::PhantomData))
}

fn decision<A: Aggregate>(catalog: &EventCatalog, events: Vec<A::Event>) -> Result<Decision, Refusal> {
    let encoded = events.iter().map(|event| catalog.encode(event)).collect::<Result<_, _>>().map_err(Refusal::Bug)?;
    let evolve = move |state: &mut dyn AnyState| {
        let state = typed_mut::<A>(state);
        events.iter().for_each(|event| state.evolve(event));
    };
    Ok(Decision { events: encoded, evolve: Box::new(evolve) })
}
