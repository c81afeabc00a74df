//! The `headwater` command, run as a person runs it, against a real server.

mod shell;
mod support;
