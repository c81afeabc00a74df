//! Schema versions count from 1.

use headwater_macros::Event;

#[derive(Clone, Event)]
enum ReceiptEvent {
    #[event(version = 0)]
    Voided,
}

fn main() {}
