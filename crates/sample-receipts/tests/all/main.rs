//! A file for each behaviour; one program, so that it is linked once and what the files share is compiled once.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod client;
mod demo;
mod schema_lock;
mod serve;
mod support;
