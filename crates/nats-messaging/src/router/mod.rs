//! Handlers of events and requests by subject: plain async functions that say by their parameters what they want.
//!
//! - [`Router`]: handlers put together and [started](Router::start) on a broker; [`Running`] until it is shut down.
//! - [`Route`], [`Group`], [`Stream`]: settings of single handlers, of patterns that share a consumer, of streams.
//! - [`Handler`]: what a handler may look like. It takes [`Payload`], [`Context`], [`State`] and whatever else is [`FromMessage`];
//!   it returns what becomes an [`Outcome`] or a [`Reply`].
//! - [`Pattern`], [`Tree`]: subjects with wildcards, and how they are found.
//! - [`ask`], [`ask_in`]: the other end of a request.
//!
//! ```
//! use std::time::Duration;
//!
//! use headwater_nats_messaging::memory::MemoryBroker;
//! use headwater_nats_messaging::message::Message;
//! use headwater_nats_messaging::publish::Publish;
//! use headwater_nats_messaging::router::{Context, Payload, Router, Shutdown, State};
//! use tokio::sync::mpsc;
//! use tokio::time::Instant;
//!
//! #[derive(serde::Deserialize)]
//! struct Price {
//!     amount: u64,
//! }
//!
//! async fn priced(Payload(price): Payload<Price>, context: Context, State(prices): State<mpsc::Sender<String>>) {
//!     let of = context.wildcard(0).unwrap_or_default();
//!     prices.send(format!("{of} costs {}", price.amount)).await.ok();
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! broker.stream("ORDERS", ["orders.>"])?;
//! let (sender, mut prices) = mpsc::channel(1);
//!
//! let router = Router::new().service("shop").on_event("orders.price.*", priced).with_state(sender);
//! let running = router.start(broker.clone()).await?;
//!
//! let deadline = Instant::now() + Duration::from_secs(1);
//! broker.send(Message::new("orders.price.tea", r#"{"amount":7}"#), deadline).await?.await?;
//! assert_eq!(prices.recv().await.as_deref(), Some("tea costs 7"));
//! assert_eq!(running.shutdown(Duration::from_secs(10)).await, Shutdown::Finished);
//! # Ok(())
//! # }
//! ```

mod answer;
mod asking;
mod context;
mod dispatch;
mod endpoint;
mod extract;
mod function;
pub mod handler;
mod handlers;
mod layers;
mod limits;
mod naming;
mod opened;
mod pattern;
mod payload;
mod plan;
mod requests;
mod route;
#[expect(clippy::module_inception, reason = "the file is named after its idea")]
mod router;
mod running;
mod settings;
mod start;
mod telemetry;
mod tree;

pub use answer::{Answer, IntoOutcome, IntoReply, Poison, Reply, RetryAfter};
pub use asking::{AskError, ask, ask_in};
pub use context::Context;
pub use extract::{Extension, FromMessage, FromState, Headers, Json, MessageId, Payload, State, Subject};
pub use function::{Handler, fits};
pub use handler::{EventHandler, Outcome};
pub use layers::Next;
pub use naming::ConsumerOf;
pub use pattern::{Pattern, PatternError};
pub use route::Route;
pub use router::Router;
pub use running::{Running, Shutdown};
pub use settings::{Group, Stream};
pub use start::{Problem, StartError};
pub use tree::Tree;
