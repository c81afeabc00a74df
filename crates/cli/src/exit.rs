//! How the program ends when nothing went wrong.

use std::process::ExitCode;

/// How a verb ended that did what it was asked for. What it could not do is a
/// [`Complaint`](crate::complaint::Complaint).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Exit status 0.
    Done,
    /// It looked, and found that things are not as they should be: exit status 3.
    Drift,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Drift => Self::from(3),
        }
    }
}
