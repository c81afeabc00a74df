//! Where at the edge a layer stands.

use std::fmt;

use super::Stage;

/// Where at the edge a layer stands: before or after a [`Stage`], for the whole service or for one command or query.
///
/// ```
/// use headwater_nats_service::edge::{At, Stage};
///
/// let at = At::after(Stage::Auth).command("receipt", "add-item");
/// assert_eq!(at.to_string(), "after auth, command receipt.add-item");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct At {
    /// The number of stages before it.
    pub(super) gap: usize,
    stage: Stage,
    is_after: bool,
    pub(super) endpoint: Option<Only>,
}

/// The one command or query a layer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Only {
    pub(super) kind: &'static str,
    pub(super) aggregate: String,
    pub(super) name: String,
}

impl At {
    /// Before a stage.
    pub fn before(stage: Stage) -> Self {
        Self { gap: place(stage), stage, is_after: false, endpoint: None }
    }

    /// After a stage.
    pub fn after(stage: Stage) -> Self {
        Self { gap: place(stage) + 1, stage, is_after: true, endpoint: None }
    }

    /// Only for this command of this aggregate type.
    pub fn command(self, aggregate: impl Into<String>, name: impl Into<String>) -> Self {
        self.only("command", aggregate.into(), name.into())
    }

    /// Only for this query of this aggregate type, such as `get`.
    pub fn query(self, aggregate: impl Into<String>, name: impl Into<String>) -> Self {
        self.only("query", aggregate.into(), name.into())
    }

    fn only(mut self, kind: &'static str, aggregate: String, name: String) -> Self {
        self.endpoint = Some(Only { kind, aggregate, name });
        self
    }
}

impl Only {
    /// The name of its endpoint in discovery.
    pub(super) fn endpoint(&self) -> String {
        format!("{}-{}-{}", self.kind, self.aggregate, self.name)
    }
}

fn place(stage: Stage) -> usize {
    Stage::ALL.iter().position(|known| *known == stage).unwrap_or(Stage::ALL.len())
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.is_after { "after" } else { "before" }, self.stage)?;
        match &self.endpoint {
            None => Ok(()),
            Some(Only { kind, aggregate, name }) => write!(f, ", {kind} {aggregate}.{name}"),
        }
    }
}
