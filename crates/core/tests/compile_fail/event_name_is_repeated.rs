//! Each event has a name of its own; every repetition is reported.

use headwater_macros::Event;

#[derive(Clone, Event)]
enum ReceiptEvent {
    Voided,
    #[event(name = "voided")]
    Cancelled,
    #[event(name = "voided")]
    Burnt,
}

fn main() {}
