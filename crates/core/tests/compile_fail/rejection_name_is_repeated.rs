//! Each rejection has a name of its own.

use headwater_macros::Rejection;

#[derive(Debug, Clone, thiserror::Error, Rejection)]
enum ReceiptRejection {
    #[error("closed")]
    Closed,
    #[error("shut")]
    #[rejection(name = "closed")]
    Shut,
}

fn main() {}
