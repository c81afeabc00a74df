//! The service, until it is asked to stop.

use headwater::service::Stopped;
use headwater::store::MemoryStore;
use sample_receipts::{SERVICE, VERSION};

use crate::arguments::{ServeArguments, StoreChoice};
use crate::complaint::Complaint;
use crate::output::Output;
use crate::service::{self, Journal, Plan, Running};
use crate::{configuration, connect, show, signals, telemetry};

/// Runs the service until SIGINT or SIGTERM, then drains it.
pub(crate) async fn run(arguments: ServeArguments, output: &mut Output) -> Result<(), Complaint> {
    telemetry::log_to_standard_error(arguments.log_format);
    // From here on a signal means "drain", also while starting.
    let stop = signals::stop_requested().map_err(|error| Complaint::new("signals cannot be caught", &error))?;
    tokio::pin!(stop);
    let ServeArguments { nats, instances, queue_group, store, replicas, probes, telemetry, features, .. } = arguments;
    let mut configuration = configuration::read(nats.config.as_deref())?;
    let telemetry = (telemetry || configuration.telemetry.is_some()).then(telemetry::start).transpose()?;
    let config = connect::config_over(configuration.nats.take().unwrap_or_default(), &nats)?;
    let probes = service::probes_at(probes, configuration.probes.take())?;
    let journal = match store {
        StoreChoice::Jetstream => Journal::JetStream { replicas },
        StoreChoice::Memory => Journal::Memory(MemoryStore::new()),
    };
    let plan = Plan { instances: instances.get(), queue_group, journal, probes, telemetry, configuration, features };
    let running = tokio::select! {
        running = service::start(&config, &plan) => running?,
        _ = &mut stop => return Ok(()),
    };
    let told = output.line(ready(&running, store, &connect::servers(&config)));
    let end = match told {
        Err(error) => Err(error.into()),
        Ok(()) => tokio::select! {
            signal = &mut stop => {
                tracing::info!(?signal, "draining");
                Ok(())
            }
            stopped = service::any_stopped(&running) => Err(ended(&stopped)),
        },
    };
    // Kept until their numbers were sent.
    let _drained = service::drain(running).await;
    if let Some(recording) = plan.telemetry {
        telemetry::end(recording).await;
    }
    end
}

/// The line that says requests are taken: which service, how, and where.
fn ready(running: &[Running], store: StoreChoice, servers: &str) -> String {
    let instances = show::counted(running.len() as u64, "instance");
    let first = running.first();
    let group =
        first.and_then(|instance| instance.service.info().endpoints.first()).map(|endpoint| &endpoint.queue_group);
    let group = group.map_or("", String::as_str);
    let probes: Vec<_> = running.iter().filter_map(|instance| instance.service.probes_address()).collect();
    let probes: String = probes.iter().map(|address| format!(", probes at http://{address}")).collect();
    format!("ready: {SERVICE} {VERSION}, {instances}, queue group {group}, store {}, {servers}{probes}", store.as_str())
}

fn ended(stopped: &Stopped) -> Complaint {
    let why = match stopped {
        Stopped::ConnectionLost => "its connection was closed and could not be made anew",
        _ => "it was stopped",
    };
    Complaint::Failed(format!("an instance of the service has ended: {why}"))
}
