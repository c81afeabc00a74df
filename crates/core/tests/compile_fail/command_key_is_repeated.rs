//! A key is there once.

use headwater_macros::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(name = "add-item", name = "add-items")]
struct AddItem {}

fn main() {}
