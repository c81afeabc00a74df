//! Why the program ends without having done what it was asked for.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::output::note;
use crate::signals::Signal;

/// Why the program ends without success: what it tells, and its exit status.
#[derive(Debug)]
pub(crate) enum Complaint {
    /// Told on standard error, exit status 1.
    Failed(String),
    /// Somebody asked it to stop half-way; the exit status is the shell's for that signal.
    Stopped(Signal),
    /// Nobody reads its output any more, as after `| head`: nothing is left to tell, and nobody to tell it to.
    Unread,
}

impl Complaint {
    /// The error with its causes, after what was being done.
    pub(crate) fn new(doing: &str, error: &dyn Error) -> Self {
        Self::Failed(format!("{doing}: {}", with_causes(error)))
    }

    /// Tells it and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Failed(reason) => {
                note(&reason);
                ExitCode::FAILURE
            }
            Self::Stopped(signal) => {
                note("stopped half-way; nothing is left running");
                ExitCode::from(signal.exit_status())
            }
            Self::Unread => ExitCode::SUCCESS,
        }
    }
}

impl From<io::Error> for Complaint {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::new("the output cannot be written", &error),
        }
    }
}

/// An error and what caused it, in one line; a cause that the error's own text quotes already is left out.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] io::Error);

    #[test]
    fn an_error_is_told_with_its_causes_once_each() {
        let refused = || io::Error::other("refused");
        assert_eq!(with_causes(&Outer("not connected", refused())), "not connected: refused");
        assert_eq!(with_causes(&Outer("not connected (refused)", refused())), "not connected (refused)");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        assert!(matches!(Complaint::from(io::Error::from(io::ErrorKind::BrokenPipe)), Complaint::Unread));
        assert!(matches!(Complaint::from(io::Error::other("disk full")), Complaint::Failed(_)));
    }
}
