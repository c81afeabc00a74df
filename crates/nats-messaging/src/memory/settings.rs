//! How a stream in memory is declared.

use std::time::Duration;

use crate::consume::name_flaw;
use crate::subject;

/// A stream in memory: which subjects it takes and how much it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryStream {
    /// Its name.
    pub name: String,
    /// The subjects it takes, with wildcards.
    pub subjects: Vec<String>,
    /// How many messages it holds at the most. 100 000 by default.
    pub max_messages: usize,
    /// How many bytes it holds at the most: bodies, headers and subjects. 64 MiB by default.
    pub max_bytes: usize,
    /// What happens to a message that finds it full.
    pub when_full: WhenFull,
    /// How long an id is remembered, by which a repetition is known. 2 minutes by default; of as many messages as the stream
    /// may hold.
    pub duplicate_window: Duration,
}

/// What happens to a message that finds its stream full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is not stored, and whoever publishes it is told.
    #[default]
    Refuse,
    /// The oldest messages go, whether they were read or not.
    DropOldest,
}

impl MemoryStream {
    /// A stream that takes these subjects.
    pub fn new<S: Into<String>>(name: impl Into<String>, subjects: impl IntoIterator<Item = S>) -> Self {
        Self {
            name: name.into(),
            subjects: subjects.into_iter().map(Into::into).collect(),
            max_messages: 100_000,
            max_bytes: 64 * 1024 * 1024,
            when_full: WhenFull::default(),
            duplicate_window: Duration::from_secs(120),
        }
    }

    /// Whether it takes all that a pattern takes.
    pub(super) fn takes(&self, pattern: &str) -> bool {
        self.subjects.iter().any(|subject| subject::covers(subject, pattern))
    }

    /// What is wrong with it by itself.
    pub(super) fn flaw(&self) -> Option<String> {
        if let Some(flaw) = name_flaw("name", &self.name) {
            return Some(flaw);
        }
        for (place, one) in self.subjects.iter().enumerate() {
            if let Some(flaw) = subject::pattern_flaw(one) {
                return Some(format!("subjects: `{one}` is no pattern: {flaw}"));
            }
            if let Some(other) = self.subjects[..place].iter().find(|other| subject::overlaps(other, one)) {
                return Some(format!("subjects: `{other}` and `{one}` overlap"));
            }
        }
        if self.subjects.is_empty() {
            return Some("subjects: there are none".to_owned());
        }
        (self.max_messages == 0).then(|| "max_messages: with 0 nothing could be stored".to_owned())
    }

    /// The subject of this one and that of another stream that both would take.
    pub(super) fn overlap<'a>(&'a self, other: &'a Self) -> Option<(&'a str, &'a str)> {
        self.subjects.iter().find_map(|mine| {
            let theirs = other.subjects.iter().find(|theirs| subject::overlaps(mine, theirs))?;
            Some((mine.as_str(), theirs.as_str()))
        })
    }
}

/// A stream that cannot be declared so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream `{stream}` cannot be declared: {reason}")]
pub struct StreamRefused {
    /// Its name.
    pub stream: String,
    /// What is wrong, with the setting's name.
    pub reason: String,
}
