use headwater_macros::EventFamily;

#[derive(EventFamily)]
#[event(reads = "agent..>")]
enum Misread {
    Started,
}

#[derive(EventFamily)]
enum AgentEvent {
    #[event(name = "agent.started")]
    Started,
    #[event(name = "agent.started")]
    Stopped,
    #[event(name = "Agent Failed")]
    Failed,
    #[event(version = 2)]
    Swept,
}

fn main() {}
