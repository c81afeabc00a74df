//! The event store on JetStream.
//!
//! [`JetStreamStore`] keeps the journal of one service in one JetStream stream, one message for each event, as the wire
//! protocol says. Any program that speaks NATS can read it.
//!
//! ```no_run
//! use headwater_core::Name;
//! use headwater_nats::connect::{Connection, NatsConfig};
//! use headwater_nats_store::{JetStreamStore, StoreConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?;
//! let store = JetStreamStore::open(connection, StoreConfig::new(Name::new("receipts")?)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! How an append is guarded, and what becomes of one whose acknowledgement is lost, is told in `append/settle.rs`; how
//! a history is loaded without a search, in `history/mod.rs`; what a stream must be like, in `stream/compare.rs`.
#![deny(missing_docs)]

mod api;
mod append;
mod backoff;
mod config;
mod error;
mod fetch;
mod history;
mod journal;
mod stats;
mod store;
mod stream;
mod subscribe;

pub use config::{Manage, Placement, StoreConfig};
pub use error::{OpenError, OpenErrorKind};
pub use stats::StoreStats;
pub use store::JetStreamStore;

/// The oldest server the store works with, as major and minor version: the first with atomic batches.
pub const MINIMUM_SERVER: (u64, u64) = (2, 12);
