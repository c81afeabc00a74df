//! The `headwater` command, run as a person runs it, against a real server.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod aggregates;
mod calls;
mod connecting;
mod events;
mod proving;
mod services;
mod shell;
mod support;
