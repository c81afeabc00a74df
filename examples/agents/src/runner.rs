//! The publisher: a service that is asked to let an agent work, and tells by events what it does.

use std::sync::Arc;
use std::time::Duration;

use headwater::messaging::BoxError;
use headwater::messaging::jetstream::JetStream;
use headwater::messaging::publisher::Publisher;
use headwater::messaging::router::{Payload, Reply, Router, State};
use serde::{Deserialize, Serialize};

use crate::events::{AgentEvent, AuditEvent, TaskEvent, WorkflowEvent};
use crate::{program, signals};

/// Where work is ordered.
pub(crate) const RUN: &str = "agents.run";

/// What an agent is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) workflow: String,
    pub(crate) agent: String,
    pub(crate) tasks: Vec<String>,
}

/// What was told while it was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The ids of the events, all of them stored.
    pub(crate) events: Vec<String>,
}

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn run(url: &str, tenant: &str) -> Result<(), BoxError> {
    let stop = signals::stop_requested()?;
    let jetstream = JetStream::new(program::connect(url, "agents-runner").await?);
    let publisher = Publisher::builder(Arc::new(jetstream.clone()), "/agents/runner").tenant(tenant).build()?;
    let router = Router::new()
        .service("runner")
        .on_message(RUN, work)
        .on_message("agents.runner.health", || async { Reply("up") })
        .with_state(publisher.clone());
    let running = router.start(jetstream).await?;
    program::say("ready: runner")?;
    stop.await;
    running.shutdown(Duration::from_secs(10)).await;
    publisher.close().await?;
    Ok(())
}

/// Does what was ordered. The events go out one after the other, without waiting for each to be stored; the reply waits for all.
async fn work(Payload(order): Payload<Order>, State(publisher): State<Publisher>) -> Result<Reply<Told>, BoxError> {
    let Order { workflow: workflow_id, agent: agent_id, tasks } = order;
    let mut receipts = Vec::new();
    let steps = tasks.len();
    let started = WorkflowEvent::Started { workflow_id: workflow_id.clone(), steps };
    receipts.push(publisher.publish_event(&started).enqueue().await?);
    let started = AgentEvent::Started { agent_id: agent_id.clone() };
    receipts.push(publisher.publish_event(&started).enqueue().await?);
    for (number, what) in tasks.into_iter().enumerate() {
        let task_id = format!("{workflow_id}-{}", number + 1);
        let given = TaskEvent::Given { task_id: task_id.clone(), agent_id: agent_id.clone(), what: what.clone() };
        receipts.push(publisher.publish_event(&given).enqueue().await?);
        if what == "fail" {
            let failed = AgentEvent::Failed { agent_id: agent_id.clone(), reason: "it was asked to".to_owned() };
            receipts.push(publisher.publish_event(&failed).enqueue().await?);
            continue;
        }
        let done = TaskEvent::Done { task_id: task_id.clone(), agent_id: agent_id.clone() };
        receipts.push(publisher.publish_event(&done).enqueue().await?);
        let recorded = AuditEvent::Recorded { who: agent_id.clone(), what, about: task_id };
        receipts.push(publisher.publish_event(&recorded).enqueue().await?);
    }
    let finished = AgentEvent::Finished { agent_id, tasks: steps };
    receipts.push(publisher.publish_event(&finished).enqueue().await?);
    let completed = WorkflowEvent::Completed { workflow_id };
    receipts.push(publisher.publish_event(&completed).enqueue().await?);
    let mut events = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        events.push(receipt.id().to_owned());
        receipt.await?;
    }
    Ok(Reply(Told { events }))
}
