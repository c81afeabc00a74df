//! Whole runs of one to three dispatchers over one store, from a script that says who does what and when, and what goes
//! wrong. Time is the runtime's, paused and counted in ticks, so a run takes as long as its work does.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "in a test a panic is the report")]

pub mod check;
pub mod log;
pub mod run;
pub mod script;
pub mod weather;

/// The unit of time in scripts. It is far longer than all pauses of the dispatcher's own, which are random: so these
/// change the order of hardly anything, and a script that fails does so again.
pub const TICK: std::time::Duration = std::time::Duration::from_secs(2);
