//! What `#[derive(Rejection)]` writes.

use headwater_core::schema::{PayloadValidator, schema_from};
use headwater_core::{Failure, Rejection as _};
use headwater_macros::Rejection;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq, thiserror::Error, Rejection)]
enum ReceiptRejection {
    #[error("the receipt is not open")]
    ReceiptNotOpen,
    /// No line has this name.
    #[error("there is no item {item_name}")]
    ItemNotFound {
        item_name: String,
        #[serde(default)]
        nearest: Option<String>,
    },
    #[error("already voided")]
    #[rejection(name = "already-voided")]
    Voided,
    #[error("nothing to pay")]
    ReceiptEmpty {},
}

fn all() -> [ReceiptRejection; 4] {
    [
        ReceiptRejection::ReceiptNotOpen,
        ReceiptRejection::ItemNotFound { item_name: "Tea".to_owned(), nearest: None },
        ReceiptRejection::Voided,
        ReceiptRejection::ReceiptEmpty {},
    ]
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

#[test]
fn every_rejection_travels_as_its_name_and_members_and_comes_back() {
    let names = ["receipt-not-open", "item-not-found", "already-voided", "receipt-empty"];
    for (rejection, name) in all().into_iter().zip(names) {
        assert_eq!(rejection.name(), name);
        assert_eq!(ReceiptRejection::from_parts(name, &rejection.members()), Some(rejection.clone()));
        assert_eq!(Failure::rejected(&rejection).rejection(), Some(rejection));
    }
}

#[test]
fn members_are_the_fields_in_camel_case() {
    let [open, not_found, ..] = all();
    assert_eq!(not_found.members(), members(json!({ "itemName": "Tea", "nearest": null })));
    assert_eq!(open.members(), Map::new());
}

#[test]
fn a_name_or_members_of_another_program_are_no_rejection_of_this_one() {
    let fitting = members(json!({ "itemName": "Tea" }));
    assert!(ReceiptRejection::from_parts("item-not-found", &fitting).is_some());
    assert_eq!(ReceiptRejection::from_parts("item-sold-out", &fitting), None);
    assert_eq!(ReceiptRejection::from_parts("item-not-found", &members(json!({ "itemName": 1 }))), None);
    // A newer service may say more.
    let more = members(json!({ "since": "yesterday" }));
    assert_eq!(ReceiptRejection::from_parts("receipt-not-open", &more), Some(ReceiptRejection::ReceiptNotOpen));
}

#[test]
fn the_listed_schemas_fit_the_members() {
    let types = ReceiptRejection::types();
    let names: Vec<_> = types.iter().map(|rejection| rejection.name).collect();
    assert_eq!(names, ["receipt-not-open", "item-not-found", "already-voided", "receipt-empty"]);
    for (listed, rejection) in types.iter().zip(all()) {
        let schema = schema_from(listed.schema);
        let validator = PayloadValidator::new(listed.name, &schema).unwrap();
        assert_eq!(validator.check(&Value::Object(rejection.members())), Ok(()), "{schema}");
    }
    let not_found = schema_from(types[1].schema);
    assert_eq!(not_found["description"], "No line has this name.");
    assert_eq!(not_found["required"], json!(["itemName"]));
}
