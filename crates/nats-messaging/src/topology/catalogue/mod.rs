//! Every field that a topology file may have: what it is called in the file and on the wire, what it takes, what it is when
//! nobody sets it, and whether the server changes it in place. Reading, writing, comparing and the JSON Schema all go by it.

mod buckets;
mod consumers;
mod streams;

use serde_json::Value;

pub(crate) use self::buckets::BUCKET;
pub(crate) use self::consumers::CONSUMER;
pub(crate) use self::streams::STREAM;

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in the file.
    pub(crate) key: &'static str,
    /// Its name in the server's JSON.
    pub(crate) wire: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unset: Unset,
    pub(crate) change: Change,
    /// What it is, for the JSON Schema.
    pub(crate) about: &'static str,
}

/// What a field takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// The name of a stream, or a part of a name.
    Name,
    /// A subject, with wildcards.
    Subject,
    /// Several of them; one alone may stand without brackets.
    Subjects,
    /// Several texts.
    Texts,
    /// A length of time.
    Time,
    /// Several of them.
    Times,
    /// A number of bytes.
    Size,
    /// A number of things, within these bounds.
    Count(i64, i64),
    /// Yes or no.
    Flag,
    /// One of a few words: in the file, and on the wire.
    Choice(&'static [(&'static str, &'static str)]),
    /// A moment (RFC 3339).
    Moment,
    /// A share in percent, which is a text on the wire.
    Percent,
    /// Texts by name.
    Metadata,
    /// A table of its own.
    Table(&'static [Field]),
    /// Several tables.
    Tables(&'static [Field]),
}

/// What a field is when nobody sets it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unset {
    /// Nothing: no limit, no such thing, no.
    Nothing,
    /// This text.
    Word(&'static str),
    /// This number.
    Number(i64),
}

/// What it takes to change a field of something that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The server does it.
    InPlace,
    /// The server refuses it: the thing has to be deleted and made anew.
    Replace,
    /// The server refuses to take it back once it is set.
    NotBack,
    /// The server takes it away and refuses everything else.
    OnlyAway,
    /// The server changes what it is, but neither sets it nor takes it away.
    OnlyValue,
    /// Into this word, and from it, the server refuses it; between others it does not.
    NotThisWord(&'static str),
}

impl Field {
    const fn new(key: &'static str, wire: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { key, wire, kind, unset: Unset::Nothing, change: Change::InPlace, about }
    }

    const fn word(mut self, word: &'static str) -> Self {
        self.unset = Unset::Word(word);
        self
    }

    const fn number(mut self, number: i64) -> Self {
        self.unset = Unset::Number(number);
        self
    }

    const fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }
}

/// No bound above.
pub(crate) const ANY: i64 = i64::MAX;

impl Change {
    /// Whether the server refuses to make `wanted` out of `live`, which differ.
    pub(crate) fn is_refused(self, live: Option<&Value>, wanted: Option<&Value>) -> bool {
        match self {
            Self::InPlace => false,
            Self::Replace => true,
            Self::NotBack => wanted.is_none(),
            Self::OnlyAway => wanted.is_some(),
            Self::OnlyValue => live.is_some() != wanted.is_some(),
            Self::NotThisWord(word) => [live, wanted].iter().any(|value| value.and_then(Value::as_str) == Some(word)),
        }
    }
}
