//! Commands: requests in the imperative, and what a decision may know beside the state.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{AggregateId, Metadata, Revision};

/// A request to an aggregate, such as `AddItem`. `#[derive(Command)]` writes it.
pub trait Command: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name on the wire, such as `add-item`.
    const NAME: &'static str;
}

/// What a decision may know beside the state and the command. It brings the time, so that
/// deciding needs no clock.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// Whose command it is.
    pub aggregate: AggregateId,
    /// The revision of the state that decides.
    pub revision: Revision,
    /// The time of the decision; also the time of its events.
    pub now: DateTime<Utc>,
    /// Who and what the command goes back to.
    pub metadata: std::sync::Arc<Metadata>,
}
