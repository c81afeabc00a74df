//! What `#[derive(Event)]` writes.

use headwater_core::schema::{schema_from, schema_of};
use headwater_core::{DecodeError, Event as _, EventType, IntoEvents, UpcastEvent, Upcasters};
use headwater_macros::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ItemAdded {
    name: String,
    line_total: u64,
}

#[derive(Debug, Clone, PartialEq, Event)]
#[event(upcasters = upcasters)]
enum ReceiptEvent {
    ItemAdded(ItemAdded),
    /// A line went away.
    #[event(name = "item-removed", version = 2)]
    Removed {
        /// What came back.
        refund_amount: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(rename = "at", with = "as_text")]
        #[schemars(with = "String")]
        minute: u32,
    },
    Reopened {},
    ReceiptFinalized,
}

/// Writes a number as text, by reference and in both directions, as people's own modules do.
mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn upcasters() -> Upcasters {
    Upcasters::new().rewrite("item-removed", 1, |mut data| {
        data["at"] = json!("0");
        Ok(data)
    })
}

fn removed() -> ReceiptEvent {
    ReceiptEvent::Removed { refund_amount: 5, reason: None, minute: 61 }
}

fn listed(name: &str) -> EventType {
    ReceiptEvent::types().into_iter().find(|event| event.name == name).expect("the event is listed")
}

#[test]
fn every_event_is_written_as_its_data_alone_and_read_back_by_its_name() {
    let added = ItemAdded { name: "Tea".to_owned(), line_total: 7 };
    for (event, name, data) in [
        (ReceiptEvent::ItemAdded(added), "item-added", r#"{"name":"Tea","lineTotal":7}"#),
        (removed(), "item-removed", r#"{"refundAmount":5,"at":"61"}"#),
        (ReceiptEvent::Reopened {}, "reopened", "{}"),
        (ReceiptEvent::ReceiptFinalized, "receipt-finalized", "{}"),
    ] {
        assert_eq!(event.name(), name);
        let written = event.encode().unwrap();
        assert_eq!(String::from_utf8(written.clone()).unwrap(), data);
        assert_eq!(ReceiptEvent::decode(name, &written).unwrap(), event);
    }
}

#[test]
fn names_and_versions_are_listed_in_the_order_of_the_enum() {
    let listed: Vec<_> = ReceiptEvent::types().iter().map(|event| (event.name, event.schema_version)).collect();
    assert_eq!(listed, [("item-added", 1), ("item-removed", 2), ("reopened", 1), ("receipt-finalized", 1)]);
}

/// A schema without what only a document of its own has.
fn bare(mut schema: Value) -> Value {
    let root = schema.as_object_mut().expect("a schema here is an object");
    root.remove("$schema");
    root.remove("title");
    schema
}

#[test]
fn the_schema_of_an_event_is_its_payloads() {
    assert_eq!(bare(schema_from(listed("item-added").schema)), bare(schema_of::<ItemAdded>()));
}

#[test]
fn the_schema_of_named_fields_is_that_of_a_struct_with_them() {
    let expected = json!({
        "type": "object",
        "description": "A line went away.",
        "properties": {
            "refundAmount": { "type": "integer", "format": "uint64", "minimum": 0, "description": "What came back." },
            "reason": { "type": ["string", "null"] },
            "at": { "type": "string" }
        },
        "required": ["refundAmount", "at"]
    });
    let mut schema = bare(schema_from(listed("item-removed").schema));
    // How schemars writes down a default is its own affair.
    schema["properties"]["reason"].as_object_mut().unwrap().remove("default");
    assert_eq!(schema, expected);
    assert_eq!(schema_from(listed("receipt-finalized").schema)["type"], "object");
}

#[test]
fn a_name_that_is_not_listed_is_an_unknown_event() {
    let refused = ReceiptEvent::decode("receipt-burnt", b"{}").unwrap_err();
    assert!(matches!(&refused, DecodeError::UnknownEvent { name } if name == "receipt-burnt"), "{refused:?}");
    // The variant's Rust name is not its name.
    assert!(matches!(ReceiptEvent::decode("removed", b"{}"), Err(DecodeError::UnknownEvent { .. })));
}

#[test]
fn data_that_does_not_fit_is_refused_with_the_events_name() {
    for (name, data) in [
        ("item-added", r#"{"name":"Tea"}"#),
        ("item-removed", r#"{"refundAmount":5,"at":61}"#),
        ("receipt-finalized", "null"),
        ("receipt-finalized", "{"),
    ] {
        let refused = ReceiptEvent::decode(name, data.as_bytes()).unwrap_err();
        assert!(matches!(&refused, DecodeError::Data { name: of, .. } if of == name), "{name}: {refused:?}");
    }
}

#[test]
fn upcasters_come_from_the_function_named_on_the_enum() {
    let brought = ReceiptEvent::upcasters().upcast("item-removed", 1, br#"{"refundAmount":5}"#).unwrap();
    let [UpcastEvent { name, version, data }] = brought.as_slice() else { panic!("{brought:?}") };
    assert_eq!(*version, listed(name).schema_version);
    let event = ReceiptEvent::decode(name, data.to_string().as_bytes()).unwrap();
    assert_eq!(event, ReceiptEvent::Removed { refund_amount: 5, reason: None, minute: 0 });
}

#[test]
fn a_command_may_return_payloads_and_events_alone_or_together() {
    let added = ItemAdded { name: "Tea".to_owned(), line_total: 7 };
    let event = ReceiptEvent::from(added.clone());
    let events: Vec<ReceiptEvent> = (vec![added.clone(), added], Some(removed())).into_events();
    assert_eq!(events, [event.clone(), event, removed()]);

    assert_eq!(<ItemAdded as IntoEvents<ReceiptEvent>>::event_names(), ["item-added"]);
    let all = <ReceiptEvent as IntoEvents<ReceiptEvent>>::event_names();
    assert_eq!(all, ["item-added", "item-removed", "reopened", "receipt-finalized"]);
}

/// A text that says so when it is cloned.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Heavy(String);

impl Clone for Heavy {
    fn clone(&self) -> Self {
        panic!("a heavy text was cloned")
    }
}

#[derive(Clone, Event)]
enum HeavyEvent {
    Named { text: Heavy },
    Payload(HeavyPayload),
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct HeavyPayload {
    text: Heavy,
}

#[test]
fn writing_and_reading_clone_nothing() {
    let text = || Heavy("a".repeat(10));
    for event in [HeavyEvent::Named { text: text() }, HeavyPayload { text: text() }.into()] {
        let written = event.encode().unwrap();
        assert_eq!(written, br#"{"text":"aaaaaaaaaa"}"#);
        match HeavyEvent::decode(event.name(), &written).unwrap() {
            HeavyEvent::Named { text } | HeavyEvent::Payload(HeavyPayload { text }) => assert_eq!(text.0.len(), 10),
        }
    }
}

mod names_that_could_clash {
    //! A variant has the name of a type in one of its fields, fields have the names of the
    //! trait's parameters, and the prelude is shadowed.

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Moved {
        to: u8,
    }

    #[allow(dead_code, reason = "they are here to be in the way")]
    mod shadows {
        pub(super) struct Result;
        pub(super) struct Option;
        pub(super) struct Vec;
        pub(super) struct String;
    }
    #[allow(unused_imports, reason = "they are here to be in the way")]
    use shadows::*;

    #[derive(Debug, Clone, PartialEq, Event)]
    enum Clash {
        Moved { moved: Moved, name: u8, data: u8, r#type: u8 },
    }

    #[test]
    fn they_do_not() {
        let event = Clash::Moved { moved: Moved { to: 9 }, name: 1, data: 2, r#type: 3 };
        let written = event.encode().unwrap();
        assert_eq!(written, br#"{"moved":{"to":9},"name":1,"data":2,"type":3}"#);
        assert_eq!(Clash::decode("moved", &written).unwrap(), event);
    }
}

mod an_enum_that_serializes_itself_too {
    //! Its own serde attributes are about the enum as a value, say in a log, and not about the journal.

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Both {
        #[serde(rename = "b")]
        WasBoth { some_field: u8 },
    }

    #[test]
    fn keeps_the_two_forms_apart() {
        let both = Both::WasBoth { some_field: 1 };
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"{"kind":"b","some_field":1}"#);
        assert_eq!(both.encode().unwrap(), br#"{"someField":1}"#);
    }
}
