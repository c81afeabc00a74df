//! The description of an aggregate type: its commands, events, rejections and queries with their
//! names and schemas, and the way to run them.
//!
//! [`Describe`] takes typed parts at the door; the [`AggregateType`] it builds has no type
//! parameters, so that everything behind it (dispatch, endpoints, the contract) is written once.

mod build;
mod catalog;
mod command;
mod query;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub use build::{Describe, DescribeError, Described};
pub(crate) use catalog::EventCatalog;
pub use command::CommandType;
pub(crate) use command::{Decided, Decision, EncodedEvent, ParsedCommand, Refusal};
pub use query::QueryType;
pub(crate) use state::AnyState;

use crate::{AggregateId, DecodeError, Name, RecordedEvent, RejectionType, Upcasters};

/// One aggregate type, described: what a service serves and a contract lists. Clones share it.
#[derive(Clone)]
pub struct AggregateType {
    parts: Arc<Parts>,
}

struct Parts {
    kind: Name,
    state_schema: Value,
    fingerprint: String,
    commands: BTreeMap<Name, CommandType>,
    queries: BTreeMap<Name, QueryType>,
    rejections: Vec<RejectionType>,
    catalog: Arc<EventCatalog>,
    init: fn(&AggregateId) -> Box<dyn AnyState>,
    read_state: fn(&str) -> Result<Box<dyn AnyState>, serde_json::Error>,
    evolve: fn(&EventCatalog, &mut dyn AnyState, &RecordedEvent) -> Result<(), DecodeError>,
}

/// One event of a described aggregate type.
#[derive(Debug, Clone)]
pub struct EventInfo {
    /// Its name.
    pub name: Name,
    /// The newest version of its data's schema.
    pub schema_version: u32,
    /// The JSON Schema of its data.
    pub schema: Value,
}

impl AggregateType {
    /// The aggregate type's name, such as `receipt`.
    #[must_use]
    pub fn kind(&self) -> &Name {
        &self.parts.kind
    }

    /// The JSON Schema of the state.
    #[must_use]
    pub fn state_schema(&self) -> &Value {
        &self.parts.state_schema
    }

    /// The fingerprint of the state's schema and the code's version: snapshots with another one
    /// are not used.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.parts.fingerprint
    }

    /// Its commands, by name.
    pub fn commands(&self) -> impl Iterator<Item = &CommandType> {
        self.parts.commands.values()
    }

    /// The command called `name`.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&CommandType> {
        self.parts.commands.get(name)
    }

    /// Its further queries, by name; `get` and `history` are not among them.
    pub fn queries(&self) -> impl Iterator<Item = &QueryType> {
        self.parts.queries.values()
    }

    /// The further query called `name`.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&QueryType> {
        self.parts.queries.get(name)
    }

    /// Its events, by name.
    pub fn events(&self) -> impl Iterator<Item = &EventInfo> {
        self.parts.catalog.iter()
    }

    /// Its rejections, in the order of the enum.
    #[must_use]
    pub fn rejections(&self) -> &[RejectionType] {
        &self.parts.rejections
    }

    /// The rules that bring its stored events up to date.
    pub(crate) fn upcasters(&self) -> &Upcasters {
        self.parts.catalog.upcasters()
    }

    pub(crate) fn init(&self, id: &AggregateId) -> Box<dyn AnyState> {
        (self.parts.init)(id)
    }

    pub(crate) fn read_state(&self, json: &str) -> Result<Box<dyn AnyState>, serde_json::Error> {
        (self.parts.read_state)(json)
    }

    pub(crate) fn evolve(&self, state: &mut dyn AnyState, event: &RecordedEvent) -> Result<(), DecodeError> {
        (self.parts.evolve)(&self.parts.catalog, state, event)
    }
}

impl std::fmt::Debug for AggregateType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregateType")
            .field("kind", self.kind())
            .field("commands", &self.parts.commands.keys())
            .field("queries", &self.parts.queries.keys())
            .finish_non_exhaustive()
    }
}
