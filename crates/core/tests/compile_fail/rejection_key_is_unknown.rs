//! An unknown key is answered with the known ones of the place where it stands.

use headwater_macros::Rejection;

#[derive(Debug, Clone, thiserror::Error, Rejection)]
#[rejection(name = "receipt")]
enum ReceiptRejection {
    #[error("closed")]
    #[rejection(code = 1)]
    Closed,
}

fn main() {}
