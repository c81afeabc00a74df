//! Handlers by subject.

mod handler;

pub use handler::{EventHandler, Outcome};
