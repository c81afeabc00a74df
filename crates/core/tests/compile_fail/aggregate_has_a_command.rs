//! An aggregate has at least one command.

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
}

fn main() {}
