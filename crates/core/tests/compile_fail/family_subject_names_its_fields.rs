use headwater_macros::EventFamily;

#[derive(EventFamily)]
enum AgentEvent {
    #[event(name = "agent.started", subject = "agent.{agent}.started")]
    Started { id: String },
    #[event(name = "agent.failed", subject = "agent.*.failed")]
    Failed { id: String },
}

fn main() {}
