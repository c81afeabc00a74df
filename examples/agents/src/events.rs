//! What is told: four families of events. Whose it is, the tenant, stands in the envelope.

use headwater::messaging::family::EventFamily;

/// What agents tell of themselves.
#[derive(Debug, Clone, EventFamily)]
#[event(reads = "agent.>")]
pub(crate) enum AgentEvent {
    #[event(name = "agent.started")]
    Started { agent_id: String },
    #[event(name = "agent.finished")]
    Finished { agent_id: String, tasks: usize },
    #[event(name = "agent.failed", subject = "agent.{agent_id}.failed")]
    Failed { agent_id: String, reason: String },
}

/// What is planned, and how far it is.
#[derive(Debug, Clone, EventFamily)]
#[event(reads = "workflow.>")]
pub(crate) enum WorkflowEvent {
    #[event(name = "workflow.started")]
    Started { workflow_id: String, steps: usize },
    #[event(name = "workflow.completed")]
    Completed { workflow_id: String },
}

/// The work.
#[derive(Debug, Clone, EventFamily)]
#[event(reads = "task.>")]
pub(crate) enum TaskEvent {
    #[event(name = "task.given")]
    Given { task_id: String, agent_id: String, what: String },
    #[event(name = "task.done")]
    Done { task_id: String, agent_id: String },
}

/// The record of it.
#[derive(Debug, Clone, EventFamily)]
#[event(reads = "audit.>")]
pub(crate) enum AuditEvent {
    #[event(name = "audit.recorded")]
    Recorded { who: String, what: String, about: String },
}
