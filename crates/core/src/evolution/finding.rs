//! What a reader cannot take of what a writer may have, in words.

use serde_json::Value;

use super::shape::{Alternative, End, Kind};

/// One place where a reader cannot take what a writer may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// A JSON Pointer into the data, with `*` for any element or any member; empty for the whole.
    pub(super) path: String,
    pub(super) clash: Clash,
}

/// What stands against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clash {
    /// The writer may have values of this sort, and the reader nothing of the kind.
    Sort(String),
    /// The writer may have any values, and the reader only knows these.
    Listed(String),
    /// The reader needs a member that the writer may leave out.
    Missing,
    /// The writer may have a member that the reader refuses.
    Unexpected,
    /// The reader only takes what is described here.
    Only(String),
    /// Nobody can tell, for this reason.
    Unclear(String),
}

impl Clash {
    /// The sentence about it. Both are in the plural, or it makes no difference.
    pub(super) fn told(&self, writer: &str, reader: &str) -> String {
        match self {
            Self::Sort(what) => format!("{writer} may have {what} here, which {reader} cannot take"),
            Self::Listed(values) => format!("{reader} can only take {values} here, and {writer} may have others"),
            Self::Missing => format!("{reader} cannot do without it, and {writer} may leave it out"),
            Self::Unexpected => {
                format!("{writer} may have it, and {reader} cannot take members that are not known there")
            }
            Self::Only(what) => format!("{reader} can only take {what} here, and {writer} may have others"),
            Self::Unclear(why) => format!("nobody can tell whether {reader} can take what {writer} may have: {why}"),
        }
    }
}

pub(super) fn above(low: End) -> Clash {
    Clash::Only(match low.is_open {
        true => format!("numbers above {}", low.at),
        false => format!("numbers from {}", low.at),
    })
}

pub(super) fn below(high: End) -> Clash {
    Clash::Only(match high.is_open {
        true => format!("numbers below {}", high.at),
        false => format!("numbers up to {}", high.at),
    })
}

/// What has a size, and what it consists of.
pub(super) fn of_size(kind: Kind, how_many: &str, count: u64) -> Clash {
    let (what, of) = match kind {
        Kind::Text => ("texts", "character"),
        Kind::Array => ("lists", "element"),
        _ => ("objects", "member"),
    };
    let plural = if count == 1 { "" } else { "s" };
    Clash::Only(format!("{what} of {how_many} {count} {of}{plural}"))
}

/// One value, cut where it is long.
pub(super) fn value(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Several values, as far as a reader of the message wants to know.
pub(super) fn values(listed: &[&Value]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<_> = listed.iter().take(SHOWN).map(|listed| value(listed)).collect();
    let more = if listed.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// What the values of an alternative are; variants of an enum by what sets them apart.
pub(super) fn sort(alternative: &Alternative<'_>) -> String {
    match alternative.kind {
        Kind::Null => "null".to_owned(),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Number if alternative.is_integer => "whole numbers".to_owned(),
        Kind::Number => "numbers".to_owned(),
        Kind::Text => "texts".to_owned(),
        Kind::Array => "lists".to_owned(),
        Kind::Object => object(alternative),
    }
}

fn object(alternative: &Alternative<'_>) -> String {
    let tag = alternative.required.iter().find_map(|name| {
        let nodes = alternative.member(name);
        let tag = nodes.iter().find_map(|node| node.schema.get("const"))?;
        Some(format!("objects with `{name}` {}", value(tag)))
    });
    let named = || match Vec::from_iter(alternative.required.iter().take(3).map(|name| format!("`{name}`"))) {
        names if names.is_empty() => "objects".to_owned(),
        names => format!("objects with {}", names.join(", ")),
    };
    tag.unwrap_or_else(named)
}
