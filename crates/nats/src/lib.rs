//! What both ends of the wire share.
//!
//! - [`token`], [`subject`]: where everything of a service is on NATS.
//! - [`header`], [`limits`]: what travels beside a body, and what a service accepts.
//! - [`request`], [`reply`]: the bodies of calls, to and from the core's types.
//! - [`signature`]: requests signed with an NKey.
//! - [`discovery`]: what an instance says about itself (NATS service discovery, health, contract).
//! - [`auth`]: who sends something, verified (feature `auth`).
//! - [`backoff`]: pauses between attempts.
//! - [`caller`]: who sends something, once that is verified.
//! - [`circuit_breaker`]: what fails is left alone for a while.
//! - [`rate_limit`]: so much in so much time (feature `rate-limit`).
//! - [`problem`], [`count`]: what is wrong with settings; numbers that many tasks count.
//! - [`connect`]: settings, connections that are looked after, and what can be known of them.
//! - [`telemetry`]: OpenTelemetry's names, trace contexts, and settings.
//! - [`event`]: stored events as the journal, the live feed and history replies show them.
#![deny(missing_docs)]

#[cfg(feature = "auth")]
pub mod auth;
pub mod backoff;
pub mod caller;
pub mod circuit_breaker;
pub mod connect;
pub mod count;
pub mod discovery;
pub mod event;
pub mod header;
pub mod limits;
pub mod problem;
#[cfg(feature = "rate-limit")]
pub mod rate_limit;
pub mod reply;
pub mod request;
pub mod signature;
pub mod subject;
pub mod telemetry;
pub mod token;
