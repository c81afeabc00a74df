//! The JSON Schema of a topology file, for editors and for whoever writes such files by program.

use serde_json::{Map, Value, json};

use super::Topology;
use super::catalogue::{ANY, BUCKET, CONSUMER, Field, Kind, STREAM};
use super::read::{BUCKET_OTHERS, BUILT_IN_NAMES, CONSUMER_OTHERS, STREAM_OTHERS};

impl Topology {
    /// The JSON Schema (2020-12) of a topology file.
    #[must_use]
    pub fn schema() -> Value {
        let list = |name: &str| json!({ "type": "array", "items": { "$ref": format!("#/$defs/{name}") } });
        let profile = json!({
            "type": "object",
            "properties": {
                "stream": object(STREAM, Map::new(), &[]),
                "consumer": object(CONSUMER, Map::new(), &[]),
            },
            "additionalProperties": false,
        });
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Headwater topology",
            "description": "Streams, consumers and key-value buckets as they are to be on a NATS server. Texts may have variables of the environment: ${NAME}, ${NAME:-default}.",
            "type": "object",
            "properties": {
                "$schema": { "type": "string" },
                "profile": profile_name(),
                "profiles": { "type": "object", "additionalProperties": profile, "description": "Profiles of one's own, by name." },
                "ignore": { "type": "array", "items": { "type": "string" }, "description": "Streams, and consumers as STREAM/NAME, that are never extra; `*` stands for any characters." },
                "streams": list("stream"),
                "dead_letters": list("stream"),
                "buckets": list("bucket"),
                "consumers": list("consumer"),
            },
            "additionalProperties": false,
            "$defs": {
                "stream": object(STREAM, others(&STREAM_OTHERS), &[]),
                "bucket": object(BUCKET, others(&BUCKET_OTHERS), &["name"]),
                "consumer": object(CONSUMER, others(&CONSUMER_OTHERS), &[]),
            },
        })
    }
}

fn others(keys: &[&str]) -> Map<String, Value> {
    keys.iter().map(|key| ((*key).to_owned(), other(key))).collect()
}

fn other(key: &str) -> Value {
    match key {
        "include" => {
            json!({ "type": "string", "description": "A file with the JSON that the nats tool writes; what is set here goes before it." })
        }
        "profile" => profile_name(),
        "mode" => json!({ "enum": ["pull", "push"], "description": "What the other fields say anyway." }),
        "stream" => name("The stream that it reads."),
        _ => name("Its name."),
    }
}

fn profile_name() -> Value {
    json!({ "type": "string", "description": "A profile, whose settings go before the defaults.", "examples": BUILT_IN_NAMES })
}

fn name(about: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^([^\s.*>/\\]|\$\{.*\})+$", "description": about })
}

fn object(fields: &[Field], mut properties: Map<String, Value>, required: &[&str]) -> Value {
    for field in fields {
        let mut schema = kind(field.kind);
        schema["description"] = json!(field.about);
        properties.insert(field.key.to_owned(), schema);
    }
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// What stands where no text is expected may be a variable.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";

fn kind(kind: Kind) -> Value {
    let variable = json!({ "type": "string", "pattern": VARIABLE });
    match kind {
        Kind::Text | Kind::Subject => json!({ "type": "string" }),
        Kind::Name => name(""),
        Kind::Moment => json!({ "type": "string", "examples": ["2026-01-31T12:00:00Z"] }),
        Kind::Subjects => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Time => time(),
        Kind::Times => json!({ "type": "array", "items": time() }),
        Kind::Size => json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": format!("^(unlimited|[0-9]+(\\.[0-9]+)? ?([kKMGT]i?)?B?|.*{VARIABLE}.*)$") },
        ], "examples": ["1GiB", "500MB"] }),
        Kind::Count(least, most) => {
            let mut number = json!({ "type": "integer", "minimum": least });
            if most != ANY {
                number["maximum"] = json!(most);
            }
            json!({ "anyOf": [number, { "const": "unlimited" }, variable] })
        }
        Kind::Percent => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 100 }, { "type": "string" }] })
        }
        Kind::Flag => json!({ "anyOf": [{ "type": "boolean" }, variable] }),
        Kind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            json!({ "anyOf": [{ "enum": words }, variable] })
        }
        Kind::Metadata => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "integer", "boolean"] } })
        }
        Kind::Table(fields) => object(fields, Map::new(), &[]),
        Kind::Tables(fields) => json!({ "type": "array", "items": object(fields, Map::new(), &[]) }),
    }
}

fn time() -> Value {
    json!({
        "type": "string",
        "pattern": format!("^(unlimited|([0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d|w))+|.*{VARIABLE}.*)$"),
        "examples": ["30s", "5m", "7d"],
    })
}
