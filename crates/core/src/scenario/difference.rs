//! What was expected beside what came, one line each.

use std::fmt;

use serde_json::Value;

use crate::{Event, Rejection};

/// One thing that a command led to, in a form that can be compared and shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    what: &'static str,
    name: String,
    data: Value,
}

impl Line {
    pub(super) fn event<E: Event>(event: &E) -> Self {
        let data = match event.encode() {
            Ok(data) => serde_json::from_slice(&data)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&data).into_owned())),
            Err(error) => Value::String(format!("cannot be written: {error}")),
        };
        Self { what: "", name: event.name().to_owned(), data }
    }

    pub(super) fn rejection<R: Rejection>(rejection: &R) -> Self {
        let data = Value::Object(rejection.members());
        Self { what: "rejected: ", name: rejection.name().to_owned(), data }
    }

    pub(super) fn unavailable(dependency: &str) -> Self {
        Self { what: "unavailable: ", name: dependency.to_owned(), data: Value::Null }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.what, self.name)?;
        if self.data.is_null() { Ok(()) } else { write!(f, " {}", self.data) }
    }
}

/// The lines beside each other, `-` for expected and `+` for actual; none when they are the same.
pub(super) fn difference(expected: &[Line], actual: &[Line]) -> Option<String> {
    if expected == actual {
        return None;
    }
    let mut shown = Vec::new();
    for place in 0..expected.len().max(actual.len()) {
        match (expected.get(place), actual.get(place)) {
            (Some(expected), Some(actual)) if expected == actual => shown.push(format!("    {actual}")),
            (expected, actual) => {
                shown.extend(expected.map(|line| format!("  - {line}")));
                shown.extend(actual.map(|line| format!("  + {line}")));
            }
        }
    }
    for (lines, sign) in [(expected, '-'), (actual, '+')] {
        if lines.is_empty() {
            shown.push(format!("  {sign} nothing"));
        }
    }
    Some(shown.join("\n"))
}
