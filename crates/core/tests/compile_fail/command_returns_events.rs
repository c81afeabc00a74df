//! What a command returns are events of its aggregate.

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
    fn increment(&self, command: Increment) -> Result<u64, NeverRejected> {
        Ok(command.by)
    }
}

fn main() {}
