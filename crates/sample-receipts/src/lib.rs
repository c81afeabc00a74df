//! The worked example: receipts with items on them, as an event-sourced service.
//!
//! The [`domain`] describes a receipt once. From that description come the service, its journal,
//! its contract and the typed [`domain::ReceiptClient`]; the program of this crate runs them.
//!
//! ```
//! use headwater::dispatch::Dispatcher;
//! use headwater::store::MemoryStore;
//! use sample_receipts::domain::{AddItem, Receipt, ReceiptClient};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // No server: events are kept in memory and commands are dispatched in process.
//! let dispatcher = Dispatcher::builder(MemoryStore::new()).aggregate::<Receipt>().build()?;
//! let receipts = ReceiptClient::new(dispatcher);
//!
//! let coffee = AddItem { name: "Coffee".to_owned(), price: "5.99".parse()?, quantity: 2 };
//! let added = receipts.add_item("order-1001", coffee).await?;
//! assert_eq!(added.revision.get(), 1);
//! assert_eq!(added.state.total.to_string(), "11.98");
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

pub mod domain;

/// The name of the service on the wire.
pub const SERVICE: &str = "receipts";

/// The version of the service: that of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
