//! Routers in memory and on a server: the same behaviour on both.

mod auth;
mod circuits;
mod events;
mod families;
mod flood;
mod rate_limits;
mod requests;
mod starting;
mod telemetry;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_nats_messaging::archive::Archive;
use headwater_nats_messaging::consume::Consume;
use headwater_nats_messaging::exchange::Exchange;
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::processing::{Processing, Retry};
use headwater_nats_messaging::publish::Publish;
use headwater_testkit::TestServer;

use crate::support::{PATIENCE, Raw, jetstream};

/// All ports.
trait Broker: Publish + Consume + Exchange + Archive + Clone {}

impl<B: Publish + Consume + Exchange + Archive + Clone> Broker for B {}

/// The streams that the tests read.
const STREAMS: [(&str, &[&str]); 3] =
    [("ORDERS", &["orders.>"]), ("AGENT_EVENTS", &["agent.>", "workflow.>"]), ("DEAD", &["dead.>"])];

fn memory() -> MemoryBroker {
    let broker = MemoryBroker::new();
    for (name, subjects) in STREAMS {
        broker.stream(name, subjects.iter().copied()).unwrap();
    }
    broker
}

async fn server() -> (TestServer, JetStream) {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    for (name, subjects) in STREAMS {
        raw.declare(name, subjects).await;
    }
    let jetstream = jetstream(&server).await;
    (server, jetstream)
}

/// Runs scenarios on both brokers; those of one call share a server, so each has subjects of its own.
macro_rules! on_both {
    ($name:ident: $($scenario:ident),+ $(,)?) => {
        mod $name {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(crate::router::memory()).await;
            })+

            #[tokio::test]
            async fn on_a_server() {
                let (_server, jetstream) = crate::router::server().await;
                $(super::$scenario(jetstream.clone()).await;)+
            }
        }
    };
}
use on_both;

/// What handlers note.
#[derive(Debug, Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until so many things are noted, and returns them.
    async fn wait(&self, count: usize) -> Vec<String> {
        headwater_testkit::wait_until(PATIENCE, "a handler notes what it was given", async || {
            (self.all().len() >= count).then_some(())
        })
        .await;
        self.all()
    }
}

/// Retries that a test need not wait for.
fn quick() -> Processing {
    Processing::default().retry(Retry::default().attempts(3).first(Duration::from_millis(10)))
}
