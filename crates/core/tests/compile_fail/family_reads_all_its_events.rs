use headwater_macros::EventFamily;

#[derive(EventFamily)]
#[event(reads = "agent.*")]
enum AgentEvent {
    #[event(name = "agent.started")]
    Started,
    #[event(name = "agent.failed", subject = "agent.{id}.failed")]
    Failed { id: String },
}

fn main() {}
