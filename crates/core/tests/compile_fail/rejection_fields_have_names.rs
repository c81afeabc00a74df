//! The fields of a rejection are members of the reply, so they have names.

use headwater_macros::Rejection;

#[derive(Debug, Clone, thiserror::Error, Rejection)]
enum ReceiptRejection {
    #[error("there is no {0}")]
    ItemNotFound(String),
}

fn main() {}
