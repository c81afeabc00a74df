//! Headwater: event-sourced services on NATS.
//!
//! Describe an aggregate once. From the description come a service that other programs can find
//! and call, a durable journal in JetStream, and a typed client that mirrors it. Without a server
//! the same description and the same client run in one process:
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use headwater::dispatch::Dispatcher;
//! use headwater::store::MemoryStore;
//! use headwater::{AggregateId, Command, Event, Rejection, aggregate};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! // The state: what queries and replies show.
//! #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
//! pub struct Account {
//!     balance: u64,
//! }
//!
//! // A command is an order, an event is what happened, a rejection is the domain's no.
//! #[derive(Command, Serialize, Deserialize, JsonSchema)]
//! pub struct Withdraw {
//!     amount: u64,
//! }
//!
//! #[derive(Command, Serialize, Deserialize, JsonSchema)]
//! pub struct Deposit {
//!     amount: u64,
//! }
//!
//! #[derive(Clone, Event)]
//! pub enum AccountEvent {
//!     Deposited { amount: u64 },
//!     Withdrawn { amount: u64 },
//! }
//!
//! #[derive(Debug, Clone, PartialEq, thiserror::Error, Rejection)]
//! pub enum AccountRejection {
//!     #[error("{missing} is missing")]
//!     NotEnough { missing: u64 },
//! }
//!
//! #[aggregate(type = "account", event = AccountEvent, rejection = AccountRejection, client = AccountClient)]
//! impl Account {
//!     fn init(_: &AggregateId) -> Self {
//!         Self { balance: 0 }
//!     }
//!
//!     fn evolve(&mut self, event: &AccountEvent) {
//!         match event {
//!             AccountEvent::Deposited { amount } => self.balance += amount,
//!             AccountEvent::Withdrawn { amount } => self.balance -= amount,
//!         }
//!     }
//!
//!     #[command]
//!     fn deposit(&self, command: Deposit) -> Result<AccountEvent, AccountRejection> {
//!         Ok(AccountEvent::Deposited { amount: command.amount })
//!     }
//!
//!     /// Takes money out, as long as there is enough.
//!     #[command]
//!     fn withdraw(&self, command: Withdraw) -> Result<AccountEvent, AccountRejection> {
//!         match command.amount.checked_sub(self.balance) {
//!             Some(missing) if missing > 0 => Err(AccountRejection::NotEnough { missing }),
//!             _ => Ok(AccountEvent::Withdrawn { amount: command.amount }),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let accounts = AccountClient::new(Dispatcher::builder(MemoryStore::new()).aggregate::<Account>().build()?);
//!
//! accounts.deposit("ann", Deposit { amount: 50 }).await?;
//! let refused = accounts.withdraw("ann", Withdraw { amount: 70 }).await.unwrap_err();
//! assert_eq!(refused.rejection(), Some(&AccountRejection::NotEnough { missing: 20 }));
//!
//! let withdrawn = accounts.withdraw("ann", Withdraw { amount: 30 }).await?;
//! assert_eq!((withdrawn.state.balance, withdrawn.revision.get()), (20, 2));
//! # Ok(())
//! # }
//! ```
//!
//! The macros only write what a person could: `examples/by_hand.rs` is this aggregate without
//! them, and `examples/with_macros.rs` the same once more.
//!
//! # Where things are
//!
//! | here | what |
//! |---|---|
//! | the root | the words: aggregates, commands, events, rejections, queries, ids, revisions, descriptions |
//! | [`dispatch`] | commands run in process, against any event store |
//! | [`client`] | typed clients, and the client of a service on NATS |
//! | [`store`] | the event store port, the store in memory, the store on JetStream |
//! | [`scenario`] | given / when / then, for tests of the domain |
//! | [`evolution`] | today's code checked against what released versions promised |
//! | [`call`], [`description`], [`schema`] | what is beneath: calls and transports, descriptions, JSON Schemas |
#![cfg_attr(feature = "nats", doc = "| [`service`] | a service on NATS |")]
#![cfg_attr(feature = "nats", doc = "| [`nats`] | connecting, and the wire protocol |")]
#![cfg_attr(
    feature = "messaging",
    doc = "| [`messaging`] | publishers, durable consumers, routers, dead letters, declared streams |"
)]
#![cfg_attr(feature = "telemetry", doc = "| [`telemetry`] | OpenTelemetry's SDK set up for a program |")]
//!
//! # Features
//!
//! | feature | what | by default |
//! |---|---|---|
//! | `macros` | the derives and `#[aggregate(…)]` | on |
//! | `nats` | `service`, `nats`, and the NATS parts of `client` and `store` | on |
//! | `messaging` | `messaging`: messages that are no aggregate's journal | off |
//! | `msgpack` | `messaging`, with MessagePack among its codecs: `messaging::codec::MessagePack` | off |
//! | `protobuf` | `messaging`, with messages of Protocol Buffers: `messaging::codec::Proto` | off |
//! | `telemetry` | `telemetry`: OpenTelemetry's SDK set up for a program | off |
#![deny(missing_docs)]

#[doc(hidden)]
pub use headwater_core::__private;
pub use headwater_core::{
    Aggregate, AggregateId, AggregateType, Answer, Clock, Command, CommandContext, CommandId, Contract, Decide,
    DecodeError, Describe, DescribeError, Described, Event, EventId, EventType, Failure, FailureCode, Handle,
    HandleError, IdError, IntoEvents, InvalidAggregateId, JSON, MAX_ID_LENGTH, MAX_METADATA_LENGTH, MAX_NAME_LENGTH,
    Metadata, Name, NameError, NeverRejected, NewEvent, Query, RecordedEvent, Rejection, RejectionType, Revision,
    Scenario, Sequence, SystemClock, UpcastEvent, Upcasters, Violation, is_name,
};
pub use headwater_core::{call, description, dispatch, evolution, scenario, schema};
#[cfg(feature = "macros")]
pub use headwater_macros::{Command, Event, Query, Rejection, aggregate};
#[cfg(feature = "nats")]
pub use headwater_nats as nats;
#[cfg(feature = "messaging")]
pub use headwater_nats_messaging as messaging;
#[cfg(feature = "nats")]
pub use headwater_nats_service as service;
#[cfg(feature = "telemetry")]
pub use headwater_telemetry as telemetry;

/// Typed clients over any transport, and the transport over NATS.
pub mod client {
    pub use headwater_core::client::*;
    #[cfg(feature = "nats")]
    pub use headwater_nats_client::*;
}

/// The event store port, the store in memory, and the store on JetStream.
pub mod store {
    pub use headwater_core::store::*;
    #[cfg(feature = "nats")]
    pub use headwater_nats_store::*;
}

/// The README's example is a test too.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The examples of the macros are tests too.
#[cfg(all(doctest, feature = "macros"))]
mod documented {
    #[doc = include_str!("../../macros/docs/aggregate.md")]
    struct Aggregate;
    #[doc = include_str!("../../macros/docs/command.md")]
    struct Command;
    #[doc = include_str!("../../macros/docs/event.md")]
    struct Event;
    #[cfg(feature = "messaging")]
    #[doc = include_str!("../../macros/docs/event_family.md")]
    struct EventFamily;
    #[doc = include_str!("../../macros/docs/query.md")]
    struct Query;
    #[doc = include_str!("../../macros/docs/rejection.md")]
    struct Rejection;
}
#[cfg(all(doctest, feature = "macros"))]
mod refused;
