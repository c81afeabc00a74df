//! The subscriber: a service with handlers for single events and for whole families, which goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headwater::messaging::BoxError;
use headwater::messaging::family::EventFamily;
use headwater::messaging::health::{ConsumerHealth, HealthChange, HealthSettings};
use headwater::messaging::jetstream::JetStream;
use headwater::messaging::processing::{Processing, Retry};
use headwater::messaging::router::{Context, MessageId, Reply, Router, State};
use serde::{Deserialize, Serialize};

use crate::events::{AgentEvent, AuditEvent, TaskEvent, WorkflowEvent};
use crate::{program, signals};

/// Where one asks what was seen.
pub(crate) const SUMMARY: &str = "agents.watcher.summary";

/// Where one asks how it is.
pub(crate) const HEALTH: &str = "agents.watcher.health";

/// What was seen since this process began.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// By the events' names.
    pub(crate) events: BTreeMap<String, u64>,
    /// Agents that failed.
    pub(crate) failed: BTreeSet<String>,
}

/// Whether all consumers get on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) status: String,
    /// Consumers that do not.
    pub(crate) unwell: BTreeSet<String>,
}

/// What the handlers share.
#[derive(Debug, Clone, Default)]
struct Watch {
    summary: Arc<Mutex<Summary>>,
    unwell: Arc<Mutex<BTreeSet<String>>>,
}

impl Watch {
    /// Counts an event, and tells it.
    fn saw<E: EventFamily + Debug>(&self, event: &E, id: &str, context: &Context) -> Result<(), BoxError> {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        *summary.events.entry(event.name().to_owned()).or_default() += 1;
        let tenant = context.received()?.attributes().and_then(|attributes| attributes.tenant_id.as_deref());
        let deliveries = context.deliveries();
        program::say(&format!("saw {id} {event:?}, tenant {}, delivery {deliveries}", tenant.unwrap_or("none")))
    }

    fn changed(&self, health: &ConsumerHealth, change: &HealthChange) {
        let mut unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            HealthChange::Stalled(_) | HealthChange::Unreachable | HealthChange::Lost => {
                unwell.insert(health.consumer.to_string())
            }
            _ => unwell.remove(&*health.consumer),
        };
    }
}

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn run(url: &str) -> Result<(), BoxError> {
    let stop = signals::stop_requested()?;
    let jetstream = JetStream::new(program::connect(url, "agents-watcher").await?);
    let watch = Watch::default();
    let told = watch.clone();
    let health = HealthSettings::default().on_change(move |health, change| told.changed(health, change));
    let retry = Retry::default().attempts(5).first(Duration::from_millis(200));
    let router = Router::new()
        .service("watcher")
        .on_family::<AgentEvent, _>(agents)
        .on_variant::<AgentEvent, _>("agent.failed", alarm)
        .on_family::<WorkflowEvent, _>(workflows)
        .on_family::<TaskEvent, _>(tasks)
        .on_family::<AuditEvent, _>(audit)
        .on_message(SUMMARY, summary)
        .on_message(HEALTH, how_it_is)
        // One at a time, so that the events of a family are seen in the order in which they were stored.
        .processing(Processing::default().concurrency(1).retry(retry).health(health))
        .with_state(watch);
    let running = router.start(jetstream).await?;
    program::say("ready: watcher")?;
    stop.await;
    running.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

async fn agents(
    event: AgentEvent,
    MessageId(id): MessageId,
    context: Context,
    State(watch): State<Watch>,
) -> Result<(), BoxError> {
    watch.saw(&event, &id, &context)
}

async fn workflows(
    event: WorkflowEvent,
    MessageId(id): MessageId,
    context: Context,
    State(watch): State<Watch>,
) -> Result<(), BoxError> {
    watch.saw(&event, &id, &context)
}

async fn tasks(
    event: TaskEvent,
    MessageId(id): MessageId,
    context: Context,
    State(watch): State<Watch>,
) -> Result<(), BoxError> {
    watch.saw(&event, &id, &context)
}

async fn audit(
    event: AuditEvent,
    MessageId(id): MessageId,
    context: Context,
    State(watch): State<Watch>,
) -> Result<(), BoxError> {
    watch.saw(&event, &id, &context)
}

/// Only for agents that failed.
async fn alarm(event: AgentEvent, State(watch): State<Watch>) -> Result<(), BoxError> {
    let AgentEvent::Failed { agent_id, reason } = event else { return Ok(()) };
    program::say(&format!("alarm: {agent_id} failed: {reason}"))?;
    watch.summary.lock().unwrap_or_else(PoisonError::into_inner).failed.insert(agent_id);
    Ok(())
}

async fn summary(State(watch): State<Watch>) -> Reply<Summary> {
    Reply(watch.summary.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

async fn how_it_is(State(watch): State<Watch>) -> Reply<Health> {
    let unwell = watch.unwell.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Reply(Health { status: if unwell.is_empty() { "up" } else { "down" }.to_owned(), unwell })
}
