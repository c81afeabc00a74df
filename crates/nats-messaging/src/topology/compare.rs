//! What a live configuration has otherwise than it should.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::catalogue::{BUCKET, CONSUMER, Field, Kind, STREAM};
use super::form::Config;
use super::model::StreamKind;
use super::show;

/// One field that is otherwise than it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The field, by its name in a topology file.
    pub field: String,
    /// What the server has, as a file would write it; none where it has nothing, such as no limit.
    pub live: Option<Value>,
    /// What the file says.
    pub wanted: Option<Value>,
    /// Whether the server refuses to change this of something that exists.
    pub needs_replace: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "(none)".to_owned(), show::toml);
        write!(f, "{}: {} -> {}", self.field, text(&self.live), text(&self.wanted))
    }
}

/// What a stream has otherwise. Both configurations are in the form of [`form::stream`](super::form::stream).
pub(super) fn streams(kind: StreamKind, live: &Config, wanted: &Config) -> Vec<Difference> {
    let mut differences = differences(STREAM, live, wanted);
    if kind == StreamKind::Bucket {
        for difference in &mut differences {
            let wire = STREAM.iter().find(|field| field.key == difference.field).map(|field| field.wire);
            if let Some(field) = BUCKET.iter().find(|field| Some(field.wire) == wire) {
                difference.field = field.key.to_owned();
            }
        }
    }
    differences
}

/// The same of a consumer.
pub(super) fn consumers(live: &Config, wanted: &Config) -> Vec<Difference> {
    differences(CONSUMER, live, wanted)
}

fn differences(fields: &[Field], live: &Config, wanted: &Config) -> Vec<Difference> {
    let mut differences = Vec::new();
    for field in fields {
        let (live, wanted) = (live.get(field.wire), wanted.get(field.wire));
        if live == wanted {
            continue;
        }
        let needs_replace = field.change.is_refused(live, wanted);
        if matches!(field.kind, Kind::Metadata) {
            differences.extend(entries(field.key, live, wanted));
            continue;
        }
        let shown = |value: Option<&Value>| value.map(|value| show::in_file(field.kind, value));
        differences.push(Difference {
            field: field.key.to_owned(),
            live: shown(live),
            wanted: shown(wanted),
            needs_replace,
        });
    }
    differences
}

fn entries(key: &str, live: Option<&Value>, wanted: Option<&Value>) -> Vec<Difference> {
    let names = |value: Option<&Value>| {
        value
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|entries| entries.keys().cloned())
            .collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<_> = names(live).union(&names(wanted)).cloned().collect();
    let of = |value: Option<&Value>, name: &str| value.and_then(|value| value.get(name)).cloned();
    let entry = |name: String| Difference {
        field: format!("{key}.{}", show::bare(&name)),
        live: of(live, &name),
        wanted: of(wanted, &name),
        needs_replace: false,
    };
    all.into_iter().map(entry).filter(|difference| difference.live != difference.wanted).collect()
}
