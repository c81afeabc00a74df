//! The stages of the edge, in their order.

use std::fmt;

/// A stage of the edge. Every request passes them in this order; the first that refuses it is the answer. A stage of a
/// feature that is off passes everything.
///
/// After the last one a request is read, its payload checked against the schema, and its command takes its place in its
/// aggregate's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Size of headers and body (413), content type (400).
    Limits,
    /// The deadline that the caller names has not passed (504).
    Deadline,
    /// Who is calling, and may they (401, 403).
    Auth,
    /// How often they may (429).
    RateLimit,
    /// What the request needs works (503).
    CircuitBreaker,
    /// The instance is not leaving and has a place free (503).
    Admission,
}

impl Stage {
    /// All stages, in their order.
    pub const ALL: [Self; 6] =
        [Self::Limits, Self::Deadline, Self::Auth, Self::RateLimit, Self::CircuitBreaker, Self::Admission];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limits => "limits",
            Self::Deadline => "deadline",
            Self::Auth => "auth",
            Self::RateLimit => "rate-limit",
            Self::CircuitBreaker => "circuit-breaker",
            Self::Admission => "admission",
        })
    }
}
