//! A command has no generic parameters.

use headwater_macros::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
struct AddItem<T> {
    item: T,
}

fn main() {}
