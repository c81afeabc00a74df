//! What holds for every receipt, whatever is asked of it and in whatever order.

use std::sync::Arc;

use chrono::DateTime;
use headwater::{Aggregate, AggregateId, CommandContext, CommandId, Decide, Event, Metadata, Revision};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One command of any kind.
#[derive(Debug, Clone)]
enum Order {
    Add(AddItem),
    AddAll(AddItems),
    Remove(RemoveItem),
    Finalize,
    Void(Void),
}

/// Few names, so that lines share them and removing meets some.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["Coffee", "Tea", "Cake"]).prop_map(str::to_owned)
}

fn item() -> impl Strategy<Value = AddItem> {
    (name(), 0_u64..=99_999_999_999_999, 1_u32..=10_000).prop_map(|(name, cents, quantity)| {
        let price = format!("{}.{:02}", cents / 100, cents % 100);
        AddItem { name, price: price.parse().unwrap(), quantity }
    })
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        6 => item().prop_map(Order::Add),
        3 => vec(item(), 1..8).prop_map(|items| Order::AddAll(AddItems { items })),
        4 => name().prop_map(|name| Order::Remove(RemoveItem { name })),
        1 => Just(Order::Finalize),
        1 => Just(Order::Void(Void { reason: "a mistake".to_owned() })),
    ]
}

fn id() -> AggregateId {
    AggregateId::new(Receipt::TYPE, "order-1").unwrap()
}

fn decide(receipt: &Receipt, order: Order) -> Result<Vec<ReceiptEvent>, ReceiptRejection> {
    let context = CommandContext {
        aggregate: id(),
        revision: Revision::ZERO,
        now: DateTime::UNIX_EPOCH,
        metadata: Arc::new(Metadata::new(CommandId::generate())),
    };
    match order {
        Order::Add(command) => receipt.decide(command, &context),
        Order::AddAll(command) => receipt.decide(command, &context),
        Order::Remove(command) => receipt.decide(command, &context),
        Order::Finalize => receipt.decide(Finalize {}, &context),
        Order::Void(command) => receipt.decide(command, &context),
    }
}

/// Every receipt on the way, and everything that happened.
fn play(orders: Vec<Order>) -> (Vec<Receipt>, Vec<ReceiptEvent>) {
    let mut receipts = vec![Receipt::init(&id())];
    let mut events = Vec::new();
    for order in orders {
        let mut receipt = receipts.last().unwrap().clone();
        for event in decide(&receipt, order).unwrap_or_default() {
            receipt.evolve(&event);
            receipts.push(receipt.clone());
            events.push(event);
        }
    }
    (receipts, events)
}

proptest! {
    #[test]
    fn the_total_is_always_the_sum_of_the_lines(orders in vec(order(), 0..40)) {
        for receipt in play(orders).0 {
            prop_assert_eq!(receipt.total, receipt.items.iter().map(Item::total).sum());
        }
    }

    #[test]
    fn a_receipt_never_opens_again(orders in vec(order(), 0..40)) {
        let standing = |receipt: &Receipt| match receipt.status {
            Status::Open => 0,
            Status::Closed => 1,
            Status::Voided => 2,
        };
        let receipts = play(orders).0;
        prop_assert!(receipts.is_sorted_by_key(standing));
    }

    #[test]
    fn the_state_survives_json(orders in vec(order(), 0..40)) {
        for receipt in play(orders).0 {
            let written = serde_json::to_vec(&receipt).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Receipt>(&written).unwrap(), receipt);
        }
    }

    #[test]
    fn every_event_survives_the_journal(orders in vec(order(), 0..40)) {
        for event in play(orders).1 {
            let stored = event.encode().unwrap();
            prop_assert_eq!(ReceiptEvent::decode(event.name(), &stored).unwrap(), event);
        }
    }
}
