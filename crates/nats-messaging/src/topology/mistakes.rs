//! What is wrong with a topology file: every mistake with its place, so that it can be put right at once.

use std::fmt;
use std::sync::Arc;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong with a topology file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// The field, by way of the stream or consumer it belongs to: `streams.ORDERS.max_age`. Empty where the file as a
    /// whole cannot be read.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.is_empty() {
            true => write!(f, "{}: {}", self.place, self.message),
            false => write!(f, "{}: {}: {}", self.place, self.field, self.message),
        }
    }
}

/// A topology file was refused: everything that is wrong with it, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// What is wrong, at least one thing.
    #[must_use]
    pub fn all(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Gathers mistakes while a file is looked through.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<Mistake>);

impl Found {
    pub(crate) fn add(&mut self, place: &Place, field: impl Into<String>, message: impl Into<String>) {
        let mistake = Mistake { place: place.clone(), field: field.into(), message: message.into() };
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// Whether something was found there already.
    pub(crate) fn has(&self, place: &Place, field: &str) -> bool {
        self.0.iter().any(|mistake| mistake.place == *place && mistake.field == field)
    }

    /// Whether something was found wrong with a field, wherever.
    pub(crate) fn has_field(&self, field: &str) -> bool {
        self.0.iter().any(|mistake| mistake.field == field)
    }

    pub(crate) fn into_result(mut self) -> Result<(), Mistakes> {
        self.0.sort_by(|one, other| one.place.cmp(&other.place));
        if self.0.is_empty() { Ok(()) } else { Err(Mistakes(self.0)) }
    }
}
