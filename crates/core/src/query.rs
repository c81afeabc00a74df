//! Queries: questions to an aggregate's state, beyond the `get` and `history` every service has.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Aggregate;

/// A question to an aggregate, such as `CountItems`. `#[derive(Query)]` writes it.
pub trait Query: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name on the wire, such as `count-items`; `get` and `history` are taken.
    const NAME: &'static str;

    /// What the answer looks like.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
}

/// How an aggregate answers the query `Q`: from its state alone.
pub trait Answer<Q: Query>: Aggregate {
    /// The answer.
    fn answer(&self, query: Q) -> Q::Answer;
}
