//! What happens to a receipt. These are stored for ever: a member may be added with a default, or
//! the event gets a new schema version and an upcaster.

use headwater::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Money, Price};

/// Everything that can happen to a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
pub enum ReceiptEvent {
    /// An item was put on the receipt.
    ItemAdded(ItemAdded),
    /// All lines of one name were taken off.
    ItemRemoved(ItemRemoved),
    /// The receipt was closed.
    ReceiptFinalized(ReceiptFinalized),
    /// The receipt was voided.
    ReceiptVoided(ReceiptVoided),
}

/// An item was put on the receipt, as a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemAdded {
    /// What it is called.
    pub name: String,
    /// What one piece costs.
    pub price: Price,
    /// How many pieces.
    pub quantity: u32,
    /// What they cost together.
    pub line_total: Money,
}

/// All lines of one name were taken off the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemRemoved {
    /// The name of the lines.
    pub name: String,
    /// What they cost together.
    pub refund_amount: Money,
}

/// The receipt was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptFinalized {
    /// What everything on it costs.
    pub final_total: Money,
    /// How many lines it has.
    pub item_count: u64,
}

/// The receipt was voided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptVoided {
    /// Why.
    pub reason: String,
    /// What was on the receipt and no longer counts.
    pub voided_total: Money,
}
