//! An unknown key is answered with the known ones.

use headwater_macros::Query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(answer = u64, version = 2)]
struct CountItems {}

fn main() {}
