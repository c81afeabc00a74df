//! JSON Schemas: how they are made, and payloads checked against them.

mod violation;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use crate::Violation;
pub(crate) use violation::misfit;

/// The dialect of every schema here.
pub(crate) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// How many violations a refusal lists; a hostile payload could have thousands.
const MAX_VIOLATIONS: usize = 20;

/// The JSON Schema (2020-12) of `T`, complete in itself.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    generate(|generator| generator.root_schema_for::<T>())
}

/// The JSON Schema that `make` writes, complete in itself.
#[must_use]
pub fn schema_from(make: fn(&mut SchemaGenerator) -> Schema) -> Value {
    generate(|generator| {
        let mut schema = make(generator);
        schema.insert("$schema".to_owned(), DRAFT.into());
        let definitions = generator.take_definitions(true);
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
        schema
    })
}

fn generate(make: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    make(&mut generator).to_value()
}

/// A schema compiled once, to check payloads with.
///
/// Formats (`uuid`, `date-time`, …) are checked, patterns run on a linear-time engine, and
/// references to other documents are never followed.
#[derive(Debug)]
pub struct PayloadValidator(jsonschema::Validator);

/// A schema that cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("the JSON Schema of {of} cannot be used: {reason}")]
pub struct SchemaError {
    of: String,
    reason: String,
}

impl PayloadValidator {
    /// Compiles `schema`; `of` says whose it is when that fails.
    ///
    /// # Errors
    /// [`SchemaError`] when it is no valid schema or refers to another document.
    pub fn new(of: &str, schema: &Value) -> Result<Self, SchemaError> {
        jsonschema::options()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map(Self)
            .map_err(|error| SchemaError { of: of.to_owned(), reason: error.to_string() })
    }

    /// Checks a payload. The time it takes grows with the payload's size; it goes down into the
    /// payload as deep as that is nested, so the payload has to come from a reader with a limit
    /// (`serde_json` stops at 128 levels).
    ///
    /// # Errors
    /// Its violations, at most 20 of them. Their texts are short and do not repeat the payload's
    /// values.
    pub fn check(&self, payload: &Value) -> Result<(), Vec<Violation>> {
        // Two passes: the yes-or-no one is several times cheaper, and nearly every payload passes it.
        if self.0.is_valid(payload) {
            return Ok(());
        }
        let violations = self.0.iter_errors(payload).take(MAX_VIOLATIONS).map(|error| {
            let path = error.instance_path().as_str();
            let text =
                unexpected_members(payload, &error).unwrap_or_else(|| error.masked_with("the value").to_string());
            violation::violation(path, &text)
        });
        Err(violations.collect())
    }
}

/// Names the members of an object that may have none. The library does so where an object may have some, and otherwise
/// only says that a schema is `false`.
fn unexpected_members(payload: &Value, error: &ValidationError<'_>) -> Option<String> {
    let is_closed = matches!(error.kind(), ValidationErrorKind::FalseSchema)
        && error.schema_path().as_str().ends_with("/additionalProperties");
    let object = payload.pointer(error.instance_path().as_str())?.as_object().filter(|_| is_closed)?;
    let names: Vec<_> = object.keys().take(MAX_VIOLATIONS).map(|name| format!("'{name}'")).collect();
    let verb = if names.len() == 1 { "was" } else { "were" };
    Some(format!("Additional properties are not allowed ({} {verb} unexpected)", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn violations_say_where_and_do_not_repeat_the_value() {
        let schema = json!({
            "type": "object",
            "properties": { "price": { "type": "string", "pattern": "^[0-9]+$" } },
            "required": ["price", "name"]
        });
        let validator = PayloadValidator::new("add-item", &schema).unwrap();
        assert!(validator.check(&json!({ "price": "5", "name": "x" })).is_ok());
        let violations = validator.check(&json!({ "price": "secret" })).unwrap_err();
        assert_eq!(violations.len(), 2, "{violations:?}");
        assert!(violations.iter().any(|violation| violation.path == "/price"), "{violations:?}");
        assert!(violations.iter().all(|violation| !violation.message.contains("secret")), "{violations:?}");
    }

    #[test]
    fn members_of_an_object_that_may_have_none_are_named_as_elsewhere() {
        let closed = |properties| json!({ "type": "object", "properties": properties, "additionalProperties": false });
        let told = |schema, payload| {
            let schema = json!({ "type": "array", "items": schema });
            let validator = PayloadValidator::new("list", &schema).unwrap();
            let [violation] = &validator.check(&json!([payload])).unwrap_err()[..] else { panic!("one violation") };
            (violation.path.clone(), violation.message.clone())
        };
        let one = json!({ "now": "secret" });
        let unexpected = "Additional properties are not allowed ('now' was unexpected)";
        for schema in [
            closed(json!({})),
            closed(json!({ "later": true })),
            json!({ "type": "object", "additionalProperties": false }),
        ] {
            assert_eq!(told(schema, one.clone()), ("/0".to_owned(), unexpected.to_owned()));
        }
        let two = json!({ "now": 1, "then": 2 });
        let unexpected = "Additional properties are not allowed ('now', 'then' were unexpected)";
        assert_eq!(told(closed(json!({})), two), ("/0".to_owned(), unexpected.to_owned()));
    }

    #[test]
    fn formats_are_checked() {
        let schema = json!({ "type": "string", "format": "uuid" });
        let validator = PayloadValidator::new("id", &schema).unwrap();
        assert!(validator.check(&json!("not a uuid")).is_err());
    }

    #[test]
    fn a_reference_to_another_document_is_refused() {
        let schema = json!({ "$ref": "https://example.com/schema.json" });
        assert!(PayloadValidator::new("remote", &schema).is_err());
    }

    #[test]
    fn a_flood_of_violations_is_cut() {
        let schema = json!({ "type": "array", "items": { "type": "string" } });
        let validator = PayloadValidator::new("list", &schema).unwrap();
        let payload = Value::Array(vec![json!(1); 10_000]);
        assert_eq!(validator.check(&payload).unwrap_err().len(), MAX_VIOLATIONS);
    }
}
