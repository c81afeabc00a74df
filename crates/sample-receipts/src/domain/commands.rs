//! What can be asked of a receipt. Payloads are checked against the schemas of these types before
//! any rule of the domain sees them.

use headwater::{Command, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Money, Price, Status};

/// Puts an item on the receipt, as a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddItem {
    /// What it is called.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What one piece costs.
    pub price: Price,
    /// How many pieces.
    #[schemars(range(min = 1, max = 10_000))]
    pub quantity: u32,
}

/// Puts several items on the receipt: all of them, or none.
#[derive(Debug, Clone, PartialEq, Eq, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddItems {
    /// The items, in the order of their lines.
    #[schemars(length(min = 1, max = 500))]
    pub items: Vec<AddItem>,
}

/// Takes all lines of one name off the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveItem {
    /// The name of the lines.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
}

/// Closes the receipt: its items are settled.
#[derive(Debug, Clone, PartialEq, Eq, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finalize {}

/// Voids the receipt, open or closed: it no longer counts.
#[derive(Debug, Clone, PartialEq, Eq, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// Why, for the books.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// Asks for the receipt in four numbers.
#[derive(Debug, Clone, PartialEq, Eq, Query, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[query(answer = ReceiptSummary)]
pub struct Summary {}

/// The receipt in four numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptSummary {
    /// Where the receipt stands.
    pub status: Status,
    /// How many lines it has.
    pub lines: u64,
    /// How many pieces are on these lines.
    pub pieces: u64,
    /// What they cost.
    pub total: Money,
}
