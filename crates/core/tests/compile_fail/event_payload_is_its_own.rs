//! No two variants share a payload type.

use headwater_macros::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct ItemAdded {}

#[derive(Clone, Event)]
enum ReceiptEvent {
    ItemAdded(ItemAdded),
    ItemAddedAgain(ItemAdded),
}

fn main() {}
