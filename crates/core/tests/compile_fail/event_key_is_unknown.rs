//! An unknown key is answered with the known ones of the place where it stands.

use headwater_macros::Event;

#[derive(Clone, Event)]
#[event(version = 2)]
enum ReceiptEvent {
    Voided,
}

#[derive(Clone, Event)]
enum OtherEvent {
    #[event(upcasters = rules)]
    Voided,
}

fn main() {}
