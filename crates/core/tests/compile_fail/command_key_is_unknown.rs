//! An unknown key is answered with the known ones.

use headwater_macros::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(nam = "add-item")]
struct AddItem {}

fn main() {}
