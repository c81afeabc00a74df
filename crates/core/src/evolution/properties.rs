//! The comparison against the validator: where it finds nothing, every value that fits the one schema fits
//! the other. Schemas are made up, changed at random places, and filled with values.

use std::cell::Cell;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use super::compare::{findings, is_part_of};
use crate::schema::PayloadValidator;

/// Few names, so that members meet.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// How many values each pair of schemas is tried with.
const VALUES: usize = 12;

/// How deep values are nested before they end.
const DEEPEST: usize = 6;

fn leaf() -> impl Strategy<Value = Value> {
    let bound = -3..4_i32;
    prop_oneof![
        3 => Just(json!({ "type": "string" })),
        2 => Just(json!({ "type": "integer" })),
        2 => select(vec!["uint8", "int8", "uint16", "uint64"]).prop_map(|format| json!({ "type": "integer", "format": format })),
        2 => (bound.clone(), 0..4_i32).prop_map(|(low, span)| json!({ "type": "integer", "minimum": low, "maximum": low + span })),
        1 => bound.clone().prop_map(|low| json!({ "type": "number", "exclusiveMinimum": low })),
        1 => bound.prop_map(|high| json!({ "type": "number", "maximum": high })),
        1 => Just(json!({ "type": "boolean" })),
        1 => Just(json!({ "type": "null" })),
        1 => Just(json!({ "type": ["string", "null"] })),
        2 => (0..3_u64, 0..3_u64).prop_map(|(least, more)| json!({ "type": "string", "minLength": least, "maxLength": least + more })),
        1 => select(vec!["^a", "^[0-9]+$"]).prop_map(|pattern| json!({ "type": "string", "pattern": pattern })),
        1 => Just(json!({ "type": "string", "format": "uuid" })),
        2 => select(vec![json!(["x"]), json!(["x", "y"]), json!([1, "x", null]), json!([true])]).prop_map(|values| json!({ "enum": values })),
        1 => Just(json!({ "const": "x" })),
        1 => Just(json!(true)),
        2 => select(vec!["#/$defs/One", "#/$defs/Other", "#"]).prop_map(|reference| json!({ "$ref": reference })),
    ]
}

/// Whatever may be said about members that have no name.
fn others(schema: BoxedStrategy<Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![4 => Just(None), 2 => Just(Some(json!(false))), 1 => schema.prop_map(Some)]
}

fn object(schema: &BoxedStrategy<Value>) -> impl Strategy<Value = Value> + use<> {
    let members = btree_map(select(NAMES.as_slice()), (schema.clone(), any::<bool>()), 1..4);
    (members, others(schema.clone())).prop_map(|(members, others)| {
        let required: Vec<_> =
            members.iter().filter(|(_, (_, is_required))| *is_required).map(|(name, _)| *name).collect();
        let properties: Map<_, _> =
            members.iter().map(|(name, (schema, _))| ((*name).to_owned(), schema.clone())).collect();
        let mut object = json!({ "type": "object", "properties": properties, "required": required });
        if let Some(others) = others {
            object["additionalProperties"] = others;
        }
        object
    })
}

fn inside() -> BoxedStrategy<Value> {
    leaf()
        .prop_recursive(3, 16, 4, |schema| {
            let object = object(&schema).boxed();
            let tagged = vec(object.clone(), 1..4).prop_map(|variants| {
                let tagged = variants.into_iter().zip(NAMES).map(|(mut variant, tag)| {
                    variant["properties"]["tag"] = json!({ "const": tag });
                    variant["required"].as_array_mut().unwrap().push(json!("tag"));
                    variant
                });
                json!({ "oneOf": tagged.collect::<Vec<_>>() })
            });
            let external = vec(schema.clone(), 1..4).prop_map(|variants| {
                let variants = variants.into_iter().zip(NAMES).map(|(inside, name)| {
                    json!({ "type": "object", "properties": { name: inside }, "required": [name], "additionalProperties": false })
                });
                json!({ "oneOf": variants.collect::<Vec<_>>() })
            });
            prop_oneof![
                4 => object.clone(),
                1 => tagged,
                1 => external,
                1 => vec(schema.clone(), 1..4).prop_map(|branches| json!({ "anyOf": branches })),
                1 => vec(schema.clone(), 1..3).prop_map(|branches| json!({ "oneOf": branches })),
                1 => schema.clone().prop_map(|inside| json!({ "anyOf": [inside, { "type": "null" }] })),
                1 => (object.clone(), object).prop_map(|(one, other)| json!({ "allOf": [one, other] })),
                2 => (schema.clone(), any::<bool>()).prop_map(|(items, is_unique)| json!({ "type": "array", "items": items, "uniqueItems": is_unique })),
                1 => (vec(schema, 1..3), 0..3_u64).prop_map(|(first, most)| json!({ "type": "array", "prefixItems": first, "maxItems": most })),
            ]
        })
        .boxed()
}

/// A whole schema, with definitions that may refer to themselves and each other.
fn whole() -> impl Strategy<Value = Value> {
    let inside = inside();
    (object(&inside), object(&inside), inside).prop_map(|(mut root, one, other)| {
        root["$defs"] = json!({ "One": one, "Other": other });
        root
    })
}

/// A change at one place of a schema.
#[derive(Debug, Clone)]
enum Change {
    /// Leaves out a keyword, or a part of what it lists.
    Remove(Index, Index),
    Insert(&'static str, Value),
    AddMember(&'static str, Value, bool),
    AddBranch(Value),
    Nullable,
    Replace(Value),
}

fn change() -> impl Strategy<Value = Change> {
    let keyword = select(vec![
        ("minimum", json!(0)),
        ("maximum", json!(3)),
        ("exclusiveMaximum", json!(2)),
        ("minLength", json!(1)),
        ("maxLength", json!(2)),
        ("pattern", json!("^a")),
        ("format", json!("uint8")),
        ("format", json!("uuid")),
        ("additionalProperties", json!(false)),
        ("unevaluatedProperties", json!(false)),
        ("minProperties", json!(1)),
        ("maxProperties", json!(2)),
        ("minItems", json!(1)),
        ("maxItems", json!(1)),
        ("uniqueItems", json!(true)),
        ("type", json!("number")),
        ("type", json!(["integer", "string", "null"])),
        ("enum", json!(["x", "y", 1])),
        ("multipleOf", json!(2)),
        ("not", json!({ "type": "null" })),
    ]);
    prop_oneof![
        4 => (any::<Index>(), any::<Index>()).prop_map(|(keyword, part)| Change::Remove(keyword, part)),
        4 => keyword.prop_map(|(keyword, value)| Change::Insert(keyword, value)),
        3 => (select(NAMES.as_slice()), inside(), prop::bool::weighted(0.2))
            .prop_map(|(name, schema, is_required)| Change::AddMember(name, schema, is_required)),
        2 => inside().prop_map(Change::AddBranch),
        2 => Just(Change::Nullable),
        1 => inside().prop_map(Change::Replace),
    ]
}

/// Every place in `schema` that is a schema itself.
fn places(schema: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    let Value::Object(keywords) = schema else { return };
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(schemas)) => {
                schemas.iter().for_each(|(name, schema)| places(schema, &format!("{at}/{keyword}/{name}"), into));
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                let schemas = schemas.iter().enumerate();
                schemas.for_each(|(index, schema)| places(schema, &format!("{at}/{keyword}/{index}"), into));
            }
            ("items" | "additionalProperties", schema) => places(schema, &format!("{at}/{keyword}"), into),
            _ => {}
        }
    }
}

fn changed(mut schema: Value, changes: &[(Index, Change)]) -> Value {
    for (place, change) in changes {
        let mut all = Vec::new();
        places(&schema, "", &mut all);
        let place = place.get(&all);
        let here = schema.pointer_mut(place).unwrap();
        match change {
            Change::Replace(other) if !place.is_empty() => *here = other.clone(),
            Change::Nullable if !place.is_empty() => *here = json!({ "anyOf": [here.clone(), { "type": "null" }] }),
            Change::Replace(_) | Change::Nullable => {}
            Change::Remove(keyword, part) => remove(here, *keyword, *part),
            Change::Insert(keyword, value) => insert(here, keyword, value),
            Change::AddMember(name, member, is_required) => {
                if here.get("properties").is_some() {
                    here["properties"][name] = member.clone();
                    if *is_required && let Some(Value::Array(required)) = here.get_mut("required") {
                        required.retain(|other| other != name);
                        required.push(json!(name));
                    }
                }
            }
            Change::AddBranch(branch) => {
                let Some(keywords) = here.as_object_mut() else { continue };
                for keyword in ["anyOf", "oneOf", "enum"] {
                    match (keyword, keywords.get_mut(keyword)) {
                        ("enum", Some(Value::Array(values))) => values.push(json!("z")),
                        (_, Some(Value::Array(branches))) => branches.push(branch.clone()),
                        _ => {}
                    }
                }
            }
        }
    }
    schema
}

/// Formats of integers stand where the type says integer, as schemars has it; the validator does not know them.
fn insert(schema: &mut Value, keyword: &str, value: &Value) {
    let Value::Object(keywords) = schema else { return };
    if keyword == "format" && value == "uint8" && keywords.get("type") != Some(&json!("integer")) {
        return;
    }
    if keyword == "type" {
        keywords.remove("format");
    }
    keywords.insert(keyword.to_owned(), value.clone());
}

fn remove(schema: &mut Value, keyword: Index, part: Index) {
    let Value::Object(keywords) = schema else { return };
    let removable: Vec<_> = keywords.keys().filter(|keyword| *keyword != "$defs").cloned().collect();
    if removable.is_empty() {
        return;
    }
    let keyword = keyword.get(&removable);
    if keyword == "type" {
        keywords.remove("format");
    }
    match &mut keywords[keyword] {
        Value::Array(parts) if parts.len() > 1 => _ = parts.remove(part.index(parts.len())),
        Value::Object(parts) if !parts.is_empty() && keyword == "properties" => {
            let name = part.get(&parts.keys().cloned().collect::<Vec<_>>()).clone();
            parts.remove(&name);
        }
        _ => _ = keywords.remove(keyword),
    }
}

/// Makes up values as a program with a type of this schema writes them. They need not fit; that is asked of
/// the validator.
struct Writer<'a> {
    root: &'a Value,
    random: StdRng,
}

impl Writer<'_> {
    fn whole(&mut self) -> Value {
        self.value(self.root, DEEPEST)
    }

    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        let Value::Object(keywords) = schema else { return self.anything() };
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            let root = self.root;
            return self.value(root.pointer(&reference[1..]).unwrap(), depth);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = keywords.get(keyword) {
                return self.one_of(branches).map_or(Value::Null, |branch| self.value(&branch, depth));
            }
        }
        if let Some(Value::Array(parts)) = keywords.get("allOf") {
            let mut all = Map::new();
            for part in parts {
                if let Value::Object(members) = self.value(part, depth) {
                    all.extend(members);
                }
            }
            return Value::Object(all);
        }
        if let Some(only) = keywords.get("const") {
            return only.clone();
        }
        if let Some(Value::Array(values)) = keywords.get("enum") {
            return self.one_of(values).unwrap_or(Value::Null);
        }
        let kind = match keywords.get("type") {
            Some(Value::Array(kinds)) => self.one_of(kinds),
            kind => kind.cloned(),
        };
        match kind.as_ref().and_then(Value::as_str) {
            Some("null") => Value::Null,
            Some("boolean") => json!(self.random.random::<bool>()),
            Some("integer") => self.integer(keywords),
            Some("number") => json!(f64::from(self.random.random_range(-8..9_i32)) / 2.0),
            Some("string") => self.text(keywords),
            Some("array") => self.array(keywords, depth),
            Some("object") => self.object(keywords, depth),
            _ => self.anything(),
        }
    }

    fn one_of(&mut self, values: &[Value]) -> Option<Value> {
        values.choose(&mut self.random).cloned()
    }

    fn anything(&mut self) -> Value {
        let all = [
            json!(null),
            json!(true),
            json!(-1),
            json!(0.5),
            json!(300),
            json!("x"),
            json!(""),
            json!([]),
            json!({ "a": 1 }),
        ];
        self.one_of(&all).unwrap()
    }

    fn integer(&mut self, keywords: &Map<String, Value>) -> Value {
        let (low, high) = match keywords.get("format").and_then(Value::as_str) {
            Some("uint8") => (0, 255),
            Some("int8") => (-128, 127),
            Some("uint16") => (0, 65_535),
            Some("uint64") => (0, u64::MAX.into()),
            _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
        };
        let bound = |keyword: &str| keywords.get(keyword).and_then(Value::as_i64).map(i128::from);
        let low = low.max(bound("minimum").unwrap_or(low)).max(bound("exclusiveMinimum").unwrap_or(low));
        let high = high.min(bound("maximum").unwrap_or(high)).min(bound("exclusiveMaximum").unwrap_or(high));
        // The ends are where it breaks.
        let all = [low, low + 1, 0, 1, 2, high - 1, high].into_iter().filter(|value| (low..=high).contains(value));
        let all: Vec<_> = all
            .filter_map(|value| i64::try_from(value).map(Value::from).or(u64::try_from(value).map(Value::from)).ok())
            .collect();
        self.one_of(&all).unwrap_or(Value::Null)
    }

    fn text(&mut self, keywords: &Map<String, Value>) -> Value {
        if keywords.get("format") == Some(&json!("uuid")) {
            return json!("6f1c3d0e-9b52-5f5a-8a77-2d41c0be11d3");
        }
        self.one_of(&["", "x", "y", "a", "ab", "a11", "0", "17", "xyz", "abcd"].map(Value::from)).unwrap()
    }

    fn array(&mut self, keywords: &Map<String, Value>, depth: usize) -> Value {
        let most = keywords.get("maxItems").and_then(Value::as_u64).unwrap_or(3).min(3);
        let count = if depth == 0 { 0 } else { self.random.random_range(0..=most) };
        let elements = (0..count as usize).map(|index| {
            let schema = keywords.get("prefixItems").and_then(|first| first.get(index)).or(keywords.get("items"));
            self.value(schema.unwrap_or(&Value::Bool(true)), depth.saturating_sub(1))
        });
        Value::Array(elements.collect())
    }

    fn object(&mut self, keywords: &Map<String, Value>, depth: usize) -> Value {
        let mut members = Map::new();
        let none = Map::new();
        let named = keywords.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required: Vec<_> = keywords.get("required").and_then(Value::as_array).into_iter().flatten().collect();
        for (name, schema) in named {
            let is_required = required.iter().any(|required| *required == name);
            if is_required || depth > 0 && self.random.random() {
                // Some schemas only have values without end.
                let member = depth.checked_sub(1).map_or(Value::Null, |depth| self.value(schema, depth));
                members.insert(name.clone(), member);
            }
        }
        if let Some(others) = keywords.get("additionalProperties").filter(|others| **others != json!(false)) {
            for name in NAMES.into_iter().chain(["tag", "else"]) {
                if depth > 0 && !named.contains_key(name) && self.random.random_bool(0.3) {
                    members.insert(name.to_owned(), self.value(others, depth - 1));
                }
            }
        }
        Value::Object(members)
    }
}

/// Whether a schema refers back to itself without going into a member or an element.
fn is_circular(root: &Value, schema: &Value, nesting: usize) -> bool {
    let Value::Object(keywords) = schema else { return false };
    let referred = keywords.get("$ref").and_then(Value::as_str).and_then(|reference| root.pointer(&reference[1..]));
    let parts =
        ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|keyword| keywords.get(keyword)?.as_array()).flatten();
    nesting == 0 || parts.chain(referred).any(|part| is_circular(root, part, nesting - 1))
}

fn is_sound(schema: &Value) -> bool {
    let mut all = Vec::new();
    places(schema, "", &mut all);
    !all.iter().any(|place| is_circular(schema, schema.pointer(place).unwrap(), 20))
}

/// The validator of a schema in which formats of integers are spelled out as the ranges they are.
fn validator(schema: &Value) -> PayloadValidator {
    let mut spelled = schema.clone();
    let mut all = Vec::new();
    places(schema, "", &mut all);
    for place in all {
        let Some(Value::Object(keywords)) = spelled.pointer_mut(&place) else { continue };
        let (low, high) = match keywords.get("format").and_then(Value::as_str) {
            Some("uint8") => (0, u64::from(u8::MAX)),
            Some("int8") => (i64::from(i8::MIN), 127),
            Some("uint16") => (0, u64::from(u16::MAX)),
            Some("uint64") => (0, u64::MAX),
            _ => continue,
        };
        keywords.insert("allOf".to_owned(), json!([{ "minimum": low, "maximum": high }]));
    }
    PayloadValidator::new("made up", &spelled).unwrap()
}

/// How often the comparison found nothing, and how often something that a value shows as well.
#[derive(Default)]
struct Tally {
    compatible: Cell<usize>,
    shown: Cell<usize>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

/// Runs `check` on schemas and what changes make of them.
fn run(cases: u32, check: impl Fn(&Value, &Value, &Value, u64) -> Result<(), TestCaseError>) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        max_global_rejects: 4 * cases,
        ..Config::default()
    };
    let changes = || vec((any::<Index>(), change()), 1..3);
    TestRunner::new(config)
        .run(&(whole(), changes(), changes(), any::<u64>()), |(first, changes, further, seed)| {
            let second = changed(first.clone(), &changes);
            let third = changed(second.clone(), &further);
            prop_assume!(first != second);
            prop_assume!([&first, &second, &third].into_iter().all(is_sound));
            check(&first, &second, &third, seed)
        })
        .unwrap();
}

/// A value that fits `old` and not `new`.
fn counterexample(old: &Value, new: &Value, seed: u64) -> Option<Value> {
    let (fits_old, fits_new) = (validator(old), validator(new));
    let mut writer = Writer { root: old, random: StdRng::seed_from_u64(seed) };
    let mut values = (0..VALUES).map(|_| writer.whole());
    values.find(|value| fits_old.check(value).is_ok() && fits_new.check(value).is_err())
}

#[test]
fn where_the_comparison_finds_nothing_every_value_of_the_old_schema_fits_the_new_one() {
    let tally = Tally::default();
    run(600, |old, new, _, seed| {
        let found = findings(old, new);
        let example = counterexample(old, new, seed);
        match (found.is_empty(), &example) {
            (true, None) => count(&tally.compatible),
            (true, Some(value)) => prop_assert!(false, "{value} is in\n{old}\nand not in\n{new}"),
            (false, Some(_)) => count(&tally.shown),
            // Rare values, and where the comparison errs on the safe side.
            (false, None) => {}
        }
        Ok(())
    });
    let (compatible, shown) = (tally.compatible.get(), tally.shown.get());
    assert!(compatible >= 200 && shown >= 10, "{compatible} compatible pairs, {shown} others shown by a value");
}

#[test]
fn a_schema_that_is_part_of_a_later_one_need_not_be_kept_beside_it() {
    let parts = Cell::new(0);
    run(300, |first, second, third, seed| {
        if is_part_of(first, second) && findings(second, third).is_empty() {
            let example = counterexample(first, third, seed);
            prop_assert!(example.is_none(), "{example:?} is in\n{first}\nand not in\n{third}\nafter\n{second}");
            count(&parts);
        }
        Ok(())
    });
    assert!(parts.get() >= 20, "{} schemas that are part of later ones", parts.get());
}

#[test]
fn a_schema_is_compatible_with_itself() {
    run(100, |schema, changed, _, _| {
        for schema in [schema, changed] {
            let found = findings(schema, &schema.clone());
            prop_assert!(found.is_empty() && is_part_of(schema, &schema.clone()), "{found:?} in {schema}");
        }
        Ok(())
    });
}
