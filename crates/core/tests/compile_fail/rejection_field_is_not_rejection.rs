//! The member `rejection` of the reply is taken.

use headwater_macros::Rejection;

#[derive(Debug, Clone, thiserror::Error, Rejection)]
enum ReceiptRejection {
    #[error("{rejection}")]
    ItemNotFound { rejection: String },
    #[error("{why}")]
    Other {
        #[serde(rename = "rejection")]
        why: String,
    },
}

fn main() {}
