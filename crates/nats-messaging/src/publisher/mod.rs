//! Publishing values: on top of the port, everything that a program wants besides handing bytes over.
//!
//! - [`Publisher`]: made by a [`PublisherBuilder`]; [`Publisher::publish`] waits until the message is stored,
//!   [`Publisher::enqueue`] goes on at once, with a bounded number of messages under way.
//! - [`Publishing`]: one message with its options.
//! - [`RetryPolicy`]: what is tried again, how often, and for how long.
//! - [`Report`]: what a hook is told of each message.
//!
//! ```
//! use std::sync::Arc;
//!
//! use headwater_nats_messaging::codec::Codecs;
//! use headwater_nats_messaging::envelope::Received;
//! use headwater_nats_messaging::memory::MemoryBroker;
//! use headwater_nats_messaging::publisher::Publisher;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! broker.stream("ORDERS", ["shop.orders.>"])?;
//! let publisher = Publisher::builder(Arc::new(broker.clone()), "/shop/till").prefix("shop").tenant("north").build()?;
//!
//! let stored = publisher.publish("orders.placed", &["tea"]).event_type("order-placed").await?;
//! assert_eq!((stored.stream.as_str(), stored.sequence), ("ORDERS", 1));
//!
//! for cup in 2..=100 {
//!     publisher.enqueue("orders.placed", &[cup]).await?;
//! }
//! publisher.close().await?;
//!
//! let messages = broker.messages("ORDERS");
//! assert_eq!((messages.len(), messages[0].subject.as_str()), (100, "shop.orders.placed"));
//! let received = Received::read(&messages[0])?;
//! let attributes = received.attributes().expect("it is in an envelope");
//! assert_eq!((&*attributes.event_type, attributes.tenant_id.as_deref()), ("order-placed", Some("north")));
//! assert_eq!(received.payload::<Vec<String>>(&Codecs::default())?, ["tea"]);
//! # Ok(())
//! # }
//! ```

mod attempts;
mod builder;
mod core;
mod error;
mod flush;
mod handle;
mod packing;
mod parcel;
mod pipeline;
mod publishing;
mod report;
mod retry;
mod telemetry;
mod trace;

pub use builder::{PublisherBuilder, SettingsError};
pub use error::PublisherError;
pub use flush::FlushError;
pub use handle::Publisher;
pub use pipeline::Receipt;
pub use publishing::Publishing;
pub use report::{Outcome, Report};
pub use retry::RetryPolicy;
