//! Commands as the history keeps them: sent by callers, decided once more by the checker.

use std::sync::Arc;

use chrono::DateTime;
use headwater::client::CommandCall;
use headwater::{Aggregate, AggregateId, CommandContext, CommandId, Decide, Metadata, Revision};
use rand::Rng;
use rand::seq::IndexedRandom;
use sample_receipts::domain::{
    AddItem, AddItems, Finalize, Receipt, ReceiptClient, ReceiptEvent, ReceiptRejection, RemoveItem, Void,
};
use serde::Serialize;

/// Few names, so that what is removed is there at times and not there at others.
const NAMES: [&str; 4] = ["Coffee", "Tea", "Cake", "Jam"];

/// A command with its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    AddItem(AddItem),
    AddItems(AddItems),
    RemoveItem(RemoveItem),
    Finalize(Finalize),
    Void(Void),
}

impl Order {
    /// Mostly items that come and go, and now and then the end of the receipt.
    pub(crate) fn random(random: &mut impl Rng) -> Self {
        match random.random_range(0..100) {
            0..50 => Self::AddItem(item(random)),
            50..70 => {
                let count = random.random_range(2..=5);
                Self::AddItems(AddItems { items: (0..count).map(|_| item(random)).collect() })
            }
            70..97 => Self::RemoveItem(RemoveItem { name: name(random) }),
            97..99 => Self::Finalize(Finalize {}),
            _ => Self::Void(Void { reason: format!("reason {}", random.random::<u32>()) }),
        }
    }

    /// Another one that leads to other events, wherever it is decided.
    pub(crate) fn other(&self, random: &mut impl Rng) -> Self {
        loop {
            let other = Self::AddItem(item(random));
            if other != *self {
                return other;
            }
        }
    }

    /// A call that sends it.
    pub(crate) fn call(&self, client: &ReceiptClient, aggregate: &str) -> CommandCall<Receipt> {
        match self {
            Self::AddItem(command) => client.command(aggregate, command),
            Self::AddItems(command) => client.command(aggregate, command),
            Self::RemoveItem(command) => client.command(aggregate, command),
            Self::Finalize(command) => client.command(aggregate, command),
            Self::Void(command) => client.command(aggregate, command),
        }
    }

    /// What the domain says to it.
    pub(crate) fn decide(&self, receipt: &Receipt) -> Result<Vec<ReceiptEvent>, ReceiptRejection> {
        // The receipt decides by its state and the command alone.
        let context = CommandContext {
            aggregate: id(&receipt.id),
            revision: Revision::ZERO,
            now: DateTime::UNIX_EPOCH,
            metadata: Arc::new(Metadata::new(CommandId::generate())),
        };
        match self.clone() {
            Self::AddItem(command) => receipt.decide(command, &context),
            Self::AddItems(command) => receipt.decide(command, &context),
            Self::RemoveItem(command) => receipt.decide(command, &context),
            Self::Finalize(command) => receipt.decide(command, &context),
            Self::Void(command) => receipt.decide(command, &context),
        }
    }
}

/// The id of the receipt called so.
pub(crate) fn id(receipt: &str) -> AggregateId {
    AggregateId::new(Receipt::TYPE, receipt).unwrap()
}

fn name(random: &mut impl Rng) -> String {
    (*NAMES.choose(random).unwrap()).to_owned()
}

fn item(random: &mut impl Rng) -> AddItem {
    let price = format!("{}.{:02}", random.random_range(0..100), random.random_range(0..100));
    AddItem { name: name(random), price: price.parse().unwrap(), quantity: random.random_range(1..=10_000) }
}
