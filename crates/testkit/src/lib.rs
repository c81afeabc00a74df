//! Finds, obtains and runs a real `nats-server` for development, tests and the sample's demo.
//!
//! A test asks for a server of its own and gets one on a free loopback port, with its own store, ready to take
//! requests. It is gone when the value is dropped, and its log is printed when the test fails:
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use headwater_testkit::TestServer;
//!
//! let server = TestServer::start().await;
//! let client = async_nats::connect(server.url()).await?;
//! client.flush().await?;
//! server.restart().await?; // the same port and the same store: clients reconnect
//! # Ok(())
//! # }
//! ```
//!
//! In reading order:
//!
//! - [`locate`]: where the binary comes from: a variable, the search path, a cache, or pip with pinned hashes.
//! - [`server`]: one server: start, kill, pause, restart, and never left behind.
//! - [`test_server`]: the one-line form for tests.
//!
//! Nothing here belongs in a service: the crate is for tests and for trying things out on one machine. Signals
//! (`pause`, `resume`, a gentle `stop`) need Unix.

pub mod locate;
pub mod server;
pub mod test_server;

mod http;
mod ports;

pub use locate::{LocateError, Locator, ServerBinary};
pub use server::{NatsServer, NatsServerBuilder, StartError};
pub use test_server::TestServer;
