//! An event enum has no generic parameters.

use headwater_macros::Event;

#[derive(Clone, Event)]
enum ReceiptEvent<T> {
    ItemAdded { item: T },
}

fn main() {}
