//! Runs a subscription: hands its messages to a handler, and tells the server what became of them.
//!
//! - So many messages at once as [`Processing::concurrency`] says, and in order [by key](Processing::in_order_by) when asked.
//! - The server hears that a message is being worked on as long as it is in hand, whether it is handled or waits.
//! - A handler that fails, panics or takes too long is tried again, with longer and longer pauses, counted by deliveries.
//!   After the last one the message goes to the [dead letters](crate::dead_letter).
//! - A message that a [layer](crate::layer) puts off waits in these hands, and that is no attempt. While as many wait as may be in
//!   hand nothing more is fetched.
//! - Nothing is acknowledged that was not handled: only what the handler said [`Done`](crate::router::handler::Outcome::Done)
//!   of, what the [inbox](crate::inbox) knows as handled, and what was redriven for another consumer.
//! - The server's own `max_deliver` drops a message without a word, so consumers are opened without it. What
//!   [`ConsumerConfig::max_deliver`](crate::consume::ConsumerConfig::max_deliver) says is taken for [`Retry::attempts`].
//! - A consumer that is gone is made anew, see [`health`](crate::health), and begins after the last message that was known to
//!   be acknowledged with all before it. What this processor handled since is known here and acknowledged when it comes again;
//!   what others handled since comes again, and is handled again unless an inbox knows it.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use futures_util::FutureExt;
//! use futures_util::future::BoxFuture;
//! use headwater_nats_messaging::consume::{ConsumerConfig, Delivery};
//! use headwater_nats_messaging::memory::MemoryBroker;
//! use headwater_nats_messaging::message::Message;
//! use headwater_nats_messaging::processing::{Processing, Processor};
//! use headwater_nats_messaging::publish::Publish;
//! use headwater_nats_messaging::router::handler::{EventHandler, Outcome};
//!
//! struct Mailer;
//!
//! impl EventHandler for Mailer {
//!     fn handle(&self, delivery: Arc<Delivery>) -> BoxFuture<'static, Outcome> {
//!         async move {
//!             println!("{}", delivery.message.subject);
//!             Outcome::Done
//!         }
//!         .boxed()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! broker.stream("ORDERS", ["orders.>"])?;
//! broker.send(Message::new("orders.placed", "{}"), tokio::time::Instant::now()).await?.await?;
//!
//! let config = ConsumerConfig::new("ORDERS", "mailer");
//! let running = Processor::new(broker, config, Mailer).settings(Processing::default().concurrency(4)).start().await?;
//! # while running.stats().handled == 0 { tokio::task::yield_now().await; }
//! let report = running.shutdown(Duration::from_secs(10)).await;
//! assert!(report.is_clean() && report.stats.handled == 1);
//! # Ok(())
//! # }
//! ```

mod actor;
mod closing;
mod finished;
mod hand;
mod key;
mod opening;
mod processor;
mod retry;
mod settings;
mod stats;
mod table;
mod telemetry;
mod work;

pub use key::Key;
pub use processor::{Processor, RunningProcessor};
pub use retry::Retry;
pub use settings::{AfterLast, Processing};
pub use stats::{ProcessingStats, ShutdownReport};
