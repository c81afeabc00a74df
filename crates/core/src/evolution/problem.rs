//! What is not compatible, told so that one can act on it.

use std::fmt;

use super::finding::Clash;

/// Something that is not compatible with what a lock promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) aggregate: String,
    pub(super) part: Part,
    pub(super) path: String,
    pub(super) what: String,
    pub(super) advice: String,
}

/// The part of an aggregate type that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The aggregate type as a whole.
    Aggregate,
    /// An event of one schema version.
    Event {
        /// Its name.
        name: String,
        /// The schema version that was promised.
        version: u32,
    },
    /// A command.
    Command(String),
    /// A rejection.
    Rejection(String),
    /// The request of a query.
    Query(String),
    /// The answer to a query.
    Answer(String),
}

impl Problem {
    /// The aggregate type's name.
    #[must_use]
    pub fn aggregate(&self) -> &str {
        &self.aggregate
    }

    /// The part of it.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// The place in the data, as a JSON Pointer with `*` for any element of a list and any member that has
    /// no name in the schema; empty when it is about the whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is not compatible, as a sentence without its end.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it, as a sentence without its end.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregate => f.write_str("the aggregate type"),
            Self::Event { name, version } => write!(f, "event `{name}` version {version}"),
            Self::Command(name) => write!(f, "command `{name}`"),
            Self::Rejection(name) => write!(f, "rejection `{name}`"),
            Self::Query(name) => write!(f, "query `{name}`"),
            Self::Answer(name) => write!(f, "answer to `{name}`"),
        }
    }
}

/// One line: where, what, and what to do.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, advice, .. } = self;
        write!(f, "{}: {what}; {advice}", Place(self))
    }
}

struct Place<'a>(&'a Problem);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { aggregate, part, path, .. } = self.0;
        write!(f, "{aggregate}: {part}")?;
        if path.is_empty() { Ok(()) } else { write!(f, " at `{path}`") }
    }
}

/// Everything that is not compatible; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatible {
    pub(super) problems: Vec<Problem>,
}

impl Incompatible {
    /// Every problem.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for Incompatible {}

/// Several lines: what it is about, and three for each problem.
impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "the code breaks what released versions promised: {count} problem{plural}")?;
        for problem in &self.problems {
            write!(f, "\n- {}\n  {}\n  -> {}", Place(problem), problem.what, problem.advice)?;
        }
        Ok(())
    }
}

/// Which way a promise is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Today's code reads what older programs wrote.
    Backward,
    /// Older programs read what today's code writes.
    Forward,
}

impl Part {
    /// Who writes and who reads, for sentences.
    pub(super) fn roles(&self, direction: Direction) -> (&'static str, &'static str) {
        match (self, direction) {
            (Self::Aggregate | Self::Event { .. }, Direction::Backward) => ("stored events", "this code"),
            (Self::Aggregate | Self::Event { .. }, Direction::Forward) => ("new events", "older programs"),
            (Self::Command(_) | Self::Query(_), Direction::Backward) => ("older callers", "this code"),
            (Self::Command(_) | Self::Query(_), Direction::Forward) => ("newer callers", "older services"),
            (Self::Rejection(_) | Self::Answer(_), Direction::Backward) => ("older services", "newer callers"),
            (Self::Rejection(_) | Self::Answer(_), Direction::Forward) => ("this code", "older callers"),
        }
    }

    /// What to do about a clash.
    pub(super) fn advice(&self, direction: Direction, clash: &Clash) -> String {
        let easier = match (clash, direction) {
            (Clash::Missing, Direction::Backward) => "make it optional (`Option`, `#[serde(default)]`)",
            (Clash::Missing, Direction::Forward) => "keep it required",
            (Clash::Unexpected, Direction::Backward) => "keep the member, or ignore unknown ones",
            (Clash::Unexpected, Direction::Forward) => "leave the member out",
            (_, Direction::Backward) => "allow what was allowed",
            (_, Direction::Forward) => "write only what could be written before",
        };
        let otherwise = match (self, direction) {
            (Self::Aggregate, _) => "keep serving it".to_owned(),
            (Self::Event { version, .. }, Direction::Backward) => {
                format!("raise the event's schema version to {} and add an upcaster from {version}", version + 1)
            }
            (Self::Event { .. }, Direction::Forward) => {
                "add an event of another name; or stop older programs first and check this release backward only"
                    .to_owned()
            }
            (Self::Command(_), _) => "add a command of another name".to_owned(),
            (Self::Query(_) | Self::Answer(_), _) => "add a query of another name".to_owned(),
            (Self::Rejection(_), _) => "add a rejection of another name".to_owned(),
        };
        format!("{easier}, or {otherwise}")
    }
}
