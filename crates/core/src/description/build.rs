//! Building a description, by hand or by the macro.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::state::typed_mut;
use super::{AggregateType, CommandType, EventCatalog, Parts, QueryType};
use crate::schema::{SchemaError, schema_of};
use crate::{Aggregate, Answer, Command, Decide, Handle, Name, Query, Rejection};

/// An aggregate that knows its own description; the aggregate macro implements it.
pub trait Described: Aggregate {
    /// What its [`Handle`] commands ask; `()` when it has none.
    type Env: Send + Sync + 'static;

    /// The description, with every command and query of the aggregate.
    fn describe(env: Arc<Self::Env>) -> Describe<Self>;
}

/// Builds an [`AggregateType`] from typed parts.
///
/// ```
/// # use headwater_core::*;
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Counter { count: u64 }
/// # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Increment {}
/// # impl Command for Increment { const NAME: &'static str = "increment"; }
/// # #[derive(Clone)] struct Incremented;
/// # impl Event for Incremented {
/// #     fn types() -> Vec<EventType> {
/// #         vec![EventType { name: "incremented", schema_version: 1, schema: |g| g.subschema_for::<()>() }]
/// #     }
/// #     fn name(&self) -> &'static str { "incremented" }
/// #     fn encode(&self) -> Result<Vec<u8>, serde_json::Error> { Ok(b"null".to_vec()) }
/// #     fn decode(_: &str, _: &[u8]) -> Result<Self, DecodeError> { Ok(Incremented) }
/// # }
/// # impl Aggregate for Counter {
/// #     const TYPE: &'static str = "counter";
/// #     type Event = Incremented;
/// #     type Rejection = NeverRejected;
/// #     fn init(_: &AggregateId) -> Self { Counter { count: 0 } }
/// #     fn evolve(&mut self, _: &Incremented) { self.count += 1; }
/// # }
/// # impl Decide<Increment> for Counter {
/// #     fn decide(&self, _: Increment, _: &CommandContext) -> Result<Vec<Incremented>, NeverRejected> {
/// #         Ok(vec![Incremented])
/// #     }
/// # }
/// let counter = Describe::<Counter>::new().command::<Increment>().build()?;
/// assert_eq!(counter.kind().as_str(), "counter");
/// assert!(counter.command("increment").is_some());
/// # Ok::<(), DescribeError>(())
/// ```
#[must_use]
pub struct Describe<A> {
    catalog: Arc<EventCatalog>,
    commands: BTreeMap<Name, CommandType>,
    queries: BTreeMap<Name, QueryType>,
    problems: Vec<String>,
    aggregate: PhantomData<fn() -> A>,
}

/// A description that does not hold together, with every problem found.
#[derive(Debug, thiserror::Error)]
#[error("aggregate `{kind}`: {}", problems.join("; "))]
pub struct DescribeError {
    kind: &'static str,
    problems: Vec<String>,
}

impl DescribeError {
    /// Every problem, in the order found.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl<A: Aggregate> Default for Describe<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Aggregate> Describe<A> {
    /// A description with the aggregate's events and rejections and no commands yet.
    pub fn new() -> Self {
        let mut problems = Vec::new();
        let catalog = Arc::new(EventCatalog::of::<A::Event>(&mut problems));
        Self { catalog, commands: BTreeMap::new(), queries: BTreeMap::new(), problems, aggregate: PhantomData }
    }

    /// Adds a command that is decided purely.
    pub fn command<C: Command>(self) -> Self
    where
        A: Decide<C>,
    {
        let catalog = Arc::clone(&self.catalog);
        self.add_command(C::NAME, |name| CommandType::decided::<A, C>(name, catalog))
    }

    /// Adds a command whose handler asks `env` first.
    pub fn handled_command<C: Command, Env: Send + Sync + 'static>(self, env: Arc<Env>) -> Self
    where
        A: Handle<C, Env>,
    {
        let catalog = Arc::clone(&self.catalog);
        self.add_command(C::NAME, |name| CommandType::handled::<A, C, Env>(name, catalog, env))
    }

    /// Adds a query beyond `get` and `history`.
    pub fn query<Q: Query>(mut self) -> Self
    where
        A: Answer<Q>,
    {
        if matches!(Q::NAME, "get" | "history") {
            self.problems.push(format!("query `{}`: every aggregate has one of this name already", Q::NAME));
            return self;
        }
        let added = named("query", Q::NAME, QueryType::answered::<A, Q>);
        insert("query", &mut self.queries, added, &mut self.problems);
        self
    }

    fn add_command(mut self, name: &'static str, make: impl FnOnce(Name) -> Result<CommandType, SchemaError>) -> Self {
        let added = named("command", name, make);
        if let Ok((_, command)) = &added {
            for event in command.events().iter().filter(|event| !self.catalog.contains(event)) {
                self.problems.push(format!("command `{name}`: `{event}` is not among the aggregate's events"));
            }
        }
        insert("command", &mut self.commands, added, &mut self.problems);
        self
    }

    /// The description, checked.
    ///
    /// # Errors
    /// [`DescribeError`] with every problem: names that break the rule or are there twice,
    /// schemas that cannot be used, no commands at all.
    pub fn build(self) -> Result<AggregateType, DescribeError> {
        let mut problems = self.problems;
        if self.commands.is_empty() {
            problems.push("there are no commands".to_owned());
        }
        let kind = Name::new(A::TYPE).map_err(|error| problems.push(format!("aggregate type: {error}")));
        let rejections = A::Rejection::types();
        for (place, rejection) in rejections.iter().enumerate() {
            if let Err(error) = Name::new(rejection.name) {
                problems.push(format!("rejection: {error}"));
            }
            if rejections[..place].iter().any(|earlier| earlier.name == rejection.name) {
                problems.push(format!("rejection `{}` is there twice", rejection.name));
            }
        }
        let (Ok(kind), true) = (kind, problems.is_empty()) else {
            return Err(DescribeError { kind: A::TYPE, problems });
        };
        let state_schema = schema_of::<A>();
        let parts = Parts {
            kind,
            fingerprint: fingerprint(&state_schema, A::CODE_VERSION),
            state_schema,
            commands: self.commands,
            queries: self.queries,
            rejections,
            catalog: self.catalog,
            init: |id| Box::new(A::init(id)),
            read_state: |json| Ok(Box::new(serde_json::from_str::<A>(json)?)),
            evolve: |catalog, state, event| {
                let state = typed_mut::<A>(state);
                catalog.decode::<A::Event>(event, |event| state.evolve(event))
            },
        };
        Ok(AggregateType { parts: Arc::new(parts) })
    }
}

impl<A> std::fmt::Debug for Describe<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Describe").field("commands", &self.commands.keys()).finish_non_exhaustive()
    }
}

/// A hash of the state's schema and the version of the code that folds it.
fn fingerprint(schema: &serde_json::Value, code: u32) -> String {
    // Writing a value to memory cannot fail; an empty text would only make two schemas look alike.
    let mut canonical = serde_json_canonicalizer::to_vec(schema).unwrap_or_default();
    canonical.extend_from_slice(&code.to_be_bytes());
    Sha256::digest(canonical)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<T>(
    what: &str,
    name: &'static str,
    make: impl FnOnce(Name) -> Result<T, SchemaError>,
) -> Result<(Name, T), String> {
    let name = Name::new(name).map_err(|error| format!("{what}: {error}"))?;
    let made = make(name.clone()).map_err(|error| error.to_string())?;
    Ok((name, made))
}

fn insert<T>(what: &str, into: &mut BTreeMap<Name, T>, added: Result<(Name, T), String>, problems: &mut Vec<String>) {
    match added {
        Err(problem) => problems.push(problem),
        Ok((name, made)) => {
            if into.insert(name.clone(), made).is_some() {
                problems.push(format!("{what} `{name}` is there twice"));
            }
        }
    }
}
