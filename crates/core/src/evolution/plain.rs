//! A schema without what is only there for people, so that a lock file changes when a promise does.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Whether a keyword describes and demands nothing.
pub(super) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "$schema"
            | "$comment"
            | "title"
            | "description"
            | "default"
            | "examples"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
    ) || keyword.starts_with("x-")
}

/// The whole schema without annotations, its keywords in the order of their names. A schema that is nothing
/// but a reference to a definition nobody else refers to becomes that definition.
pub(super) fn plain(schema: &Value) -> Value {
    let schema = part(schema);
    lifted(&schema).unwrap_or(schema)
}

fn lifted(schema: &Value) -> Option<Value> {
    let keywords = schema.as_object().filter(|keywords| keywords.len() == 2)?;
    let reference = keywords.get("$ref")?;
    let mut definitions = keywords.get("$defs")?.as_object()?.clone();
    let lifted = definitions.remove(reference.as_str()?.strip_prefix("#/$defs/")?)?;
    let is_used = |schema: &Value| schema.to_string().contains(&format!("\"$ref\":{reference}"));
    let Value::Object(mut keywords) = lifted else { return None };
    if definitions.values().chain(keywords.values()).any(is_used) || keywords.contains_key("$defs") {
        return None;
    }
    if !definitions.is_empty() {
        keywords.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Some(sorted(keywords.into_iter()))
}

fn part(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else { return schema.clone() };
    let kept = keywords.iter().filter(|(keyword, _)| !is_annotation(keyword));
    sorted(kept.map(|(keyword, value)| (keyword.clone(), inside(keyword, value))))
}

/// What a keyword says, with the schemas in it made plain; values and names stay what they are.
fn inside(keyword: &str, value: &Value) -> Value {
    match (keyword, value) {
        ("properties" | "patternProperties" | "$defs" | "dependentSchemas", Value::Object(schemas)) => {
            sorted(schemas.iter().map(|(name, schema)| (name.clone(), part(schema))))
        }
        ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
            Value::Array(schemas.iter().map(part).collect())
        }
        (
            "items"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "unevaluatedItems"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "contentSchema",
            schema,
        ) => part(schema),
        _ => value.clone(),
    }
}

fn sorted(members: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(members.collect::<BTreeMap<_, _>>().into_iter().collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_is_only_a_reference_becomes_what_it_refers_to() {
        let line = json!({ "type": "object", "properties": { "price": { "$ref": "#/$defs/Price" } } });
        let schema = json!({ "$ref": "#/$defs/Line", "$defs": { "Line": line, "Price": { "type": "string" } } });
        let mut lifted = line.clone();
        lifted["$defs"] = json!({ "Price": { "type": "string" } });
        assert_eq!(plain(&schema), lifted);

        let tree = json!({ "type": "object", "properties": { "left": { "$ref": "#/$defs/Tree" } } });
        let schema = json!({ "$ref": "#/$defs/Tree", "$defs": { "Tree": tree } });
        assert_eq!(plain(&schema), schema);
    }

    #[test]
    fn descriptions_go_and_members_of_that_name_stay() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Note",
            "description": "A note.",
            "type": "object",
            "properties": {
                "title": { "type": "string", "description": "What it is about.", "default": "" },
                "default": { "oneOf": [{ "const": { "title": "kept" }, "title": "gone" }] },
            },
            "$defs": { "description": { "items": { "title": "gone", "type": "null" } } },
        });
        assert_eq!(
            plain(&schema),
            json!({
                "type": "object",
                "properties": {
                    "title": { "type": "string" },
                    "default": { "oneOf": [{ "const": { "title": "kept" } }] },
                },
                "$defs": { "description": { "items": { "type": "null" } } },
            })
        );
    }
}
