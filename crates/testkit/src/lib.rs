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
//! - [`cluster`]: several servers that form one cluster.
//! - [`wait`]: waiting for something with a deadline.
//! - [`raw_client`]: frames that a decent client refuses to send.
//! - [`fault_proxy`]: a network that misbehaves when told to.
//! - [`conformance`]: what every event store and every snapshot store must do, as tests to run on yours.
//!
//! Nothing here belongs in a service: the crate is for tests and for trying things out on one machine. Signals
//! (`pause`, `resume`, a gentle `stop`) need Unix.

pub mod cluster;
pub mod conformance;
pub mod fault_proxy;
pub mod locate;
pub mod raw_client;
pub mod server;
pub mod test_server;
pub mod wait;

mod frames;
mod http;
mod known;
mod ports;

pub use cluster::{ClusterError, NatsCluster, NatsClusterBuilder};
pub use fault_proxy::{Direction, FaultProxy};
pub use known::known_to_server;
pub use locate::{LocateError, Locator, ServerBinary};
pub use raw_client::{RawClient, RawMessage, header_block};
pub use server::{NatsServer, NatsServerBuilder, StartError};
pub use test_server::TestServer;
pub use wait::{NotInTime, try_wait_until, wait_until};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn assert_send<T: Send>(_: T) {}

    /// Tests start servers from spawned tasks, so what they await must be able to move between threads.
    #[test]
    fn everything_awaited_can_run_on_a_spawned_task() {
        assert_send(TestServer::start());
        assert_send(NatsCluster::start());
        assert_send(wait_until(Duration::ZERO, "something", async || Some(1)));
        assert_send(FaultProxy::start(([127, 0, 0, 1], 1).into()));
        assert_send(RawClient::connect(([127, 0, 0, 1], 1).into()));
    }
}
