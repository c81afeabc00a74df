//! Why a router does not start.

use std::fmt;

use crate::consume::ConsumeError;
use crate::exchange::ListenError;

/// Why a router does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It is not as it should be: all that is wrong with it. Nothing was started.
    #[error("the router cannot start: {}", list(.0))]
    Problems(Vec<Problem>),
    /// A consumer cannot be opened, or a stream not be looked up.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// Requests cannot be listened to.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What is beneath did not answer in time.
    #[error("the router cannot start: {what} took longer than {seconds} s")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
    },
}

/// One thing that is wrong with a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting: `pattern`, `service`, …
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl Problem {
    pub(super) fn new(setting: &'static str, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { setting, value: value.into(), reason: reason.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.setting, self.value, self.reason)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}
