//! A command returns events or a rejection.

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
    fn increment(&self, command: Increment) -> Incremented {
        Incremented { by: command.by }
    }

    #[command]
    fn nothing(&self, _: Count) {}
}

fn main() {}
