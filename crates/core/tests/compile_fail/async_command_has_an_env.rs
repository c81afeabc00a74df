//! An async command asks an environment, which the attribute names.

include!("support/counter.rs");

use headwater_core::HandleError;

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
    async fn increment(&self, _: Increment, steps: &Steps) -> Result<Incremented, HandleError<NeverRejected>> {
        Ok(Incremented { by: steps.0 })
    }
}

fn main() {}
