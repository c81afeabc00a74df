//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod connect_config;
mod connect_signing_in;
mod connect_sources;
mod connect_watched;
mod wire_discovery;
mod wire_hostile_bytes;
mod wire_replies;
mod wire_tokens_and_subjects;
