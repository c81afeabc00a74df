//! The attribute stands on the `impl` block and not on the state.

include!("support/counter.rs");

#[aggregate(type = "counter", event = CounterEvent)]
struct Other {}

fn main() {}
