//! The protocol page is true: every subject, member, header, number and code of `docs/wire-protocol.md`, walked with
//! plain NATS requests and looked at from outside. What the page says of a feature that is not built yet stands in
//! [`page::NOT_YET`], and there is a test that it is still so.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod codes;
mod commands;
mod contract;
mod discovery;
mod feed;
mod ids;
mod journal;
mod names;
mod page;
mod queries;
mod requests;
mod snapshots;
