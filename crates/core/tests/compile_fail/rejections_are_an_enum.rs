//! Rejections are an enum.

use headwater_macros::Rejection;

#[derive(Debug, Clone, thiserror::Error, Rejection)]
#[error("no")]
struct No {}

fn main() {}
