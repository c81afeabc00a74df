//! What the comparison of two schemas finds, case by case: what programs that stay compatible do, and what
//! breaks, with its place. Through the door it is tested in `tests/all/evolution.rs`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compare::{findings, is_part_of};
use super::plain::plain;
use crate::schema::schema_of;

/// What a reader of `new` cannot take of what a writer of `old` may have.
fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let told = |finding: super::finding::Finding| format!("{}: {}", finding.path, finding.clash.told("old", "new"));
    findings(old, new).into_iter().map(told).collect()
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

#[test]
fn what_only_widens_is_compatible() {
    let text = json!({ "type": "string" });
    let pairs = [
        (
            "an optional member more",
            object(&json!({ "a": text }), &["a"]),
            object(&json!({ "a": text, "b": text }), &["a"]),
        ),
        ("a member less", object(&json!({ "a": text, "b": text }), &["a", "b"]), object(&json!({ "a": text }), &["a"])),
        ("a member optional", object(&json!({ "a": text }), &["a"]), object(&json!({ "a": text }), &[])),
        ("null as well", json!({ "type": "integer" }), json!({ "type": ["integer", "null"] })),
        ("whole numbers and others", json!({ "type": "integer" }), json!({ "type": "number" })),
        ("anything", object(&json!({ "a": text }), &["a"]), json!(true)),
        (
            "a wider integer",
            json!({ "type": "integer", "format": "uint32", "minimum": 0 }),
            json!({ "type": "integer", "format": "int64" }),
        ),
        (
            "a range as a format",
            json!({ "type": "integer", "format": "uint8" }),
            json!({ "type": "integer", "minimum": 0, "maximum": 255 }),
        ),
        ("an open end", json!({ "type": "number", "exclusiveMinimum": 0 }), json!({ "type": "number", "minimum": 0 })),
        (
            "a whole number above none",
            json!({ "type": "integer", "exclusiveMinimum": 0 }),
            json!({ "type": "integer", "minimum": 1 }),
        ),
        ("longer texts", json!({ "type": "string", "maxLength": 5 }), json!({ "type": "string", "maxLength": 6 })),
        ("any text for a pattern", json!({ "type": "string", "pattern": "^a" }), text.clone()),
        ("a text for a format", json!({ "type": "string", "format": "uuid" }), text.clone()),
        ("one more value", json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] })),
        (
            "values as constants",
            json!({ "type": "string", "enum": ["a", "b"] }),
            json!({ "oneOf": [{ "const": "b" }, { "const": "a" }] }),
        ),
        ("any text for values", json!({ "enum": ["a", "b"] }), text.clone()),
        (
            "values that match",
            json!({ "enum": ["ab", "ac"] }),
            json!({ "type": "string", "pattern": "^a", "maxLength": 2 }),
        ),
        ("true and false as values", json!({ "type": "boolean" }), json!({ "enum": [true, false, null] })),
        (
            "a list for a set",
            json!({ "type": "array", "items": text, "uniqueItems": true }),
            json!({ "type": "array", "items": text }),
        ),
        (
            "a list for a pair",
            json!({ "type": "array", "prefixItems": [text, text], "minItems": 2, "maxItems": 2 }),
            json!({ "type": "array", "items": text }),
        ),
        (
            "a map for members",
            object(&json!({ "a": text }), &["a"]),
            json!({ "type": "object", "additionalProperties": text }),
        ),
        (
            "any map for a map of numbers",
            json!({ "type": "object", "patternProperties": { "^\\d+$": text }, "additionalProperties": false }),
            json!({ "type": "object", "additionalProperties": text }),
        ),
        (
            "a definition instead",
            object(&json!({ "a": text }), &["a"]),
            json!({ "$ref": "#/$defs/A%20~1", "$defs": { "A /": object(&json!({ "a": { "$ref": "#/$defs/T" } }), &["a"]), "T": text } }),
        ),
        (
            "parts of a whole",
            object(&json!({ "a": text, "b": text }), &["a", "b"]),
            json!({ "allOf": [object(&json!({ "a": text }), &["a"]), object(&json!({ "b": text }), &["b"])] }),
        ),
        ("nothing for anything", json!(false), text.clone()),
        (
            "the same rule nobody knows",
            json!({ "type": "integer", "multipleOf": 3, "minimum": 3 }),
            json!({ "type": "integer", "multipleOf": 3 }),
        ),
    ];
    for (what, old, new) in pairs {
        assert_eq!(breaks(&old, &new), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn what_narrows_is_found_at_its_place() {
    let text = json!({ "type": "string" });
    let pairs = [
        (
            object(&json!({}), &[]),
            object(&json!({ "a": text }), &["a"]),
            "/a: new cannot do without it, and old may leave it out",
        ),
        (object(&json!({ "a": text }), &[]), object(&json!({ "a": text }), &["a"]), "/a: new cannot do without it"),
        (
            object(&json!({ "a": text }), &["a"]),
            object(&json!({ "a": { "type": "integer" } }), &[]),
            "/a: old may have texts here, which new cannot take",
        ),
        (
            object(&json!({ "a": text }), &["a"]),
            json!({ "type": "object", "additionalProperties": false }),
            "/a: old may have it, and new cannot take members",
        ),
        (
            object(&json!({ "a~/": text }), &[]),
            json!({ "type": "object", "additionalProperties": false }),
            "/a~0~1: old may have it",
        ),
        (json!({ "type": ["integer", "null"] }), json!({ "type": "integer" }), ": old may have null here"),
        (json!({ "type": "number" }), json!({ "type": "integer" }), ": new can only take whole numbers here"),
        (
            json!({ "type": "integer" }),
            json!({ "type": "integer", "minimum": 1 }),
            ": new can only take numbers from 1 here",
        ),
        (
            json!({ "type": "number", "minimum": 0 }),
            json!({ "type": "number", "exclusiveMinimum": 0 }),
            ": new can only take numbers above 0 here",
        ),
        (
            json!({ "type": "integer", "format": "uint64", "minimum": 0 }),
            json!({ "type": "integer", "format": "uint32", "minimum": 0 }),
            ": new can only take numbers up to 4294967295 here",
        ),
        (
            json!({ "type": "number", "format": "double" }),
            json!({ "type": "number", "format": "float" }),
            ": new can only take numbers of the format `float` here",
        ),
        (
            text.clone(),
            json!({ "type": "string", "minLength": 1 }),
            ": new can only take texts of at least 1 character here",
        ),
        (
            text.clone(),
            json!({ "type": "string", "maxLength": 5 }),
            ": new can only take texts of at most 5 characters here",
        ),
        (
            json!({ "type": "string", "pattern": "^a" }),
            json!({ "type": "string", "pattern": "^b" }),
            ": new can only take texts that match `^b` here",
        ),
        (
            text.clone(),
            json!({ "type": "string", "format": "uuid" }),
            ": new can only take texts of the format `uuid` here",
        ),
        (json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] }), ": old may have \"b\" here"),
        (text.clone(), json!({ "enum": ["a", "b"] }), ": new can only take \"a\", \"b\" here"),
        (json!({ "enum": ["a", "b"] }), json!({ "type": "string", "pattern": "^a" }), ": old may have \"b\" here"),
        (
            json!({ "type": "array", "items": text }),
            json!({ "type": "array", "items": { "type": "boolean" } }),
            "/*: old may have texts here",
        ),
        (
            json!({ "type": "array", "items": text }),
            json!({ "type": "array", "items": text, "minItems": 1 }),
            ": new can only take lists of at least 1 element here",
        ),
        (
            json!({ "type": "array", "items": text }),
            json!({ "type": "array", "items": text, "uniqueItems": true }),
            ": new can only take lists in which nothing is twice",
        ),
        (
            json!({ "type": "array", "prefixItems": [text, text], "maxItems": 2 }),
            json!({ "type": "array", "prefixItems": [text, { "type": "null" }] }),
            "/1: old may have texts here",
        ),
        (
            json!({ "type": "object", "additionalProperties": text }),
            json!({ "type": "object", "additionalProperties": { "type": "null" } }),
            "/*: old may have texts here",
        ),
        (
            json!({ "type": "object", "additionalProperties": text }),
            object(&json!({ "a": { "type": "null" } }), &[]),
            "/a: old may have texts here",
        ),
        (
            json!({ "type": "object", "additionalProperties": text }),
            json!({ "type": "object", "patternProperties": { "^\\d+$": text }, "additionalProperties": false }),
            "/*: old may have it",
        ),
        (
            json!({ "type": "object", "patternProperties": { "^a": text } }),
            json!({ "type": "object", "patternProperties": { "^b": { "type": "null" } } }),
            "/*: old may have texts here",
        ),
        (
            json!({ "type": "object", "patternProperties": { "^a": text } }),
            object(&json!({ "ab": { "type": "null" } }), &[]),
            "/ab: old may have texts here",
        ),
        (json!(true), object(&json!({}), &[]), ": old may have null here"),
        (
            json!({ "type": "integer" }),
            json!({ "type": "integer", "multipleOf": 3 }),
            ": nobody can tell whether new can take what old may have: the rule {\"multipleOf\":3} is not",
        ),
        (
            json!({ "type": "integer" }),
            json!({ "$ref": "https://example.com/" }),
            ": nobody can tell whether new can take what old may have: the reference",
        ),
        (
            text.clone(),
            json!({ "oneOf": [{ "type": "string" }, { "type": "string", "maxLength": 9 }] }),
            "it may fit more than one branch of a `oneOf`",
        ),
        (
            json!({ "enum": ["a"] }),
            json!({ "oneOf": [{ "type": "string" }, { "enum": ["a"] }] }),
            ": old may have \"a\" here",
        ),
        (json!({ "type": "integer" }), json!({ "allOf": [{ "$ref": "#" }] }), "its references lead in a circle"),
        (
            json!({ "type": "object", "x-old": 1, "not": { "required": ["a"] } }),
            json!({ "type": "object", "x-new": 1 }),
            "the rule {\"not\":{\"required\":[\"a\"]}} is not understood",
        ),
    ];
    for (old, new, told) in pairs {
        let found = breaks(&old, &new);
        assert!(found.iter().any(|found| found.contains(told)), "{old}\n-> {new}\nshould say {told:?}, says {found:?}");
    }
}

#[test]
fn schemas_with_too_many_alternatives_are_given_up_on() {
    let either = |index: usize| {
        let member = |kind: &str| json!({ "properties": { (index.to_string()): { "type": kind } } });
        json!({ "anyOf": [member("null"), member("string")] })
    };
    let all: Vec<_> = (0..30).map(either).collect();
    let found = breaks(&object(&json!({}), &[]), &json!({ "allOf": all }));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("there are more than 512 alternatives"), "{found:?}");
}

#[test]
fn every_place_that_breaks_is_named_and_nothing_else() {
    let old = json!({
        "type": "object",
        "properties": {
            "lines": { "type": "array", "items": { "$ref": "#/$defs/Line" } },
            "kept": { "$ref": "#/$defs/Line" },
            "note": { "type": ["string", "null"] },
        },
        "required": ["lines", "note"],
        "$defs": { "Line": object(&json!({ "name": { "type": "string" }, "price": { "type": "integer" } }), &["name", "price"]) },
    });
    let mut new = old.clone();
    new["$defs"]["Line"]["properties"]["price"]["type"] = json!("string");
    new["$defs"]["Line"]["properties"]["vat"] = json!({ "type": "integer" });
    new["$defs"]["Line"]["required"] = json!(["name", "price", "vat"]);
    new["properties"]["note"]["type"] = json!("string");
    let found = breaks(&old, &new);
    let places: Vec<_> = found.iter().map(|found| found.split(':').next().unwrap()).collect();
    assert_eq!(places, ["/kept/price", "/kept/vat", "/lines/*/price", "/lines/*/vat", "/note"], "{found:#?}");
    assert_eq!(breaks(&old, &old), Vec::<String>::new());
}

fn breaks_of<Old: JsonSchema, New: JsonSchema>() -> Vec<String> {
    breaks(&plain(&schema_of::<Old>()), &plain(&schema_of::<New>()))
}

/// The enums that serde can make, in two versions each.
mod enums {
    use super::*;

    macro_rules! versions {
        ($($(#[$how:meta])* $name:ident)*) => { $(
            pub(super) mod $name {
                use super::*;

                /// Cash or a card.
                #[derive(Serialize, Deserialize, JsonSchema)]
                $(#[$how])*
                pub(in super::super) enum Old {
                    /// In coins and notes.
                    Cash,
                    Card { number: String },
                }

                #[derive(Serialize, Deserialize, JsonSchema)]
                $(#[$how])*
                pub(in super::super) enum Longer {
                    Cash,
                    Card { number: String, holder: Option<String> },
                    Cheque { bank: u64 },
                }

                #[derive(Serialize, Deserialize, JsonSchema)]
                $(#[$how])*
                pub(in super::super) enum Stricter {
                    Cash,
                    Card { number: String, holder: String },
                }

                #[derive(Serialize, Deserialize, JsonSchema)]
                $(#[$how])*
                pub(in super::super) enum Shorter {
                    Cash,
                    Cheque { bank: u64 },
                }
            }
        )* };
    }

    versions! {
        external
        #[serde(tag = "kind")] internal
        #[serde(tag = "kind", content = "with")] adjacent
        #[serde(untagged)] untagged
        #[serde(tag = "kind", deny_unknown_fields)] strict
    }
}

#[test]
fn enums_of_every_representation_may_get_variants_and_optional_members() {
    use enums::*;

    assert_eq!(breaks_of::<external::Old, external::Longer>(), [""; 0]);
    assert_eq!(breaks_of::<internal::Old, internal::Longer>(), [""; 0]);
    assert_eq!(breaks_of::<adjacent::Old, adjacent::Longer>(), [""; 0]);
    assert_eq!(breaks_of::<untagged::Old, untagged::Longer>(), [""; 0]);
    assert_eq!(breaks_of::<strict::Old, strict::Longer>(), [""; 0]);
}

#[test]
fn a_member_that_a_variant_needs_is_found_in_enums_of_every_representation() {
    use enums::*;

    let needed = |path: &str| [format!("{path}: new cannot do without it, and old may leave it out")];
    assert_eq!(breaks_of::<external::Old, external::Stricter>(), needed("/Card/holder"));
    assert_eq!(breaks_of::<internal::Old, internal::Stricter>(), needed("/holder"));
    assert_eq!(breaks_of::<adjacent::Old, adjacent::Stricter>(), needed("/with/holder"));
    assert_eq!(breaks_of::<untagged::Old, untagged::Stricter>(), needed("/holder"));
    assert_eq!(breaks_of::<strict::Old, strict::Stricter>(), needed("/holder"));
}

#[test]
fn a_variant_that_is_gone_is_found_in_enums_of_every_representation() {
    use enums::*;

    let gone = |what: &str| [format!(": old may have objects with {what} here, which new cannot take")];
    assert_eq!(breaks_of::<external::Longer, external::Shorter>(), gone("`Card`"));
    assert_eq!(breaks_of::<internal::Longer, internal::Shorter>(), gone("`kind` \"Card\""));
    assert_eq!(breaks_of::<adjacent::Longer, adjacent::Shorter>(), gone("`kind` \"Card\""));
    assert_eq!(breaks_of::<strict::Longer, strict::Shorter>(), gone("`kind` \"Card\""));
    assert!(!breaks_of::<untagged::Longer, untagged::Shorter>().is_empty());
}

#[test]
fn a_member_that_a_strict_variant_no_longer_has_is_found_at_its_place() {
    let refused = breaks_of::<enums::strict::Longer, enums::strict::Old>();
    assert_eq!(
        refused,
        [
            "/holder: old may have it, and new cannot take members that are not known there",
            ": old may have objects with `kind` \"Cheque\" here, which new cannot take",
        ]
    );
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Tree {
    Leaf { value: i32 },
    Branch { children: Vec<Self>, by_name: BTreeMap<String, Self> },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[schemars(rename = "Renamed")]
enum Grown {
    Leaf { value: i64 },
    Branch { children: Vec<Self>, by_name: BTreeMap<String, Self>, height: Option<u8> },
}

#[test]
fn schemas_that_refer_to_themselves_are_compared_to_their_end() {
    assert_eq!(breaks_of::<Tree, Grown>(), [""; 0]);
    let narrower = breaks_of::<Grown, Tree>();
    assert!(!narrower.is_empty());
    assert!(narrower.iter().all(|found| found.starts_with("/value: new can only take numbers ")), "{narrower:#?}");
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Everything {
    id: uuid::Uuid,
    at: chrono::DateTime<chrono::Utc>,
    letter: char,
    small: i8,
    big: u128,
    part: f32,
    nothing: (),
    anything: Value,
    pair: (u8, String),
    four: [u16; 4],
    set: BTreeSet<String>,
    by_number: BTreeMap<u32, bool>,
    duration: std::time::Duration,
    outcome: Result<u8, String>,
    not_none: std::num::NonZeroU32,
    odd: Option<std::num::NonZeroI16>,
    kind: Option<enums::external::Old>,
    tree: Box<Tree>,
    #[serde(flatten)]
    flat: enums::internal::Old,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Further {
    #[serde(flatten)]
    before: Everything,
    further: Option<u8>,
}

#[test]
fn types_of_all_sorts_are_understood() {
    assert_eq!(breaks_of::<Everything, Everything>(), [""; 0]);
    let changed = breaks_of::<Everything, Further>();
    // What else there is is any value, and might be called so.
    let told: Vec<_> = changed.iter().filter(|told| !told.starts_with("/further: ")).collect();
    assert_eq!(told, [""; 0]);
    assert!(breaks_of::<Further, Everything>().is_empty(), "{:?}", breaks_of::<Further, Everything>());
}

#[test]
fn a_part_mentions_nothing_that_the_whole_does_not() {
    let text = json!({ "type": "string" });
    let (small, large) = (object(&json!({ "a": text }), &[]), object(&json!({ "a": text, "b": text }), &[]));
    assert!(is_part_of(&small, &large) && !is_part_of(&large, &small));
    assert!(is_part_of(&large, &large));
    assert!(breaks(&large, &small).is_empty(), "although it can be read");
    let inside = |schema: &Value| json!({ "type": "array", "items": schema });
    assert!(is_part_of(&inside(&small), &inside(&large)) && !is_part_of(&inside(&large), &inside(&small)));
}
