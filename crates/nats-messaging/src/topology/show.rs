//! Values as the file writes them.

use serde_json::{Map, Value, json};

use super::catalogue::{Field, Kind};
use super::form::Config;
use super::units;

/// A value of the server's as a file has it.
pub(super) fn in_file(kind: Kind, value: &Value) -> Value {
    match (kind, value) {
        (Kind::Time, Value::Number(number)) => json!(units::time(number.as_i64().unwrap_or_default())),
        (Kind::Times, Value::Array(items)) => items.iter().map(|item| in_file(Kind::Time, item)).collect(),
        (Kind::Size, Value::Number(number)) => json!(units::size(number.as_i64().unwrap_or_default())),
        (Kind::Count(..), Value::Number(number)) if number.as_i64() == Some(-1) => json!("unlimited"),
        (Kind::Percent, Value::String(text)) => {
            text.parse::<i64>().map_or_else(|_| value.clone(), |share| json!(share))
        }
        (Kind::Choice(words), Value::String(text)) => {
            json!(words.iter().find(|(_, wire)| wire == text).map_or(text.as_str(), |(word, _)| word))
        }
        (Kind::Table(fields), Value::Object(config)) => Value::Object(table_in_file(fields, config)),
        (Kind::Tables(fields), Value::Array(items)) => {
            items.iter().map(|item| in_file(Kind::Table(fields), item)).collect()
        }
        _ => value.clone(),
    }
}

fn table_in_file(fields: &[Field], config: &Config) -> Map<String, Value> {
    let known = fields.iter().filter_map(|field| Some((field, config.get(field.wire)?)));
    known.map(|(field, value)| (field.key.to_owned(), in_file(field.kind, value))).collect()
}

/// A value of a file in TOML, on one line.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        // JSON's escapes are TOML's too, but for DEL, which JSON leaves as it is.
        Value::String(text) => json!(text).to_string().replace('\u{7f}', "\\u007f"),
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("{} = {}", bare(key), toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A key of TOML.
pub(super) fn bare(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { key.to_owned() } else { toml(&json!(key)) }
}
