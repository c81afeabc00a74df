//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod calls;
mod discovery;
mod durable;
mod durable_faults;
mod durable_poison;
mod durable_refused;
mod follow;
mod journal;
mod live_events;
mod lost_connections;
mod support;
mod typed_readers;
