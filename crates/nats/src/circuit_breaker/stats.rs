//! How a circuit is, and what it has seen, as statistics tell it.

use std::fmt;

use serde::Serialize;

/// How a circuit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// Nothing is asked.
    Open,
    /// A few calls find out whether it works again; also when the time of being open has passed and nobody has come since.
    HalfOpen,
}

impl CircuitState {
    /// As statistics write it, such as `half-open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }

    /// As metrics write it: 0 closed, 1 half-open, 2 open.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a circuit is, and what it has seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CircuitStats {
    /// How it is.
    pub state: CircuitState,
    /// How long until the next try, in milliseconds; only when it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_ms: Option<u64>,
    /// How often it has opened.
    pub opened: u64,
    /// What was turned away because it was not closed.
    pub refused: u64,
    /// Calls that were answered in time.
    pub good: u64,
    /// Calls that took too long.
    pub slow: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were given up before they took too long; they count as nothing.
    pub given_up: u64,
    /// The part of the calls that failed, of those that count now.
    pub failure_rate: f64,
    /// The part of the calls that were slow, of those that count now.
    pub slow_rate: f64,
}
