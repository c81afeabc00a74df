//! What every transport must do, as tests: run them on yours.
//!
//! Each case is a test of its own, named as a sentence. In the tests of a transport:
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
//! The factory is called once for each case. Cases use stream names and subjects of their own, so that the transports may all
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
pub use suite::{Case, cases};
pub use under_test::{Streams, Transport, UnderTest};
