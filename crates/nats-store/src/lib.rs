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
//! [`JetStreamSnapshots`] keeps the snapshots of its aggregates in a key-value bucket beside it.
//!
//! What it promises, and the test that shows it:
//!
//! | promise | test |
//! |---|---|
//! | what the port promises, on one server and on a replicated journal | `tests/all/conformance.rs`, `tests/all/cluster.rs` |
//! | a stream that could lose or change events is refused, by the name of the field | `tests/all/stream.rs` |
//! | a confirmed event is stored once, over `kill -9` too; a refused one is not stored later | `tests/all/faults.rs` |
//! | a lost acknowledgement is settled as what it was, or called unknown | `tests/all/faults.rs` |
//! | a gap or a foreign message in a history is an error with aggregate and revision | `tests/all/stored.rs` |
//! | a subscription has no gaps, over restarts and dropped connections | `tests/all/faults.rs` |
//! | appends that share a batch are each whole, and one that is refused holds up no other | `tests/all/group.rs` |
//! | a cold load with a snapshot takes a constant number of messages; a bad snapshot changes nothing | `tests/all/snapshots.rs` |
//!
//! How an append is settled is told in `append/settle.rs`; when appends share a batch, in `group/mod.rs`; how a history is loaded without a search, in
//! `history/mod.rs`; what a stream must be like, in `stream/compare.rs`.
//!
//! Limits: an append holds at most 1000 events and 8 MiB. An append that was stored before is recognised while its id
//! is in the stream's duplicate window, or when its head is where the history ended before it was stored.
#![deny(missing_docs)]

mod api;
mod append;
mod backoff;
mod config;
mod error;
mod fetch;
mod group;
mod history;
mod inspect;
mod journal;
mod snapshots;
mod stats;
mod store;
mod stream;
mod subscribe;

pub use config::{CommitMode, Manage, Placement, StoreConfig};
pub use error::{OpenError, OpenErrorKind};
pub use inspect::{JournalFault, inspect_journal};
pub use snapshots::{JetStreamSnapshots, SnapshotConfig};
pub use stats::{GroupStats, StoreStats};
pub use store::JetStreamStore;

/// The oldest server the store works with, as major, minor and patch version: the first whose atomic batches take message ids.
pub const MINIMUM_SERVER: (u64, u64, u64) = (2, 12, 1);
