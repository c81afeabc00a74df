//! Why the program ends without having done what it was asked for.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::output::plain;
use crate::signals::Signal;

/// Why the program ends without success.
#[derive(Debug)]
pub(crate) enum Complaint {
    /// Told on standard error.
    Told(Box<Reason>),
    /// Somebody asked it to stop half-way; the exit status is the shell's for that signal.
    Stopped(Signal),
    /// Nobody reads its output any more, as after `| head`: nothing is left to tell, and nobody to tell it to.
    Unread,
}

/// What is told, for people and as JSON.
#[derive(Debug)]
pub(crate) struct Reason {
    verdict: Verdict,
    /// A word for programs, in kebab-case: the protocol's code where there is one.
    code: String,
    /// What people read in place of the code, where there is a better word.
    name: Option<String>,
    message: String,
    /// More, each on a line of its own: what to do about it.
    notes: Vec<String>,
    details: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Somebody said no: the service, the domain, the server, or a check before anything was done.
    Refused,
    /// Something did not work.
    Failed,
    /// The command line asks for something that makes no sense.
    Usage,
}

impl Complaint {
    fn told(verdict: Verdict, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self::Told(Box::new(Reason { verdict, code, name: None, message, notes: Vec::new(), details: Map::new() }))
    }

    /// Somebody said no. `code` is a word for programs, such as `conflict`. Exit status 1.
    pub(crate) fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::told(Verdict::Refused, code, message)
    }

    /// Something did not work. `code` is a word for programs, such as `disconnected`. Exit status 1.
    pub(crate) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::told(Verdict::Failed, code, message)
    }

    /// The command line asks for something that makes no sense. Exit status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::told(Verdict::Usage, "usage", message)
    }

    /// Something did not work: what was being done, and the error with its causes. Exit status 1.
    pub(crate) fn because(doing: &str, error: &dyn Error) -> Self {
        Self::failed("failed", format!("{doing}: {}", with_causes(error)))
    }

    /// The same with one more line: what to do about it, as a rule.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        self.with(|reason| reason.notes.push(note.into()))
    }

    /// The same with a better word than the code for people.
    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        self.with(|reason| reason.name = Some(name.into()))
    }

    /// The same with one more member in the `details` that programs get.
    pub(crate) fn detail(self, member: &str, value: impl Into<Value>) -> Self {
        self.with(|reason| drop(reason.details.insert(member.to_owned(), value.into())))
    }

    fn with(mut self, change: impl FnOnce(&mut Reason)) -> Self {
        if let Self::Told(reason) = &mut self {
            change(reason);
        }
        self
    }

    /// Tells it on standard error and gives the exit status.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        let (text, status) = match self {
            Self::Told(reason) => {
                let status = if reason.verdict == Verdict::Usage { 2 } else { 1 };
                (if json { reason.json().to_string() } else { reason.lines().join("\n") }, status)
            }
            Self::Stopped(signal) => ("stopped half-way".to_owned(), signal.exit_status()),
            Self::Unread => return ExitCode::SUCCESS,
        };
        // Where standard error is closed, nobody wanted to know.
        let _ = writeln!(io::stderr().lock(), "{text}");
        ExitCode::from(status)
    }
}

impl Reason {
    /// For people: what happened in the first line, more in the next ones.
    pub(crate) fn lines(&self) -> Vec<String> {
        let first = match self.verdict {
            Verdict::Refused => format!("refused: {}: ", plain(self.word())),
            Verdict::Failed if self.word() == "failed" => "failed: ".to_owned(),
            Verdict::Failed => format!("failed: {}: ", plain(self.word())),
            Verdict::Usage => "error: ".to_owned(),
        };
        // A message may have lines of its own, as a list of problems has.
        let mut message = self.message.lines().map(plain);
        let mut lines = vec![format!("{first}{}", message.next().unwrap_or_default())];
        lines.extend(message);
        lines.extend(self.notes.iter().flat_map(|note| note.lines()).map(|note| format!("  {}", plain(note))));
        lines
    }

    fn word(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.code)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if !self.details.is_empty() {
            error["details"] = Value::Object(self.details.clone());
        }
        if !self.notes.is_empty() {
            error["notes"] = json!(self.notes);
        }
        json!({ "success": false, "error": error })
    }
}

impl From<io::Error> for Complaint {
    /// What comes of writing the output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::because("the output cannot be written", &error),
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

    fn reason(complaint: Complaint) -> Reason {
        match complaint {
            Complaint::Told(reason) => *reason,
            other => panic!("something is told, not {other:?}"),
        }
    }

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
    fn a_refusal_has_its_word_first_and_what_to_do_last() {
        let complaint = Complaint::refused("conflict", "the aggregate is at 5").note("Read it again.");
        assert_eq!(reason(complaint).lines(), ["refused: conflict: the aggregate is at 5", "  Read it again."]);
        let failed = Complaint::because("settings", &io::Error::other("no such file"));
        assert_eq!(reason(failed).lines(), ["failed: settings: no such file"]);
        assert_eq!(reason(Complaint::usage("what?")).lines(), ["error: what?"]);
    }

    #[test]
    fn what_others_wrote_plays_no_tricks_on_a_terminal() {
        let complaint = Complaint::refused("no", "a\u{1b}[2Jb\nsecond");
        assert_eq!(reason(complaint).lines(), ["refused: no: a\\u{1b}[2Jb", "second"]);
    }

    #[test]
    fn as_json_it_has_the_code_and_the_details() {
        let complaint = Complaint::refused("conflict", "no").named("stale").detail("actualRevision", 5);
        let told = json!({ "success": false,
            "error": { "code": "conflict", "message": "no", "details": { "actualRevision": 5 } } });
        assert_eq!(reason(complaint).json(), told);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        assert!(matches!(Complaint::from(io::Error::from(io::ErrorKind::BrokenPipe)), Complaint::Unread));
        assert!(matches!(Complaint::from(io::Error::other("disk full")), Complaint::Told(_)));
    }
}
