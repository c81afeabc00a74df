//! What every transport must do, as tests: run them on yours.
//!
//! A transport is whatever implements [`Publish`](crate::publish::Publish), [`Consume`](crate::consume::Consume) and
//! [`Exchange`](crate::exchange::Exchange). The suite wants one, and somebody who declares [`Streams`] for it. In its tests,
//! with `headwater-nats-messaging = { version = "…", features = ["conformance"] }` among the dev-dependencies:
//!
//! ```no_run
//! use headwater_nats_messaging::conformance::{self, UnderTest};
//! # use headwater_nats_messaging::memory::MemoryBroker as MyBroker;
//!
//! # async fn test() {
//! // #[tokio::test]
//! // async fn my_broker_does_what_every_transport_must() {
//! let broker = MyBroker::new();
//! conformance::run(UnderTest::new(broker.clone(), broker)).await;
//! # }
//! ```
//!
//! The streams may be declared by something else than the transport, which itself makes none:
//!
//! ```
//! use std::time::Duration;
//!
//! use futures_util::future::BoxFuture;
//! use headwater_nats_messaging::conformance::Streams;
//! # use headwater_nats_messaging::memory::{MemoryBroker, MemoryStream};
//! # struct Admin(MemoryBroker);
//! # impl Admin {
//! #     async fn make(&self, stream: MemoryStream) { self.0.declare(stream).unwrap(); }
//! #     async fn unmake(&self, stream: &str, consumer: &str) { assert!(self.0.delete_consumer(stream, consumer)); }
//! # }
//!
//! impl Streams for Admin {
//!     fn declare(&self, name: String, subjects: Vec<String>, duplicate_window: Duration) -> BoxFuture<'_, ()> {
//!         Box::pin(async move { self.make(MemoryStream { duplicate_window, ..MemoryStream::new(name, subjects) }).await })
//!     }
//!
//!     fn delete_consumer(&self, stream: String, consumer: String) -> BoxFuture<'_, ()> {
//!         Box::pin(async move { self.unmake(&stream, &consumer).await })
//!     }
//! }
//! ```
//!
//! [`transport_conformance!`](crate::transport_conformance) makes a test of its own of each case, named as a sentence:
//!
//! ```
//! # use headwater_nats_messaging::memory::MemoryBroker;
//! # use headwater_nats_messaging::conformance::UnderTest;
//! headwater_nats_messaging::transport_conformance!(|| async {
//!     let broker = MemoryBroker::new();
//!     UnderTest::new(broker.clone(), broker)
//! });
//! # fn main() {}
//! ```
//!
//! The factory is called once for each case, and [`run`] runs all of them on one transport. Cases use stream names and subjects of their own, so that the transports may all
//! stand on one server. What has to live as long as the transport goes along with [`UnderTest::keeping`].
//!
//! The suite needs a transport in good health; what it does when its server dies is a matter for its own tests.

mod acknowledge;
mod consume;
mod exchange;
mod publish;
mod settings;
mod suite;
mod trial;
mod under_test;

#[doc(hidden)]
pub use suite::run_blocking;
pub use suite::{Case, cases, run};
pub use under_test::{Streams, Transport, UnderTest};
