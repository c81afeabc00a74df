//! A type whose kebab-case name is too long is given another.

use headwater_macros::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
struct AddAnItemToTheReceiptUnlessItIsClosedOrVoidedAlready {}

fn main() {}
