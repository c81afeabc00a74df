//! The domain: receipts with items, and the money on them. Nothing here knows of servers,
//! messages or stores.

mod commands;
mod decimal;
mod events;
mod money;
mod price;
mod receipt;
mod rejections;

pub use commands::{AddItem, AddItems, Finalize, ReceiptSummary, RemoveItem, Summary, Void};
pub use decimal::InvalidAmount;
pub use events::{ItemAdded, ItemRemoved, ReceiptEvent, ReceiptFinalized, ReceiptVoided};
pub use money::Money;
pub use price::Price;
pub use receipt::{Item, Receipt, ReceiptClient, Status};
pub use rejections::ReceiptRejection;

#[cfg(test)]
mod payloads;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod scenarios;
