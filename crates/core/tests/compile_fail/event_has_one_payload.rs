//! A tuple variant holds exactly one payload.

use headwater_macros::Event;

#[derive(Clone, Event)]
enum ReceiptEvent {
    ItemAdded(String, u64),
    Voided(),
}

fn main() {}
