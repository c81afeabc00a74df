//! Messages that are no aggregate's journal: notifications, tasks, audit trails, services talking to each other.
//!
//! - [`message`]: what travels, whichever way.
//! - [`publish`]: the port that messages are published by.
//! - [`codec`]: values as bytes, by content type.
//! - [`envelope`]: what stands around a value when it travels: CloudEvents and others.
//! - [`publisher`]: values published, with retries, telemetry, and many under way at once.
//! - [`consume`]: the port that durable consumers deliver messages by.
//! - [`exchange`]: the port of requests and replies.
//! - [`subject`]: subjects and patterns.
//! - [`topology`]: streams, consumers and buckets as they are to be, and a server brought in line with it.
//! - [`processing`]: what runs a subscription: concurrency, order by key, retries.
//! - [`dead_letter`]: messages that could not be handled, and their way back.
//! - [`inbox`]: messages that come twice are handled once.
//! - [`health`]: how a consumer fares.
//! - [`archive`], [`bucket`]: the ports of streams read by place, and of small values under keys.
//! - [`memory`]: all three ports in one process.
//! - [`jetstream`]: all three ports on NATS.
//! - [`router`]: handlers of events and requests by subject.
//! - [`family`]: families of events.
//! - [`layer`]: auth, rate limits and circuit breakers around handlers.
//! - `conformance`, behind the feature of that name: what every transport must do, as tests to run on yours.
#![deny(missing_docs)]

pub mod archive;
pub mod bucket;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod consume;
pub mod dead_letter;
mod deadline;
pub mod envelope;
pub mod exchange;
pub mod family;
pub mod health;
pub mod inbox;
pub mod jetstream;
pub mod layer;
pub mod memory;
pub mod message;
pub mod processing;
pub mod publish;
pub mod publisher;
pub mod router;
pub mod subject;
pub mod topology;

/// An error of whatever is beneath, as the source of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
