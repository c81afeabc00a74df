// An aggregate's parts, for the cases that are about the `impl` block.

#[allow(unused_imports, reason = "not every case needs all of them")]
use headwater_core::{Aggregate, AggregateId, CommandContext, NeverRejected};
use headwater_macros::{Command, Event, Query, aggregate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    count: u64,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
pub struct Increment {
    by: u64,
}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(answer = u64)]
pub struct Count {}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Incremented {
    by: u64,
}

#[derive(Clone, Event)]
pub enum CounterEvent {
    Incremented(Incremented),
}

pub struct Steps(u64);
