//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod codecs;
mod conformance;
mod dead_letters;
mod dead_letters_too_large;
mod envelopes;
mod faults;
mod health;
mod inbox;
mod jetstream;
mod memory;
mod pipelining;
mod postponing;
mod processing;
mod processing_on_servers;
mod publisher_telemetry;
mod publishing;
mod publishing_events;
mod publishing_on_a_server;
mod refusals;
mod router;
mod support;
mod topology_changes;
mod topology_examples;
mod topology_files;
mod topology_server;
mod topology_support;
