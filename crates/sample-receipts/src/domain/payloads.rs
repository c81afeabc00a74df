//! Which payloads a receipt's commands take: their schemas are checked before any rule is asked.

use headwater::schema::{PayloadValidator, schema_of};
use headwater::{Aggregate as _, Described as _, Rejection as _};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::*;

fn takes<C: JsonSchema>(payload: &Value) -> bool {
    PayloadValidator::new("payload", &schema_of::<C>()).unwrap().check(payload).is_ok()
}

fn item(name: &str, price: &str, quantity: i64) -> Value {
    json!({ "name": name, "price": price, "quantity": quantity })
}

#[test]
fn a_name_has_1_to_200_characters() {
    for (name, taken) in [("", false), ("T", true), (&"é".repeat(200), true), (&"é".repeat(201), false)] {
        assert_eq!(takes::<AddItem>(&item(name, "1", 1)), taken, "{} characters", name.chars().count());
        assert_eq!(takes::<RemoveItem>(&json!({ "name": name })), taken, "{} characters", name.chars().count());
    }
}

#[test]
fn a_quantity_is_1_to_10_000() {
    for (quantity, taken) in [(-1, false), (0, false), (1, true), (10_000, true), (10_001, false)] {
        assert_eq!(takes::<AddItem>(&item("Tea", "1", quantity)), taken, "{quantity}");
    }
    assert!(!takes::<AddItem>(&json!({ "name": "Tea", "price": "1", "quantity": 1.5 })));
}

#[test]
fn a_price_is_a_text_with_at_most_two_decimals() {
    for price in ["0", "5.99", "5.9", "5", "999999999999.99"] {
        assert!(takes::<AddItem>(&item("Tea", price, 1)), "{price}");
    }
    for price in ["-1", "5.999", "05", "1e3", "", "1000000000000", "5.99\n"] {
        assert!(!takes::<AddItem>(&item("Tea", price, 1)), "{price}");
    }
    assert!(!takes::<AddItem>(&json!({ "name": "Tea", "price": 5.99, "quantity": 1 })));
}

#[test]
fn a_command_takes_1_to_500_items() {
    for (count, taken) in [(0, false), (1, true), (500, true), (501, false)] {
        let items = vec![item("Tea", "1", 1); count];
        assert_eq!(takes::<AddItems>(&json!({ "items": items })), taken, "{count} items");
    }
    assert!(!takes::<AddItems>(&json!({ "items": [item("", "1", 1)] })));
}

#[test]
fn a_reason_has_1_to_500_characters() {
    for (length, taken) in [(0, false), (1, true), (500, true), (501, false)] {
        assert_eq!(takes::<Void>(&json!({ "reason": "r".repeat(length) })), taken, "{length} characters");
    }
}

#[test]
fn unknown_members_are_refused_everywhere() {
    assert!(!takes::<AddItem>(&json!({ "name": "Tea", "price": "1", "quantity": 1, "colour": "green" })));
    assert!(!takes::<AddItems>(&json!({ "items": [item("Tea", "1", 1)], "colour": "green" })));
    assert!(!takes::<RemoveItem>(&json!({ "name": "Tea", "colour": "green" })));
    assert!(!takes::<Finalize>(&json!({ "colour": "green" })));
    assert!(!takes::<Void>(&json!({ "reason": "a mistake", "colour": "green" })));
    assert!(!takes::<Summary>(&json!({ "colour": "green" })));
}

#[test]
fn the_description_lists_the_names_of_the_wire() {
    let receipt = Receipt::describe(().into()).build().unwrap();
    assert_eq!(Receipt::TYPE, "receipt");
    let commands: Vec<_> = receipt.commands().map(|command| command.name().as_str()).collect();
    assert_eq!(commands, ["add-item", "add-items", "finalize", "remove-item", "void"]);
    let events: Vec<_> = receipt.events().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["item-added", "item-removed", "receipt-finalized", "receipt-voided"]);
    let rejections: Vec<_> = receipt.rejections().iter().map(|rejection| rejection.name).collect();
    assert_eq!(rejections, ["receipt-not-open", "item-not-found", "receipt-empty", "already-voided"]);
    let queries: Vec<_> = receipt.queries().map(|query| query.name().as_str()).collect();
    assert_eq!(queries, ["summary"]);
}

#[test]
fn rejections_carry_their_members() {
    let not_open = ReceiptRejection::ReceiptNotOpen { status: Status::Closed };
    assert_eq!(Value::Object(not_open.members()), json!({ "status": "closed" }));
    let not_found = ReceiptRejection::ItemNotFound { name: "Tea".to_owned() };
    assert_eq!(Value::Object(not_found.members()), json!({ "name": "Tea" }));
}
