//! A command or query cannot hide a method that every client has.

include!("support/counter.rs");

#[aggregate(type = "counter", event = CounterEvent, client = CounterClient)]
impl Counter {
    fn init(_: &AggregateId) -> Self {
        Self { count: 0 }
    }

    fn evolve(&mut self, event: &CounterEvent) {
        let CounterEvent::Incremented(incremented) = event;
        self.count += incremented.by;
    }

    #[command]
    fn get(&self, command: Increment) -> Result<Incremented, NeverRejected> {
        Ok(Incremented { by: command.by })
    }
}

fn main() {}
