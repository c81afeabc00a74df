//! What is wrong with settings.

use std::fmt;

/// One thing that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which setting, such as `version`.
    pub setting: String,
    /// Its value, shortened.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, reason } = self;
        if value.is_empty() { write!(f, "{setting}: {reason}") } else { write!(f, "{setting} `{value}`: {reason}") }
    }
}

/// Settings do not hold together; every problem is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings {
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if number == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidSettings {}

/// Collects problems.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds what is wrong with a setting. The value is shortened; it must be no secret.
    pub fn add(&mut self, setting: impl Into<String>, value: &dyn fmt::Display, reason: impl Into<String>) {
        let value = value.to_string().chars().take(80).collect();
        self.0.push(Problem { setting: setting.into(), value, reason: reason.into() });
    }

    /// How many there are up to now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none up to now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fine, or every problem there is up to now, of which nothing is kept.
    ///
    /// # Errors
    /// With the problems.
    pub fn none(&mut self) -> Result<(), InvalidSettings> {
        if self.0.is_empty() { Ok(()) } else { Err(InvalidSettings { problems: std::mem::take(&mut self.0) }) }
    }
}
