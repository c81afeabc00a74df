//! A command method has no generic parameters.

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
    fn increment<T>(&self, command: Increment) -> Result<Incremented, NeverRejected> {
        Ok(Incremented { by: command.by })
    }
}

fn main() {}
