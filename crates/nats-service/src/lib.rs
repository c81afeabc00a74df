//! A service on NATS from described aggregates.
#![deny(missing_docs)]

mod about;
mod call;
mod command;
mod control;
mod counters;
mod door;
mod endpoint;
mod health;
mod instance;
mod limits;
mod outbox;
mod presence;
mod problem;
mod query;
mod reading;
mod replies;
mod requests;
mod running;
mod service;
mod stats;
mod subscriptions;

pub use limits::Limits;
pub use problem::{Problem, StartError};
pub use running::{DrainReport, RunningService, Stopped};
pub use service::Service;
pub use stats::{ServiceStats, StrayStats};
