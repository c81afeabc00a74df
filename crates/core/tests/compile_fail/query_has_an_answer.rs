//! A query says what its answer is.

use headwater_macros::Query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Query, Serialize, Deserialize, JsonSchema)]
struct CountItems {}

fn main() {}
