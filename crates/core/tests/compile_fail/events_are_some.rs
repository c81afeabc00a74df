//! An aggregate has at least one event.

use headwater_macros::Event;

#[derive(Clone, Event)]
enum ReceiptEvent {}

fn main() {}
