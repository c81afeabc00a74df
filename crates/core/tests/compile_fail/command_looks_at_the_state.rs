//! A command takes `&self`.

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
    fn increment(command: Increment) -> Result<Incremented, NeverRejected> {
        Ok(Incremented { by: command.by })
    }

    #[command]
    fn decrement(&mut self, command: Increment) -> Result<Incremented, NeverRejected> {
        self.count -= command.by;
        Ok(Incremented { by: 0 })
    }
}

fn main() {}
