//! An aggregate without rejections has `NeverRejected`.

use headwater_macros::Rejection;

#[derive(Debug, Clone, Rejection)]
enum ReceiptRejection {}

fn main() {}
