//! Why a receipt says no.

use headwater::Rejection;

use super::Status;

/// The receipt's own reasons for saying no. Name and members reach the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Rejection)]
pub enum ReceiptRejection {
    /// Items can only change, and a receipt can only be closed, while it is open.
    #[error("the receipt is {status}, and this takes an open one")]
    ReceiptNotOpen {
        /// Where the receipt stands.
        status: Status,
    },
    /// No line has this name.
    #[error("there is no {name} on the receipt")]
    ItemNotFound {
        /// The name that was asked for.
        name: String,
    },
    /// There is nothing on the receipt to close it with.
    #[error("there is nothing on the receipt")]
    ReceiptEmpty,
    /// It no longer counts as it is.
    #[error("the receipt has been voided already")]
    AlreadyVoided,
}
