//! A file for each behaviour; one program, so that it is linked once. `arrows` and `chaos` are programs of their own.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod auth;
mod bad_input;
mod connections;
mod deploy;
mod idempotency;
mod model;
mod outages;
mod protocol;
mod rolling_restart;
mod telemetry;
mod two_instances;
