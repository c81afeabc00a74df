//! Every aggregate has `get` and `history` already.

use headwater_macros::Query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(answer = u64)]
struct Get {}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(name = "history", answer = u64)]
struct Past {}

fn main() {}
