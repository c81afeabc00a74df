//! Instances of the receipts service in this process.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use headwater::Name;
use headwater::evolution::Compatibility;
use headwater::nats::connect::{Connections, NatsConfig};
use headwater::service::{Probes, ProbesConfig, RunningService, Service, ServiceConfig, Stopped};
use headwater::store::{JetStreamSnapshots, JetStreamStore, MemoryStore, SnapshotConfig, StoreConfig};
use headwater::telemetry::Running as Telemetry;
use sample_receipts::domain::Receipt;
use sample_receipts::{SERVICE, VERSION};

use crate::arguments::FeatureArguments;
use crate::complaint::Complaint;
use crate::{connect, schema_lock};

/// How long draining waits for what is under way.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// How long the connections wait for the server to have taken everything.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Where the events of all instances are kept.
pub(crate) enum Journal {
    /// In a JetStream stream that so many servers keep; each instance has a connection for it.
    JetStream { replicas: u8 },
    /// In the memory of this process.
    Memory(MemoryStore),
}

/// How the instances are run.
pub(crate) struct Plan {
    pub(crate) instances: usize,
    pub(crate) queue_group: Option<String>,
    pub(crate) journal: Journal,
    /// Where the first instance answers probes.
    pub(crate) probes: Option<SocketAddr>,
    /// What records traces and metrics.
    pub(crate) telemetry: Option<Telemetry>,
    /// What the configuration says of the service, without connections and probes.
    pub(crate) configuration: ServiceConfig,
    pub(crate) features: FeatureArguments,
}

/// One instance with its connections.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) service: RunningService,
    connections: Connections,
}

/// Starts the instances; when this returns, all of them take requests.
pub(crate) async fn start(config: &NatsConfig, plan: &Plan) -> Result<Vec<Running>, Complaint> {
    let mut running = Vec::with_capacity(plan.instances);
    for number in 0..plan.instances {
        match start_one(config, plan, number).await {
            Ok(instance) => running.push(instance),
            Err(complaint) => {
                drain(running).await;
                return Err(complaint);
            }
        }
    }
    Ok(running)
}

async fn start_one(config: &NatsConfig, plan: &Plan, number: usize) -> Result<Running, Complaint> {
    let config = config.clone().name(SERVICE);
    let connections =
        Connections::connect(&config).await.map_err(|error| connect::unconnected(error.kind(), &error))?;
    let mut service = Service::builder(SERVICE, VERSION)
        .description("Receipts: the worked example of Headwater")
        .aggregate::<Receipt>()
        .schema_lock(schema_lock::released()?, Compatibility::Full)
        .drain_timeout(DRAIN_WITHIN)
        .configure(plan.configuration.clone());
    service = plan.features.switch_on(service);
    if let Some(telemetry) = &plan.telemetry {
        // What the configuration says of telemetry goes with what was set up for the whole program.
        service = service.telemetry(match &plan.configuration.telemetry {
            Some(configured) => telemetry.recording_with(configured.clone()),
            None => telemetry.settings(),
        });
    }
    if let Some(group) = &plan.queue_group {
        service = service.queue_group(group);
    }
    if let Some(first) = plan.probes {
        let mut probes = Probes::at(probes_of(first, number)?);
        if let Some(telemetry) = &plan.telemetry {
            probes = probes.metrics(telemetry.metrics_page());
        }
        service = service.probes(match plan.journal {
            Journal::JetStream { .. } => probes.journal_connection(connections.jetstream.clone()),
            Journal::Memory(_) => probes,
        });
    }
    let service = match &plan.journal {
        Journal::Memory(store) => service.store(store.clone()),
        Journal::JetStream { replicas } => {
            let name = Name::new(SERVICE).expect("the name of the service is a name");
            let journal = StoreConfig::new(name).replicas(*replicas);
            let snapshots = SnapshotConfig::beside(&journal);
            let store = JetStreamStore::open(connections.jetstream.clone(), journal).await;
            let store = store.map_err(|error| Complaint::new("the journal cannot be opened", &error))?;
            let snapshots = JetStreamSnapshots::open(connections.jetstream.clone(), snapshots).await;
            let snapshots = snapshots.map_err(|error| Complaint::new("the snapshots cannot be opened", &error))?;
            service.store(store).snapshots(snapshots)
        }
    };
    let service = service.start(connections.callers.clone()).await;
    let service = service.map_err(|error| Complaint::new("the service cannot be started", &error))?;
    Ok(Running { service, connections })
}

/// Where the first instance answers probes: what the command line says, else what the configuration does.
pub(crate) fn probes_at(
    argument: Option<SocketAddr>,
    configured: Option<ProbesConfig>,
) -> Result<Option<SocketAddr>, Complaint> {
    let (None, Some(ProbesConfig { address })) = (argument, configured) else { return Ok(argument) };
    let wrong = |_| Complaint::Failed(format!("probes.address `{address}`: must be an IP address and a port"));
    address.parse().map(Some).map_err(wrong)
}

/// Where the instance with this number answers probes: one port after the other, or each at a free one.
fn probes_of(first: SocketAddr, number: usize) -> Result<SocketAddr, Complaint> {
    if first.port() == 0 {
        return Ok(first);
    }
    let port = u16::try_from(number).ok().and_then(|number| first.port().checked_add(number));
    let port =
        port.ok_or_else(|| Complaint::Failed(format!("there are not enough ports after {first} for the probes")));
    Ok(SocketAddr::new(first.ip(), port?))
}

/// Waits until one of the instances has ended by itself, which none should.
pub(crate) async fn any_stopped(running: &[Running]) -> Stopped {
    let all = running.iter().map(|instance| Box::pin(instance.service.stopped()));
    futures_util::future::select_all(all).await.0
}

/// Drains all instances at once: nothing more is taken on, and what was accepted is answered. What they have counted can
/// still be asked of them afterwards.
pub(crate) async fn drain(running: Vec<Running>) -> Vec<RunningService> {
    join_all(running.into_iter().map(|Running { service, connections }| async move {
        let stopped = service.drain().await;
        tracing::info!(instance = service.instance_id(), ?stopped, "drained");
        if let Err(error) = connections.drain(FLUSH_WITHIN).await {
            tracing::warn!(%error, "the connections were closed without a confirmation that everything arrived");
        }
        service
    }))
    .await
}
