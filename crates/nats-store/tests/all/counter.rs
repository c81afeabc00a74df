//! An aggregate that counts, for tests that go through the dispatcher.

use std::sync::Arc;

use headwater_core::{
    Aggregate, AggregateId, Command, CommandContext, Decide, DecodeError, Describe, Described, Event, EventType,
    NeverRejected,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts, and is small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Counter {
    pub(crate) counted: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Counted;

impl Event for Counted {
    fn types() -> Vec<EventType> {
        vec![EventType { name: "counted", schema_version: 1, schema: |generator| generator.subschema_for::<Self>() }]
    }

    fn name(&self) -> &'static str {
        "counted"
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(b"{}".to_vec())
    }

    fn decode(_: &str, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Aggregate for Counter {
    const TYPE: &'static str = "receipt";
    type Event = Counted;
    type Rejection = NeverRejected;

    fn init(_: &AggregateId) -> Self {
        Self { counted: 0 }
    }

    fn evolve(&mut self, _: &Counted) {
        self.counted += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Count {
    pub(crate) times: usize,
}

impl Command for Count {
    const NAME: &'static str = "count";
}

impl Decide<Count> for Counter {
    fn decide(&self, command: Count, _: &CommandContext) -> Result<Vec<Counted>, NeverRejected> {
        Ok(vec![Counted; command.times])
    }
}

impl Described for Counter {
    type Env = ();

    fn describe(_: Arc<()>) -> Describe<Self> {
        Describe::new().command::<Count>()
    }
}
