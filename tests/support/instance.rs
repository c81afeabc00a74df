//! An instance of the receipts service in this process, as `sample-receipts serve` makes it.

use headwater::Name;
use headwater::nats::connect::{Connection, Connections, NatsConfig};
use headwater::nats::discovery::EndpointStats;
use headwater::service::{RunningService, Service};
use headwater::store::{JetStreamSnapshots, JetStreamStore, SnapshotConfig, StoreConfig};
use headwater_testkit::FaultProxy;
use sample_receipts::domain::Receipt;
use sample_receipts::{SERVICE, VERSION};

use crate::Site;

/// A running instance with its two connections.
#[derive(Debug)]
pub struct Instance {
    /// The instance.
    pub service: RunningService,
    /// Callers' traffic on one, JetStream on the other.
    pub connections: Connections,
    /// The store it appends to.
    pub store: JetStreamStore,
}

type Tune = Box<dyn FnOnce(Service) -> Service + Send>;

/// Describes an instance; [`start`](Self::start) runs it.
#[must_use]
pub struct Starting<'a> {
    site: &'a Site,
    callers: NatsConfig,
    jetstream: NatsConfig,
    store: StoreConfig,
    tune: Vec<Tune>,
}

impl<'a> Starting<'a> {
    pub(crate) fn new(site: &'a Site) -> Self {
        let store = StoreConfig::new(Name::new(SERVICE).unwrap());
        Self { site, callers: site.config(), jetstream: site.config(), store, tune: Vec::new() }
    }

    /// Callers reach it through a proxy.
    pub fn callers_by(mut self, proxy: &FaultProxy) -> Self {
        self.callers = self.site.config_by(proxy);
        self
    }

    /// It reaches JetStream through a proxy.
    pub fn jetstream_by(mut self, proxy: &FaultProxy) -> Self {
        self.jetstream = self.site.config_by(proxy);
        self
    }

    /// Other settings of the store.
    pub fn store(mut self, set: impl FnOnce(StoreConfig) -> StoreConfig) -> Self {
        self.store = set(self.store);
        self
    }

    /// Other settings of the service.
    pub fn service(mut self, tune: impl FnOnce(Service) -> Service + Send + 'static) -> Self {
        self.tune.push(Box::new(tune));
        self
    }

    /// Starts it; requests are taken when this returns.
    pub async fn start(self) -> Instance {
        let (callers, jetstream) = (self.callers.name("callers"), self.jetstream.name("jetstream"));
        let (callers, jetstream) =
            tokio::try_join!(Connection::connect(&callers), Connection::connect(&jetstream)).unwrap();
        let snapshots = SnapshotConfig::beside(&self.store);
        let store = JetStreamStore::open(jetstream.clone(), self.store).await.unwrap();
        let snapshots = JetStreamSnapshots::open(jetstream.clone(), snapshots).await.unwrap();
        let service = Service::builder(SERVICE, VERSION)
            .description("Receipts: the worked example of Headwater")
            .aggregate::<Receipt>()
            .store(store.clone())
            .snapshots(snapshots);
        let service = self.tune.into_iter().fold(service, |service, tune| tune(service));
        let service = service.start(callers.clone()).await.unwrap();
        Instance { service, connections: Connections { callers, jetstream }, store }
    }
}

impl std::fmt::Debug for Starting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starting").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Instance {
    /// Its id in discovery.
    #[must_use]
    pub fn id(&self) -> &str {
        self.service.instance_id()
    }

    /// The statistics of one endpoint, such as `command-receipt-add-item`.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> EndpointStats {
        let endpoints = self.service.stats().endpoints;
        endpoints.into_iter().find(|endpoint| endpoint.name == name).unwrap_or_else(|| panic!("no endpoint {name}"))
    }
}
