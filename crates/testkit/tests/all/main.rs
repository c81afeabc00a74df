//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod conformance_notices;
mod finding_a_server;
mod memory_conformance;
mod misbehaving_network;
mod one_server;
mod snapshot_conformance;
mod three_servers;
