//! The receipts service on Headwater, as a user would run it: two connections, the store on JetStream, defaults.

use std::time::Duration;

use headwater::Name;
use headwater::nats::connect::{Connections, NatsConfig};
use headwater::service::{Limits, Service};
use headwater::store::{JetStreamSnapshots, JetStreamStore, SnapshotConfig, StoreConfig};
use sample_receipts::domain::Receipt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Features, serve_until_told};
use crate::Fallible;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ours {
    pub(crate) url: String,
    pub(crate) service: String,
    pub(crate) replicas: u8,
    /// Whether receipts stay in memory. Without, every call loads its receipt.
    pub(crate) cache: bool,
    /// For how long a receipt in memory is shown without asking the journal whether it is the newest, in milliseconds.
    pub(crate) staleness: u64,
    /// Whether snapshots are kept.
    pub(crate) snapshots: bool,
    /// How many commands may be under way, instead of the default.
    pub(crate) in_flight: Option<usize>,
    /// Every feature is on.
    pub(crate) features: Option<Features>,
}

/// Keeps no receipt: each weighs more.
const NO_CACHE: u64 = 1;

impl Ours {
    pub(super) async fn run(self) -> Fallible<Value> {
        let connections = Connections::connect(&NatsConfig::new(&self.url).name(self.service.clone())).await?;
        let config = StoreConfig::new(Name::new(self.service.clone())?).replicas(self.replicas);
        let beside = SnapshotConfig::beside(&config);
        let store = JetStreamStore::open(connections.jetstream.clone(), config).await?;
        let mut service = Service::builder(self.service, "1.0.0").aggregate::<Receipt>().store(store.clone());
        if self.snapshots {
            service = service.snapshots(JetStreamSnapshots::open(connections.jetstream.clone(), beside).await?);
        }
        if !self.cache {
            service = service.cache_bytes(NO_CACHE);
        }
        if let Some(places) = self.in_flight {
            service = service.limits(Limits::default().in_flight(places));
        }
        service = service.query_staleness(Duration::from_millis(self.staleness));
        let mut telemetry = None;
        if let Some(features) = &self.features {
            let (featured, recording) = features.switch_on(service)?;
            (service, telemetry) = (featured, Some(recording));
        }
        let running = service.start(connections.callers.clone()).await?;
        serve_until_told().await?;
        running.drain().await;
        if let Some(recording) = telemetry {
            recording.shutdown(Duration::from_secs(5))?;
        }
        Ok(json!({ "dispatcher": running.dispatcher().stats(), "store": store.stats() }))
    }
}
