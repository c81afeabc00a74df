//! The way to a Headwater service over NATS: calls, live events, discovery.
//!
//! [`NatsClient`] is a [`Transport`](headwater_core::call::Transport), so a typed client (the one that the aggregate
//! macro writes, or [`AggregateClient`](headwater_core::client::AggregateClient) by hand) takes it and does not know
//! the difference from a dispatcher in the same process:
//!
//! ```no_run
//! use bytes::Bytes;
//! use headwater_core::AggregateId;
//! use headwater_core::call::{CallOptions, CommandRequest, RequestMetadata, ReturnMode, Transport};
//! use headwater_nats::connect::NatsConfig;
//! use headwater_nats_client::NatsClient;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = NatsClient::connect(&NatsConfig::new("nats://localhost:4222"), "receipts").await?;
//!
//! // A typed client is `ReceiptClient::new(client)`; this is what it does beneath.
//! let request = CommandRequest {
//!     aggregate: AggregateId::new("receipt", "order-1")?,
//!     command: "add-item".into(),
//!     payload: Bytes::from_static(br#"{"name": "Coffee", "price": "5.99", "quantity": 2}"#),
//!     expected_revision: None,
//!     return_mode: ReturnMode::Entity,
//!     metadata: RequestMetadata::default(),
//! };
//! let reply = client.command(request, &CallOptions::default()).await?;
//! println!("{} is at revision {}", reply.aggregate, reply.revision);
//! # Ok(())
//! # }
//! ```
//!
//! What a call promises:
//!
//! - It ends: with a reply, or with an error within its timeout. When the connection drops, the calls under way do not
//!   wait for their time to run out.
//! - A command takes effect at most once however often it is tried, because every try carries the same command id.
//!   A command whose reply was lost is [`OutcomeUnknown`](headwater_core::call::CallError::OutcomeUnknown), never a failure.
//! - It is tried again only where the protocol says so; see [`RetryPolicy`].
//!
//! In reading order:
//!
//! - [`NatsClient`], [`NatsClientBuilder`]: the client and its settings.
//! - [`Credentials`]: how a client proves who it is.
//! - [`RetryPolicy`]: how often and how fast a call is tried again.
//! - [`discovery`]: who is there, what they offer, how they are doing.
//! - [`durable`]: the events of the journal, each handled at least once and in order.
#![deny(missing_docs)]

mod attempt;
mod call;
mod client;
mod credentials;
pub mod discovery;
pub mod durable;
mod live;
mod mailbox;
mod outgoing;
mod retry;
mod telemetry;
mod transport;

pub use client::{ClientError, NatsClient, NatsClientBuilder};
pub use credentials::{Credentials, TokenProvider};
pub use discovery::Discovery;
pub use headwater_nats::telemetry::{ReaderSpans, Telemetry};
pub use retry::RetryPolicy;
