//! A query is a struct.

use headwater_macros::Query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(answer = u64)]
enum CountItems {
    All,
}

fn main() {}
