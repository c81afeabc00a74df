//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod auth;
mod auth_proofs;
mod auth_tenants;
mod circuit_breaker;
mod discovery;
mod draining;
mod hostile;
mod layers;
mod limits;
mod order_and_load;
mod overload;
mod probes;
mod queue_groups;
mod rate_limit;
#[path = "support/recorded.rs"]
mod recorded;
mod requests;
mod starting;
mod support;
mod telemetry;
#[path = "support/tokens.rs"]
mod tokens;
