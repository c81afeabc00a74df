//! `init` and `evolve` are there.

include!("support/counter.rs");

#[aggregate(type = "counter", event = CounterEvent)]
impl Counter {
    #[command]
    fn increment(&self, command: Increment) -> Result<Incremented, NeverRejected> {
        Ok(Incremented { by: command.by })
    }
}

fn main() {}
