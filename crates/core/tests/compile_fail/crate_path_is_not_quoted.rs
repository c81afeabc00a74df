//! The path of the crate is a path and no text.

use headwater_macros::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(crate = "headwater_core")]
struct AddItem {}

fn main() {}
