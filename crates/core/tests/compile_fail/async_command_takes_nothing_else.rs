//! An async command takes its payload, the environment and the context, and nothing else.

include!("support/counter.rs");

use headwater_core::HandleError;

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
    async fn increment(&self, _: Increment, steps: Steps) -> Result<Incremented, HandleError<NeverRejected>> {
        Ok(Incremented { by: steps.0 })
    }
}

fn main() {}
