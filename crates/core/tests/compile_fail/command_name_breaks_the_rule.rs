//! A given name follows the rule for names.

use headwater_macros::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(name = "Add Item")]
struct AddItem {}

fn main() {}
