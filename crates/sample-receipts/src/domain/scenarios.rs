//! The rules of receipts, each as what has happened, what is asked and what comes of it.

use headwater::{Aggregate as _, AggregateId, Answer as _, Scenario};
use serde_json::json;

use super::*;

fn receipt() -> Scenario<Receipt> {
    Scenario::new("order-1")
}

fn item(name: &str, price: &str, quantity: u32) -> AddItem {
    AddItem { name: name.to_owned(), price: price.parse().unwrap(), quantity }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn added(name: &str, price: &str, quantity: u32, line_total: &str) -> ItemAdded {
    let AddItem { name, price, quantity } = item(name, price, quantity);
    ItemAdded { name, price, quantity, line_total: money(line_total) }
}

fn removed(name: &str, refund_amount: &str) -> ItemRemoved {
    ItemRemoved { name: name.to_owned(), refund_amount: money(refund_amount) }
}

fn finalized(final_total: &str, item_count: u64) -> ReceiptFinalized {
    ReceiptFinalized { final_total: money(final_total), item_count }
}

fn voided(voided_total: &str) -> ReceiptVoided {
    ReceiptVoided { reason: "a mistake".to_owned(), voided_total: money(voided_total) }
}

fn remove(name: &str) -> RemoveItem {
    RemoveItem { name: name.to_owned() }
}

fn void() -> Void {
    Void { reason: "a mistake".to_owned() }
}

fn coffee() -> ItemAdded {
    added("Coffee", "5.99", 2, "11.98")
}

#[test]
fn the_first_item_opens_a_receipt() {
    receipt().given_nothing().when(item("Coffee", "5.99", 2)).then(coffee()).then_state(|receipt| {
        assert_eq!(receipt.id, "order-1");
        assert_eq!(receipt.status, Status::Open);
        assert_eq!(receipt.total, money("11.98"));
    });
}

#[test]
fn an_item_of_a_name_that_is_there_becomes_a_line_of_its_own() {
    let again = added("Coffee", "6.50", 1, "6.50");
    receipt().given(coffee()).when(item("Coffee", "6.50", 1)).then(again).then_state(|receipt| {
        assert_eq!(receipt.items.len(), 2);
        assert_eq!(receipt.total, money("18.48"));
    });
}

#[test]
fn a_gift_costs_nothing_and_is_an_item_all_the_same() {
    receipt().given_nothing().when(item("Bag", "0", 1)).then(added("Bag", "0", 1, "0")).then_state(|receipt| {
        assert_eq!((receipt.items.len(), receipt.total), (1, Money::ZERO));
    });
}

#[test]
fn several_items_are_added_in_their_order() {
    let items = vec![item("Tea", "2.50", 2), item("Cake", "4.20", 1)];
    let events = [added("Tea", "2.50", 2, "5.00"), added("Cake", "4.20", 1, "4.20")];
    receipt().given(coffee()).when(AddItems { items }).then(events).then_state(|receipt| {
        let names: Vec<_> = receipt.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["Coffee", "Tea", "Cake"]);
        assert_eq!(receipt.total, money("21.18"));
    });
}

#[test]
fn removing_takes_all_lines_of_the_name_and_no_other() {
    receipt()
        .given([coffee(), added("Tea", "2.50", 1, "2.50"), added("Coffee", "6.50", 1, "6.50")])
        .when(remove("Coffee"))
        .then(removed("Coffee", "18.48"))
        .then_state(|receipt| {
            assert_eq!(receipt.items.len(), 1);
            assert_eq!(receipt.total, money("2.50"));
        });
}

#[test]
fn what_is_not_on_the_receipt_cannot_be_removed() {
    let not_found = ReceiptRejection::ItemNotFound { name: "Tea".to_owned() };
    receipt().given(coffee()).when(remove("Tea")).then_rejected(not_found.clone());
    receipt().given_nothing().when(remove("Tea")).then_rejected(not_found);
}

#[test]
fn names_are_compared_as_they_are_written() {
    let not_found = ReceiptRejection::ItemNotFound { name: "coffee".to_owned() };
    receipt().given(coffee()).when(remove("coffee")).then_rejected(not_found);
}

#[test]
fn finalizing_fixes_the_total_and_counts_the_lines() {
    let final_state = |receipt: &Receipt| assert_eq!(receipt.status, Status::Closed);
    receipt()
        .given([coffee(), added("Tea", "2.50", 1, "2.50")])
        .when(Finalize {})
        .then(finalized("14.48", 2))
        .then_state(final_state);
}

#[test]
fn an_empty_receipt_cannot_be_finalized() {
    receipt().given_nothing().when(Finalize {}).then_rejected(ReceiptRejection::ReceiptEmpty);
    receipt()
        .given(coffee())
        .given(removed("Coffee", "11.98"))
        .when(Finalize {})
        .then_rejected(ReceiptRejection::ReceiptEmpty);
}

#[test]
fn a_closed_receipt_changes_no_more() {
    let closed = || receipt().given(coffee()).given(finalized("11.98", 1));
    let not_open = || ReceiptRejection::ReceiptNotOpen { status: Status::Closed };
    closed().when(item("Tea", "2.50", 1)).then_rejected(not_open());
    closed().when(AddItems { items: vec![item("Tea", "2.50", 1)] }).then_rejected(not_open());
    closed().when(remove("Coffee")).then_rejected(not_open());
    closed().when(remove("Tea")).then_rejected(not_open());
    closed().when(Finalize {}).then_rejected(not_open());
}

#[test]
fn a_voided_receipt_changes_no_more() {
    let gone = || receipt().given(coffee()).given(voided("11.98"));
    let not_open = || ReceiptRejection::ReceiptNotOpen { status: Status::Voided };
    gone().when(item("Tea", "2.50", 1)).then_rejected(not_open());
    gone().when(AddItems { items: vec![item("Tea", "2.50", 1)] }).then_rejected(not_open());
    gone().when(remove("Coffee")).then_rejected(not_open());
    gone().when(Finalize {}).then_rejected(not_open());
}

#[test]
fn an_open_receipt_can_be_voided() {
    receipt().given(coffee()).when(void()).then(voided("11.98")).then_state(|receipt| {
        assert_eq!(receipt.status, Status::Voided);
        assert_eq!(receipt.total, money("11.98"));
    });
}

#[test]
fn a_closed_receipt_can_still_be_voided() {
    receipt().given(coffee()).given(finalized("11.98", 1)).when(void()).then(voided("11.98"));
}

#[test]
fn a_receipt_that_nothing_happened_to_can_be_voided() {
    receipt().given_nothing().when(void()).then(voided("0"));
}

#[test]
fn a_receipt_is_voided_once() {
    receipt().given(coffee()).given(voided("11.98")).when(void()).then_rejected(ReceiptRejection::AlreadyVoided);
}

#[test]
fn the_summary_counts_lines_and_pieces() {
    let mut receipt = Receipt::init(&AggregateId::new("receipt", "order-1").unwrap());
    for item in [coffee(), added("Tea", "2.50", 3, "7.50")] {
        receipt.evolve(&item.into());
    }
    let ReceiptSummary { status, lines, pieces, total } = receipt.answer(Summary {});
    assert_eq!((status, lines, pieces, total), (Status::Open, 2, 5, money("19.48")));
}

#[test]
fn the_wire_shows_camel_case_and_money_as_text() {
    let [added, finalized] = [json!(coffee()), json!(finalized("11.98", 1))];
    assert_eq!(added, json!({ "name": "Coffee", "price": "5.99", "quantity": 2, "lineTotal": "11.98" }));
    assert_eq!(finalized, json!({ "finalTotal": "11.98", "itemCount": 1 }));
    assert_eq!(json!(removed("Tea", "5")), json!({ "name": "Tea", "refundAmount": "5.00" }));
    assert_eq!(json!(voided("11.98")), json!({ "reason": "a mistake", "voidedTotal": "11.98" }));
    let mut receipt = Receipt::init(&AggregateId::new("receipt", "order-1").unwrap());
    receipt.evolve(&coffee().into());
    let items = json!([{ "name": "Coffee", "price": "5.99", "quantity": 2 }]);
    assert_eq!(json!(receipt), json!({ "id": "order-1", "status": "open", "items": items, "total": "11.98" }));
}
