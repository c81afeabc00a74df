//! The receipt itself: its state, what it decides and how it evolves.

use headwater::AggregateId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AddItem, AddItems, Finalize, ItemAdded, ItemRemoved, Money, Price, ReceiptEvent, ReceiptFinalized,
    ReceiptRejection, ReceiptSummary, ReceiptVoided, RemoveItem, Summary, Void,
};

/// A receipt: lines of items while it is open, a fixed total once it is closed.
///
/// There is no command to open one: a receipt that nothing has happened to yet is open and empty.
/// It may be voided like any other, which takes its number out of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Which receipt it is.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// Its lines, oldest first. One name may have several.
    pub items: Vec<Item>,
    /// What they cost together, also when the receipt has been voided.
    pub total: Money,
}

/// Where a receipt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Items come and go.
    Open,
    /// Its items are settled.
    Closed,
    /// It no longer counts.
    Voided,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Voided => "voided",
        })
    }
}

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// What it is called.
    pub name: String,
    /// What one piece costs.
    pub price: Price,
    /// How many pieces.
    pub quantity: u32,
}

impl Item {
    /// What the pieces cost together.
    #[must_use]
    pub fn total(&self) -> Money {
        self.price.times(self.quantity)
    }
}

#[headwater::aggregate(type = "receipt", event = ReceiptEvent, rejection = ReceiptRejection, client = ReceiptClient)]
impl Receipt {
    fn init(id: &AggregateId) -> Self {
        Self { id: id.id().to_owned(), status: Status::Open, items: Vec::new(), total: Money::ZERO }
    }

    fn evolve(&mut self, event: &ReceiptEvent) {
        match event {
            ReceiptEvent::ItemAdded(ItemAdded { name, price, quantity, line_total }) => {
                self.items.push(Item { name: name.clone(), price: *price, quantity: *quantity });
                self.total = self.total.saturating_add(*line_total);
            }
            ReceiptEvent::ItemRemoved(ItemRemoved { name, refund_amount }) => {
                self.items.retain(|item| item.name != *name);
                self.total = self.total.saturating_sub(*refund_amount);
            }
            ReceiptEvent::ReceiptFinalized(_) => self.status = Status::Closed,
            ReceiptEvent::ReceiptVoided(_) => self.status = Status::Voided,
        }
    }

    /// Puts an item on the receipt.
    #[command]
    fn add_item(&self, command: AddItem) -> Result<ItemAdded, ReceiptRejection> {
        self.require_open()?;
        Ok(added(command))
    }

    /// Puts several items on the receipt, all or none.
    #[command]
    fn add_items(&self, command: AddItems) -> Result<Vec<ItemAdded>, ReceiptRejection> {
        self.require_open()?;
        Ok(command.items.into_iter().map(added).collect())
    }

    /// Takes all lines of one name off the receipt.
    #[command]
    fn remove_item(&self, command: RemoveItem) -> Result<ItemRemoved, ReceiptRejection> {
        self.require_open()?;
        let RemoveItem { name } = command;
        let mut lines = self.items.iter().filter(|item| item.name == name).peekable();
        if lines.peek().is_none() {
            return Err(ReceiptRejection::ItemNotFound { name });
        }
        let refund_amount = lines.map(Item::total).sum();
        Ok(ItemRemoved { name, refund_amount })
    }

    /// Closes the receipt.
    #[command]
    fn finalize(&self, _: Finalize) -> Result<ReceiptFinalized, ReceiptRejection> {
        self.require_open()?;
        if self.items.is_empty() {
            return Err(ReceiptRejection::ReceiptEmpty);
        }
        Ok(ReceiptFinalized { final_total: self.total, item_count: self.items.len() as u64 })
    }

    /// Voids the receipt, open or closed.
    #[command]
    fn void(&self, command: Void) -> Result<ReceiptVoided, ReceiptRejection> {
        if self.status == Status::Voided {
            return Err(ReceiptRejection::AlreadyVoided);
        }
        Ok(ReceiptVoided { reason: command.reason, voided_total: self.total })
    }

    /// The receipt in four numbers.
    #[query]
    fn summary(&self, _: Summary) -> ReceiptSummary {
        ReceiptSummary {
            status: self.status,
            lines: self.items.len() as u64,
            pieces: self.items.iter().map(|item| u64::from(item.quantity)).sum(),
            total: self.total,
        }
    }

    fn require_open(&self) -> Result<(), ReceiptRejection> {
        match self.status {
            Status::Open => Ok(()),
            status @ (Status::Closed | Status::Voided) => Err(ReceiptRejection::ReceiptNotOpen { status }),
        }
    }
}

fn added(AddItem { name, price, quantity }: AddItem) -> ItemAdded {
    ItemAdded { name, price, quantity, line_total: price.times(quantity) }
}
