//! Whether single values fit a schema.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shape::{Alternative, Kind, Node, Number, Unclear, expand, is_same, matches};
use crate::schema::PayloadValidator;

/// Whether `value` fits all of these.
pub(super) fn fits(value: &Value, nodes: &[Node<'_>]) -> Result<bool, Unclear> {
    for alternative in &expand(nodes)? {
        if fits_alternative(value, alternative)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `value` fits this alternative.
pub(super) fn fits_alternative(value: &Value, alternative: &Alternative<'_>) -> Result<bool, Unclear> {
    if Kind::of(value) != alternative.kind
        || alternative.values.as_ref().is_some_and(|values| !values.iter().any(|listed| is_same(listed, value)))
        || !fits_by_itself(value, alternative)
        || !fits_inside(value, alternative)?
    {
        return Ok(false);
    }
    for other in &alternative.excluded {
        if fits_alternative(value, other)? {
            return Ok(false);
        }
    }
    match alternative.unknown.first() {
        Some(rule) => Err(Unclear(format!("the rule {rule} is not understood"))),
        None => Ok(true),
    }
}

/// Whether the value fits apart from what is inside it.
fn fits_by_itself(value: &Value, alternative: &Alternative<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => Number::of(number)
            .is_some_and(|number| alternative.range.has(number) && (!alternative.is_integer || number.is_whole())),
        Value::String(text) => {
            alternative.size.has(text.chars().count())
                && alternative.patterns.iter().all(|pattern| matches(pattern, text))
                && alternative.formats.iter().all(|format| has_format(text, format))
        }
        Value::Array(elements) => {
            let texts: BTreeSet<_> = elements.iter().map(Value::to_string).collect();
            alternative.size.has(elements.len()) && (!alternative.is_unique || texts.len() == elements.len())
        }
        Value::Object(members) => {
            alternative.size.has(members.len()) && alternative.required.iter().all(|name| members.contains_key(*name))
        }
    }
}

fn fits_inside(value: &Value, alternative: &Alternative<'_>) -> Result<bool, Unclear> {
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                if !fits(element, &alternative.element(index))? {
                    return Ok(false);
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if !fits(member, &alternative.member(name))? {
                    return Ok(false);
                }
            }
        }
        _ => {}
    }
    Ok(true)
}

fn has_format(text: &str, format: &str) -> bool {
    let schema = json!({ "format": format });
    PayloadValidator::new("format", &schema).is_ok_and(|validator| validator.check(&text.into()).is_ok())
}
