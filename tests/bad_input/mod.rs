//! Bad input, and what it gets: its error code or a message at the start that names the field or the cause. Whatever
//! comes, the service goes on, and nothing is half stored.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod frames;
mod full;
mod limits;
mod lock;
mod requests;
mod start;
mod strange_replies;
