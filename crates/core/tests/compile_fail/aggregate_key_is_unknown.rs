//! An unknown key is answered with the known ones.

include!("support/counter.rs");

#[aggregate(type = "counter", events = CounterEvent)]
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
