//! A given name follows the rule for names.

use headwater_macros::Event;

#[derive(Clone, Event)]
enum ReceiptEvent {
    #[event(name = "receipt.voided")]
    Voided,
}

fn main() {}
