//! Where the demo plays: with a server and two instances of the service, or all in this process.

use std::io;

use headwater::client::NatsClient;
use headwater::dispatch::Dispatcher;
use headwater::nats::connect::NatsConfig;
use headwater::service::ServiceConfig;
use headwater::store::MemoryStore;
use headwater::telemetry::Running as Telemetry;
use headwater_testkit::NatsServer;
use opentelemetry::Context;
use opentelemetry::trace::SpanKind;
use sample_receipts::SERVICE;
use sample_receipts::domain::{Receipt, ReceiptClient};

use super::stage::Stage;
use crate::arguments::FeatureArguments;
use crate::complaint::Complaint;
use crate::output::note;
use crate::service::{self, Journal, Plan, Running};
use crate::telemetry;

/// The client's name in traces.
const CLIENT: &str = "receipts-demo";

/// How many instances of the service the demo runs.
pub(super) const INSTANCES: usize = 2;

/// The one thing that differs between the two ways to play the demo.
#[derive(Debug)]
pub(super) enum World {
    /// The client calls the dispatcher, and events are kept in memory.
    InProcess(Dispatcher),
    /// The client calls instances of the service over a server of our own.
    Nats(Box<Nats>),
}

/// A server, instances of the service on it, and a client of theirs.
#[derive(Debug)]
pub(super) struct Nats {
    /// First, so that the services are gone before the server they talk to.
    running: Vec<Running>,
    pub(super) client: NatsClient,
    recording: Option<Recording>,
    server: NatsServer,
}

/// The demo as one trace: what the service does in it, and what its client.
#[derive(Debug)]
struct Recording {
    service: Option<Telemetry>,
    client: Telemetry,
    /// The span that everything is beneath.
    whole: Context,
}

impl Recording {
    fn start() -> Result<Self, Complaint> {
        let (service, client) = (telemetry::start_for_demo(SERVICE)?, telemetry::start_for_demo(CLIENT)?);
        let whole = client.settings().recorder().begin("demo", SpanKind::Internal, &Context::new()).unwrap_or_default();
        Ok(Self { service: Some(service), client, whole })
    }

    async fn end(self) {
        let Self { service, client, whole } = self;
        // Its span ends with it.
        drop(whole);
        for recording in service.into_iter().chain([client]) {
            telemetry::end(recording).await;
        }
    }
}

impl World {
    pub(super) fn in_process() -> Result<Self, Complaint> {
        let dispatcher = Dispatcher::builder(MemoryStore::new()).aggregate::<Receipt>().build();
        let dispatcher = dispatcher.map_err(|error| Complaint::new("the receipt cannot be served", &error))?;
        Ok(Self::InProcess(dispatcher))
    }

    pub(super) async fn with_server(as_one_trace: bool) -> Result<Self, Complaint> {
        let server = NatsServer::builder().on_progress(|progress| note(&progress.to_string()));
        let server = server.start().await.map_err(|error| no_server(&error))?;
        let config = NatsConfig::new(&server.url());
        let mut recording = as_one_trace.then(Recording::start).transpose()?;
        let plan = Plan {
            instances: INSTANCES,
            queue_group: None,
            journal: Journal::JetStream { replicas: 1 },
            probes: None,
            telemetry: recording.as_mut().and_then(|recording| recording.service.take()),
            configuration: ServiceConfig::default(),
            features: FeatureArguments::default(),
        };
        let running = service::start(&config, &plan).await?;
        let recorded = recording.as_ref().map(|recording| recording.client.settings());
        let named = config.name("receipts client");
        let client = NatsClient::connect_with(&named, SERVICE, |client| match recorded {
            Some(telemetry) => client.telemetry(telemetry),
            None => client,
        });
        let client = client.await;
        let client = client.map_err(|error| Complaint::new("the client cannot be made", &error))?;
        if let Some(recording) = &mut recording {
            recording.service = plan.telemetry;
        }
        Ok(Self::Nats(Box::new(Nats { running, client, recording, server })))
    }

    /// The same typed client either way.
    pub(super) fn receipts(&self) -> ReceiptClient {
        match self {
            Self::InProcess(dispatcher) => ReceiptClient::new(dispatcher.clone()),
            Self::Nats(nats) => ReceiptClient::new(nats.client.clone()),
        }
    }

    /// What the script is played within, for its calls to be part of one trace.
    pub(super) fn trace(&self) -> Context {
        match self {
            Self::Nats(nats) => nats.recording.as_ref().map(|recording| recording.whole.clone()).unwrap_or_default(),
            Self::InProcess(_) => Context::new(),
        }
    }

    /// Tells who plays.
    pub(super) fn introduce(&self, stage: &mut Stage<'_>) -> io::Result<()> {
        match self {
            Self::InProcess(_) => {
                stage.tell("service", "dispatched in this process; there is no server")?;
                stage.tell("journal", "in memory")
            }
            Self::Nats(nats) => {
                let (server, count) = (&nats.server, nats.running.len());
                stage.tell("server", format_args!("nats-server {} at {}", server.version(), server.url()))?;
                stage.tell("service", format_args!("{SERVICE}, {count} instances that share the requests"))?;
                stage.tell("journal", "JetStream stream RECEIPTS_JOURNAL, in a temporary folder")
            }
        }
    }

    /// Tells the subject of what is being done, where there are subjects.
    pub(super) fn tell_subject(&self, stage: &mut Stage<'_>, subject: &str) -> io::Result<()> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::Nats(_) => stage.tell("subject", subject),
        }
    }

    /// Tells how any other NATS client would ask, where there are subjects.
    pub(super) fn tell_request(&self, stage: &mut Stage<'_>, subject: &str, body: &str) -> io::Result<()> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::Nats(_) => stage.command(&format!("nats req {subject} '{body}'")),
        }
    }

    /// Ends everything that was started, and returns when it is gone.
    pub(super) async fn close(self) {
        if let Self::Nats(nats) = self {
            let Nats { running, client, recording, server } = *nats;
            // Kept until their numbers were sent.
            let _drained = service::drain(running).await;
            client.connection().close().await;
            if let Some(recording) = recording {
                recording.end().await;
            }
            server.stop().await;
        }
    }
}

/// What the testkit says of its search, with the way to go without.
fn no_server(error: &headwater_testkit::StartError) -> Complaint {
    let text = crate::complaint::with_causes(error);
    let hint = "The demo also runs without a server: cargo run -p sample-receipts -- --in-process";
    Complaint::Failed(if text.contains("--in-process") { text } else { format!("{text}\n{hint}") })
}
