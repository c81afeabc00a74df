//! A pure command takes its payload and the context, and nothing else.

include!("support/counter.rs");

#[aggregate(type = "counter", event = CounterEvent)]
impl Counter {
    fn init(_: &AggregateId) -> Self {
        Self { count: 0 }
    }

    fn evolve(&mut self, event: &CounterEvent) {
        let CounterEvent::Incremented(incremented) = event;
        self.count += incremented.by;
    }

    #[command]
    fn increment(&self, command: Increment, steps: u64) -> Result<Incremented, NeverRejected> {
        Ok(Incremented { by: command.by * steps })
    }

    #[command]
    fn twice(&self, _: Increment, one: &CommandContext, _: &CommandContext) -> Result<Incremented, NeverRejected> {
        Ok(Incremented { by: one.revision.get() })
    }
}

fn main() {}
