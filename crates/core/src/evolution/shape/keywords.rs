//! The keywords of one schema object, apart from those that combine schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::alternative::{Alternative, Elements, Kind, Members, Size, is_same};
use super::number::{End, Number, Range};
use super::{Side, Unclear};
use crate::evolution::plain;

static BOOLEANS: [Value; 2] = [Value::Bool(false), Value::Bool(true)];

/// What is understood; what else there is, is compared as text.
const UNDERSTOOD: [&str; 28] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
    "unevaluatedProperties",
    "uniqueItems",
];

type Schema = Map<String, Value>;

fn wrong(keyword: &str) -> Unclear {
    Unclear(format!("the keyword `{keyword}` has a value that makes no sense"))
}

/// The alternatives as the schema's own keywords have them, one for each kind of value.
pub(super) fn own<'a>(side: Side<'a>, schema: &'a Schema) -> Result<Vec<Alternative<'a>>, Unclear> {
    let (values, unknown) = (values(schema)?, unknown(side, schema));
    let mut alternatives = Vec::new();
    for (kind, is_integer) in kinds(schema)? {
        let mut alternative = Alternative::any(kind);
        alternative.is_declared = schema.contains_key("type");
        alternative.is_integer = is_integer;
        alternative.unknown.extend(unknown.clone());
        alternative.values = match (&values, kind) {
            (Some(values), _) => Some(values.iter().filter(|value| Kind::of(value) == kind).copied().collect()),
            (None, Kind::Boolean) => Some(BOOLEANS.iter().collect()),
            (None, _) => None,
        };
        if alternative.values.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        match kind {
            Kind::Null | Kind::Boolean => {}
            Kind::Number => numbers(schema, &mut alternative)?,
            Kind::Text => texts(schema, &mut alternative)?,
            Kind::Array => arrays(side, schema, &mut alternative)?,
            Kind::Object => objects(side, schema, &mut alternative)?,
        }
        alternatives.push(alternative);
    }
    Ok(alternatives)
}

/// The values that `enum` and `const` leave.
pub(super) fn values(schema: &Schema) -> Result<Option<Vec<&Value>>, Unclear> {
    let listed = match schema.get("enum") {
        None => None,
        Some(Value::Array(values)) => Some(values.iter().collect::<Vec<_>>()),
        Some(_) => return Err(wrong("enum")),
    };
    Ok(match (listed, schema.get("const")) {
        (Some(listed), Some(only)) => Some(listed.into_iter().filter(|value| is_same(value, only)).collect()),
        (listed, only) => listed.or(only.map(|only| vec![only])),
    })
}

/// The schemas in the list at `keyword`.
pub(super) fn schemas<'a>(schema: &'a Schema, keyword: &str) -> Result<Vec<&'a Value>, Unclear> {
    match schema.get(keyword) {
        None => Ok(Vec::new()),
        Some(Value::Array(schemas)) => Ok(schemas.iter().collect()),
        Some(_) => Err(wrong(keyword)),
    }
}

fn kinds(schema: &Schema) -> Result<Vec<(Kind, bool)>, Unclear> {
    let named = match schema.get("type") {
        None => return Ok(Kind::ALL.into_iter().map(|kind| (kind, false)).collect()),
        Some(Value::Array(names)) => names.iter().collect(),
        Some(name) => vec![name],
    };
    let kind = |name: &Value| match name.as_str() {
        Some("null") => Ok((Kind::Null, false)),
        Some("boolean") => Ok((Kind::Boolean, false)),
        Some("integer") => Ok((Kind::Number, true)),
        Some("number") => Ok((Kind::Number, false)),
        Some("string") => Ok((Kind::Text, false)),
        Some("array") => Ok((Kind::Array, false)),
        Some("object") => Ok((Kind::Object, false)),
        _ => Err(wrong("type")),
    };
    named.into_iter().map(kind).collect()
}

fn numbers<'a>(schema: &'a Schema, into: &mut Alternative<'a>) -> Result<(), Unclear> {
    let end = |keyword: &str, is_open: bool| match schema.get(keyword) {
        None => Ok(None),
        Some(Value::Number(number)) => match Number::of(number) {
            Some(at) => Ok(Some(End { at, is_open })),
            None => Err(wrong(keyword)),
        },
        Some(_) => Err(wrong(keyword)),
    };
    into.range = Range { low: end("minimum", false)?, high: end("maximum", false)? }
        .and(Range { low: end("exclusiveMinimum", true)?, high: end("exclusiveMaximum", true)? });
    if let Some(format) = text(schema, "format")? {
        match integers(format) {
            Some(range) => into.range = into.range.and(range),
            // Every number fits a double, as far as it fits one anywhere.
            None if format == "double" => {}
            None => _ = into.formats.insert(format),
        }
    }
    if into.is_integer {
        into.range = into.range.rounded();
    }
    Ok(())
}

/// The numbers that Rust's integer types hold, which are formats to schemars.
fn integers(format: &str) -> Option<Range> {
    let signed = |bits: u32| Range::whole(-(1 << (bits - 1)), Some((1 << (bits - 1)) - 1));
    let unsigned = |bits: u32| Range::whole(0, Some((1 << bits) - 1));
    Some(match format {
        "int8" => signed(8),
        "int16" => signed(16),
        "int32" => signed(32),
        "int64" | "int" => signed(64),
        "int128" => Range::whole(i128::MIN, Some(i128::MAX)),
        "uint8" => unsigned(8),
        "uint16" => unsigned(16),
        "uint32" => unsigned(32),
        "uint64" | "uint" => unsigned(64),
        "uint128" => Range::whole(0, None),
        _ => return None,
    })
}

fn texts<'a>(schema: &'a Schema, into: &mut Alternative<'a>) -> Result<(), Unclear> {
    into.size = size(schema, "minLength", "maxLength")?;
    into.patterns.extend(text(schema, "pattern")?);
    into.formats.extend(text(schema, "format")?);
    Ok(())
}

fn arrays<'a>(side: Side<'a>, schema: &'a Schema, into: &mut Alternative<'a>) -> Result<(), Unclear> {
    into.size = size(schema, "minItems", "maxItems")?;
    into.is_unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
    let (first, rest) = (schemas(schema, "prefixItems")?, schema.get("items"));
    if !first.is_empty() || rest.is_some() {
        into.elements.push(Elements { side, first, rest });
    }
    Ok(())
}

fn objects<'a>(side: Side<'a>, schema: &'a Schema, into: &mut Alternative<'a>) -> Result<(), Unclear> {
    into.size = size(schema, "minProperties", "maxProperties")?;
    into.required = required(schema)?;
    let (named, patterns) = (by_name(schema, "properties")?, by_name(schema, "patternProperties")?);
    let others = schema.get("additionalProperties");
    if !named.is_empty() || !patterns.is_empty() || others.is_some() {
        into.members.push(Members { side, named, patterns, others });
    }
    Ok(())
}

fn required(schema: &Schema) -> Result<BTreeSet<&str>, Unclear> {
    let names = schemas(schema, "required")?;
    names.into_iter().map(|name| name.as_str().ok_or_else(|| wrong("required"))).collect()
}

fn by_name<'a>(schema: &'a Schema, keyword: &str) -> Result<BTreeMap<&'a str, Option<&'a Value>>, Unclear> {
    match schema.get(keyword) {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(members)) => {
            Ok(members.iter().map(|(name, schema)| (name.as_str(), Some(schema))).collect())
        }
        Some(_) => Err(wrong(keyword)),
    }
}

fn size(schema: &Schema, least: &str, most: &str) -> Result<Size, Unclear> {
    Ok(Size { least: count(schema, least)?.unwrap_or_default(), most: count(schema, most)? })
}

fn count(schema: &Schema, keyword: &str) -> Result<Option<u64>, Unclear> {
    let Some(value) = schema.get(keyword) else { return Ok(None) };
    value.as_u64().map(Some).ok_or_else(|| wrong(keyword))
}

fn text<'a>(schema: &'a Schema, keyword: &str) -> Result<Option<&'a str>, Unclear> {
    match schema.get(keyword) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(keyword)),
    }
}

/// The rules that are not understood, as one text: some of them only mean something together. Where they
/// refer to other parts of the document, all of that belongs to them.
fn unknown(side: Side<'_>, schema: &Schema) -> Option<String> {
    let rules =
        schema.iter().filter(|(keyword, _)| !UNDERSTOOD.contains(&keyword.as_str()) && !plain::is_annotation(keyword));
    let rules: Map<_, _> = rules.map(|(keyword, value)| (keyword.clone(), value.clone())).collect();
    if rules.is_empty() {
        return None;
    }
    let text = Value::Object(rules).to_string();
    let is_complete = !text.contains("\"$ref\"");
    Some(if is_complete { text } else { format!("{text} in {}", side.root) })
}
