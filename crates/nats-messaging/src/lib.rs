//! Messages that are no aggregate's journal: notifications, tasks, audit trails, services talking to each other.
//!
//! - [`message`]: what travels, whichever way.
//! - [`publish`]: the port that messages are published by.
//! - [`codec`]: values as bytes, by content type.
//! - [`consume`]: the port that durable consumers deliver messages by.
//! - [`exchange`]: the port of requests and replies.
//! - [`subject`]: subjects and patterns.
//! - [`topology`]: streams, consumers and buckets as they are to be, and a server brought in line with it.
//! - [`memory`]: all three ports in one process.
//! - [`router`]: handlers by subject.
#![deny(missing_docs)]

pub mod codec;
pub mod consume;
pub mod exchange;
pub mod memory;
pub mod message;
pub mod publish;
pub mod router;
pub mod subject;
pub mod topology;

/// An error of whatever is beneath, as the source of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
