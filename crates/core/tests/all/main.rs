//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod account;
mod bounds;
mod contract;
mod describing;
mod dispatch;
mod evolution;
mod folding;
mod interleaving;
mod interleavings;
mod joint;
mod journal;
mod lagging;
mod old_events;
mod payloads;
mod scenario;
mod snapshots;
mod wallet;
