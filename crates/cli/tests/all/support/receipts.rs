//! A server with instances of the receipts service on it.

use headwater::Name;
use headwater::nats::connect::{Connection, NatsConfig};
use headwater::service::{RunningService, Service};
use headwater::store::{JetStreamStore, StoreConfig};
use headwater_testkit::TestServer;
use sample_receipts::domain::Receipt;
use sample_receipts::{SERVICE, VERSION};

use super::{Ended, program_at, run_at};

/// A server with instances of the receipts service on it, each with a connection of its own.
pub(crate) struct Receipts {
    pub(crate) server: TestServer,
    pub(crate) instances: Vec<(RunningService, Connection)>,
}

impl Receipts {
    /// Instances that take requests when this returns.
    pub(crate) async fn start(instances: usize) -> Self {
        let mut receipts = Self { server: TestServer::start().await, instances: Vec::new() };
        for _ in 0..instances {
            let instance = receipts.instance(VERSION).await;
            receipts.instances.push(instance);
        }
        receipts
    }

    /// One more instance, of this version.
    pub(crate) async fn instance(&self, version: &str) -> (RunningService, Connection) {
        self.instance_with(version, |service| service).await
    }

    /// One more instance, of this version and with settings of its own.
    pub(crate) async fn instance_with(
        &self,
        version: &str,
        tune: impl FnOnce(Service) -> Service,
    ) -> (RunningService, Connection) {
        let connection = Connection::connect(&NatsConfig::new(&self.url())).await.expect("the server is there");
        let config = StoreConfig::new(Name::new(SERVICE).expect("it is a name"));
        let store = JetStreamStore::open(connection.clone(), config).await.expect("the journal can be made");
        let service = Service::builder(SERVICE, version)
            .description("Receipts: the worked example of Headwater")
            .aggregate::<Receipt>()
            .store(store);
        (tune(service).start(connection.clone()).await.expect("the service starts"), connection)
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Runs the program against the server; `line` is parted by spaces.
    pub(crate) async fn run(&self, line: &str) -> Ended {
        run_at(&self.url(), line).await
    }

    /// The program, to be run against the server.
    pub(crate) fn program(&self, line: &str) -> tokio::process::Command {
        program_at(&self.url(), line)
    }

    /// Puts a piece on a receipt, by the program itself.
    pub(crate) async fn add(&self, id: &str, name: &str) {
        self.run(&format!("command send receipts receipt add-item {id} --data {}", item(name, 1))).await.done();
    }
}

/// The payload of `add-item`, without spaces.
pub(crate) fn item(name: &str, quantity: u64) -> String {
    format!(r#"{{"name":"{name}","price":"2.50","quantity":{quantity}}}"#)
}
