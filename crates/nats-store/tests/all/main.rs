//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cluster;
mod common;
mod conformance;
mod counter;
mod faults;
mod group;
mod on_the_wire;
mod refused;
mod snapshots;
mod stored;
mod stream;
