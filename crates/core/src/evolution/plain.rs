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

/// The schema without annotations, its keywords in the order of their names.
pub(super) fn plain(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else { return schema.clone() };
    let kept = keywords.iter().filter(|(keyword, _)| !is_annotation(keyword));
    sorted(kept.map(|(keyword, value)| (keyword.clone(), inside(keyword, value))))
}

/// What a keyword says, with the schemas in it made plain; values and names stay what they are.
fn inside(keyword: &str, value: &Value) -> Value {
    match (keyword, value) {
        ("properties" | "patternProperties" | "$defs" | "dependentSchemas", Value::Object(schemas)) => {
            sorted(schemas.iter().map(|(name, schema)| (name.clone(), plain(schema))))
        }
        ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
            Value::Array(schemas.iter().map(plain).collect())
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
        ) => plain(schema),
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
