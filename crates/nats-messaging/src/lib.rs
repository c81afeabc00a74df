//! Messages that are no aggregate's journal: notifications, tasks, audit trails, services talking to each other.
//!
//! - [`message`]: what travels, whichever way.
//! - [`publish`]: the port that messages are published by.
//! - [`consume`]: the port that durable consumers deliver messages by.
//! - [`exchange`]: the port of requests and replies.
//! - [`router`]: handlers by subject.
#![deny(missing_docs)]

pub mod consume;
pub mod exchange;
pub mod message;
pub mod publish;
pub mod router;

/// An error of whatever is beneath, as the source of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
