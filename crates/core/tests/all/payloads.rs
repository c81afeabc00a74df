//! Payloads that are large, deep or hostile, against schemas like those of real commands.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::wallet;

use headwater_core::schema::{PayloadValidator, schema_of};
use headwater_core::{FailureCode, Violation};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Item {
    #[schemars(length(min = 1, max = 200))]
    name: String,
    #[schemars(regex(pattern = r"^\d{1,9}(\.\d{1,2})?$"))]
    price: String,
    #[schemars(range(min = 1, max = 10_000))]
    quantity: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Items {
    items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Tree {
    value: u64,
    children: Vec<Self>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Shape {
    Point { x: u64 },
    Text { text: String },
    Group { members: Vec<Self> },
}

fn validator<T: JsonSchema>() -> PayloadValidator {
    PayloadValidator::new("the payload", &schema_of::<T>()).unwrap()
}

fn item() -> Value {
    json!({ "name": "Coffee", "price": "5.99", "quantity": 2 })
}

/// The violations, after checking what holds for all of them.
fn refused(validator: &PayloadValidator, payload: &Value) -> Vec<Violation> {
    let violations = validator.check(payload).unwrap_err();
    assert!(!violations.is_empty() && violations.len() <= 20, "{} violations", violations.len());
    for violation in &violations {
        assert!(violation.path.len() <= 400 && violation.message.len() <= 410, "{violation:?}");
        assert!(!format!("{violation:?}").contains("secret-value"), "{violation:?}");
        assert!(payload.pointer(&violation.path).is_some(), "the path leads into the payload: {violation:?}");
    }
    violations
}

#[test]
fn a_hundred_thousand_good_elements_pass() {
    assert!(validator::<Items>().check(&json!({ "items": vec![item(); 100_000] })).is_ok());
}

#[test]
fn one_bad_element_among_a_hundred_thousand_is_found() {
    let mut items = vec![item(); 100_000];
    items[77_777]["price"] = json!("secret-value");
    let violations = refused(&validator::<Items>(), &json!({ "items": items }));
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].path, "/items/77777/price");
}

#[test]
fn a_hundred_thousand_bad_elements_give_a_short_answer() {
    let bad = json!({ "name": "secret-value".repeat(20), "price": "secret-value", "quantity": -1 });
    let violations = refused(&validator::<Items>(), &json!({ "items": vec![bad; 100_000] }));
    assert_eq!(violations.len(), 20);
}

#[test]
fn a_hundred_thousand_unknown_members_give_a_short_answer() {
    let mut many: Map<_, _> = (0..100_000).map(|place| (format!("unknown-{place}"), json!("secret-value"))).collect();
    many.extend(item().as_object().unwrap().clone());
    let violations = refused(&validator::<Items>(), &json!({ "items": [many] }));
    assert_eq!(violations[0].path, "/items/0");
    assert!(violations[0].message.starts_with("Additional properties are not allowed"), "{violations:?}");
}

#[test]
fn a_value_or_a_name_of_a_megabyte_gives_a_short_answer() {
    let long = "secret-value".repeat(90_000);
    let mut named = item();
    named["name"] = json!(long);
    assert_eq!(refused(&validator::<Items>(), &json!({ "items": [named] }))[0].path, "/items/0/name");
    let schema = json!({ "type": "object", "additionalProperties": { "type": "object", "required": ["x"] } });
    let open = PayloadValidator::new("open", &schema).unwrap();
    let violations = refused(&open, &json!({ "n".repeat(1_000_000): {} }));
    assert_eq!(violations[0].path, "", "the enclosing value, as the name is too long to be told");
}

#[test]
fn a_payload_as_deep_as_json_is_read_is_checked_to_its_ground() {
    // `{"value":…,"children":[…]}` is two levels, and serde_json reads 128.
    let nested = |ground: &str| format!("{}{ground}{}", r#"{"value":1,"children":["#.repeat(62), "]}".repeat(62));
    let parse = |ground| serde_json::from_str::<Value>(&nested(ground));
    let trees = validator::<Tree>();
    assert!(trees.check(&parse(r#"{"value":1,"children":[]}"#).unwrap()).is_ok());
    let violations = refused(&trees, &parse(r#"{"value":"secret-value","children":[]}"#).unwrap());
    assert!(violations[0].path.starts_with("/children/0/children/0"), "{violations:?}");
    let deeper = "[".repeat(100_000);
    assert!(serde_json::from_str::<Value>(&deeper).is_err(), "the reader refuses what is deeper");
}

#[test]
fn nested_choices_are_checked_in_a_time_that_grows_with_the_payload() {
    let shapes = validator::<Shape>();
    let nested = |ground: Value| {
        (0..40).fold(ground, |inner, _| {
            let text = json!({ "kind": "text", "text": "t" });
            json!({ "kind": "group", "members": [{ "kind": "point", "x": 1 }, text, inner] })
        })
    };
    assert!(shapes.check(&nested(json!({ "kind": "point", "x": 1 }))).is_ok());
    refused(&shapes, &nested(json!({ "kind": "point", "x": "secret-value" })));
    refused(&shapes, &nested(json!({ "kind": "secret-value" })));
}

#[test]
fn a_pattern_that_would_take_for_ever_elsewhere_takes_no_time() {
    let schema = json!({ "type": "string", "pattern": "^(a+)+$" });
    let validator = PayloadValidator::new("text", &schema).unwrap();
    refused(&validator, &json!(format!("{}!", "a".repeat(100_000))));
}

#[test]
fn what_the_schema_takes_and_the_type_does_not_is_a_violation_too() {
    // To JSON Schema 2.0 is an integer; to serde it is not.
    let wallets = wallet::described().build().unwrap();
    let deposit = wallets.command("deposit").unwrap();
    assert!(deposit.check(&json!({ "amount": 2 })).is_ok());
    let failure = deposit.check(&json!({ "amount": 2.0 })).unwrap_err();
    assert_eq!(failure.code, FailureCode::ValidationFailed);
    let expected = Violation { path: "/amount".to_owned(), message: "invalid type, expected u64".to_owned() };
    assert_eq!(failure.violations(), [expected]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("a whole number is another matter", |number| number.fract() != 0.0)
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9]{1,4}(\\.[0-9]{1,3})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let member = prop_oneof![Just("name"), Just("price"), Just("quantity"), Just("items"), Just("more")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((member, inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn any_item() -> impl Strategy<Value = Item> {
    (".{1,200}", "[0-9]{1,9}(\\.[0-9]{1,2})?", 1..=10_000_u32).prop_map(|(name, price, quantity)| Item {
        name,
        price,
        quantity,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_type_writes_fits_its_schema(item in any_item()) {
        prop_assert!(validator::<Item>().check(&serde_json::to_value(&item).unwrap()).is_ok());
    }

    #[test]
    fn what_fits_the_schema_fits_the_type(payload in any_json()) {
        if validator::<Item>().check(&payload).is_ok() {
            prop_assert!(serde_json::from_value::<Item>(payload).is_ok());
        }
    }

    #[test]
    fn an_item_with_any_member_replaced_is_checked_like_the_type_reads_it(
        item in any_item(), member in prop_oneof![Just("name"), Just("price"), Just("quantity")], other in any_json(),
    ) {
        let mut payload = serde_json::to_value(&item).unwrap();
        payload[member] = other.clone();
        match validator::<Item>().check(&payload) {
            Ok(()) => prop_assert!(serde_json::from_value::<Item>(payload).is_ok()),
            Err(violations) => {
                let path = format!("/{member}");
                prop_assert!(violations.iter().all(|violation| violation.path == path), "{violations:?}");
            }
        }
    }
}
