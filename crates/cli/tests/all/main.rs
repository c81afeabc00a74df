//! The `headwater` command, run as a person runs it, against a real server.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod aggregates;
mod backups;
mod calls;
mod connecting;
mod doctoring;
mod events;
mod permitted;
mod proving;
mod securing;
mod services;
mod shell;
mod support;
mod topologies;
