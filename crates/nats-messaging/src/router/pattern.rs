//! A checked subject pattern, and which of two is the more specific.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::subject;

/// The longest pattern, in bytes. Longer subjects cannot be stored either, on a server with default settings.
const LONGEST: usize = 1_024;

/// A checked subject pattern: tokens between dots, `*` for one token, a last `>` for one or more.
///
/// Patterns are ordered by how specific they are: token by token a literal comes before `*`, and `*` before `>`.
///
/// ```
/// use headwater_nats_messaging::router::Pattern;
///
/// let mut patterns = ["agent.>", "agent.*.started", "agent.7.*"].map(|text| Pattern::new(text).unwrap());
/// patterns.sort();
/// assert_eq!(patterns.each_ref().map(Pattern::as_str), ["agent.7.*", "agent.*.started", "agent.>"]);
///
/// assert!(patterns[2].matches("agent.7.started"));
/// assert_eq!(patterns[1].wildcards("agent.7.started").collect::<Vec<_>>(), ["7"]);
/// assert!(Pattern::new("agent.>.started").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<str>);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a subject pattern: {reason}")]
pub struct PatternError {
    /// The text, or its beginning.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Pattern {
    /// Checks a pattern and keeps it.
    ///
    /// # Errors
    ///
    /// When a token is empty, has white space in it, or has a wildcard beside other characters; when something follows `>`; when
    /// the pattern is longer than 1 024 bytes.
    pub fn new(pattern: impl AsRef<str>) -> Result<Self, PatternError> {
        let pattern = pattern.as_ref();
        match flaw(pattern) {
            None => Ok(Self(pattern.into())),
            Some(reason) => Err(PatternError { pattern: pattern.chars().take(80).collect(), reason }),
        }
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether it takes more than one subject.
    #[must_use]
    pub fn has_wildcards(&self) -> bool {
        self.tokens().any(|token| matches!(token, "*" | ">"))
    }

    /// Whether it takes this subject.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        subject::matches(&self.0, subject)
    }

    /// Whether it takes all subjects that the other one takes.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        subject::covers(&self.0, &other.0)
    }

    /// Whether there is a subject that both take.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        subject::overlaps(&self.0, &other.0)
    }

    /// What the wildcards stand for in a subject that the pattern takes: one text for each `*`, and one with the dots in it
    /// for `>`. For other subjects it means nothing.
    pub fn wildcards<'a>(&'a self, subject: &'a str) -> impl Iterator<Item = &'a str> {
        let mut rest = Some(subject);
        self.0.split('.').filter_map(move |token| {
            let left = rest?;
            if token == ">" {
                rest = None;
                return Some(left);
            }
            let (first, more) = match left.split_once('.') {
                Some((first, more)) => (first, Some(more)),
                None => (left, None),
            };
            rest = more;
            (token == "*").then_some(first)
        })
    }

    /// The pattern under a prefix, which is a pattern too.
    pub(crate) fn under(&self, prefix: &str) -> Result<Self, PatternError> {
        Self::new(format!("{prefix}.{}", self.0))
    }

    /// A pattern that takes what either takes, of two that overlap.
    fn widened(&self, other: &Self) -> Self {
        let mut tokens = Vec::new();
        let (mut one, mut two) = (self.tokens(), other.tokens());
        loop {
            match (one.next(), two.next()) {
                (None, None) => break,
                (Some(token), Some(with)) if token == with => tokens.push(token),
                (Some(token), Some(with)) if token != ">" && with != ">" => tokens.push("*"),
                // They overlap, so the one that goes on here is taken in by the other's `>`.
                _ => {
                    tokens.push(">");
                    break;
                }
            }
        }
        Self(tokens.join(".").into())
    }

    fn ranks(&self) -> impl Iterator<Item = (u8, &str)> {
        self.tokens().map(|token| match token {
            "*" => (1, ""),
            ">" => (2, ""),
            literal => (0, literal),
        })
    }
}

/// The fewest patterns that take all that these take, and of which no two take the same subject.
pub(crate) fn cover<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Vec<Pattern> {
    let mut cover: Vec<Pattern> = Vec::new();
    for pattern in patterns {
        let mut wide = pattern.clone();
        while let Some(at) = cover.iter().position(|known| known.overlaps(&wide)) {
            let known = cover.swap_remove(at);
            wide = if known.covers(&wide) {
                known
            } else if wide.covers(&known) {
                wide
            } else {
                wide.widened(&known)
            };
        }
        cover.push(wide);
    }
    cover.sort();
    cover
}

fn flaw(pattern: &str) -> Option<&'static str> {
    if pattern.len() > LONGEST {
        return Some("it is longer than 1024 bytes");
    }
    if pattern.split('.').any(|token| token.len() > 1 && token.contains(['*', '>'])) {
        return Some("a wildcard stands alone between dots");
    }
    if pattern.chars().any(char::is_control) {
        return Some("it contains a control character");
    }
    subject::pattern_flaw(pattern)
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ranks().cmp(other.ranks())
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.0)
    }
}

#[cfg(test)]
#[path = "pattern/tests.rs"]
mod tests;
