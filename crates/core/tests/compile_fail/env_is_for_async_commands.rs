//! Without async commands there is no environment.

include!("support/counter.rs");

#[aggregate(type = "counter", event = CounterEvent, env = Steps)]
impl Counter {
    fn init(_: &AggregateId) -> Self {
        Self { count: 0 }
    }

    fn evolve(&mut self, event: &CounterEvent) {
        let CounterEvent::Incremented(incremented) = event;
        self.count += incremented.by;
    }

    #[command]
    fn increment(&self, command: Increment) -> Result<Incremented, NeverRejected> {
        Ok(Incremented { by: command.by })
    }
}

fn main() {}
