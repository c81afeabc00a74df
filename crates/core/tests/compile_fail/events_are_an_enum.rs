//! Events are an enum.

use headwater_macros::Event;

#[derive(Clone, Event)]
struct ItemAdded {
    name: String,
}

fn main() {}
