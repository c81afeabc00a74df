//! What happened in a run: every call with its answer, every fault, and what was stored in the end.

use std::io::{BufWriter, Write};
use std::path::Path;

use headwater_tests::Stored;
use serde::Serialize;
use serde_json::{Value, json};

use crate::order::Order;

/// A whole run. Times are microseconds since its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) calls: Vec<Call>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) journal: Vec<Entry>,
}

/// A call and its answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Call {
    pub(crate) caller: usize,
    pub(crate) called: u64,
    pub(crate) returned: u64,
    /// When the service gives it up.
    pub(crate) until: u64,
    pub(crate) aggregate: String,
    pub(crate) asked: Asked,
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asked {
    Command { id: String, order: Order, expected: Option<u64> },
    Get { min_revision: Option<u64> },
}

/// What the caller was told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The command was carried out.
    Done { revision: u64, sequence: u64, events: Vec<Event>, state: Option<Value>, replayed: bool },
    /// The state.
    Found { revision: u64, sequence: u64, state: Value },
    /// There is no such aggregate.
    Missing,
    /// The domain said no.
    Rejected { why: String },
    /// The expected revision does not hold.
    Conflict { actual: Option<u64> },
    /// The command id belongs to another command.
    Reused,
    /// This call did nothing, for reasons that have nothing to do with the command.
    Nothing { why: String },
    /// The call may have taken effect, or a query got no answer.
    Unknown { why: String },
    /// Something that no caller should ever be told.
    Broken { why: String },
}

/// An event as a reply lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) revision: u64,
}

/// Something bad that was done.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) what: String,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) aggregate: String,
    pub(crate) revision: u64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) command: String,
    pub(crate) data: Value,
}

impl From<&Stored> for Entry {
    fn from(stored: &Stored) -> Self {
        Self {
            sequence: stored.sequence,
            aggregate: stored.token().to_owned(),
            revision: stored.revision(),
            id: stored.text("id").to_owned(),
            name: stored.text("type").to_owned(),
            command: stored.text("commandid").to_owned(),
            data: stored.body["data"].clone(),
        }
    }
}

impl Call {
    /// Whether the command may have taken effect through this call.
    pub(crate) fn may_have_acted(&self) -> bool {
        matches!(self.answer, Answer::Done { .. } | Answer::Unknown { .. } | Answer::Broken { .. })
    }

    /// Whether the caller was told that the command was carried out.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.answer, Answer::Done { .. })
    }

    /// Whether a caller who wants to know must ask again.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.answer, Answer::Nothing { .. } | Answer::Unknown { .. })
    }

    /// The revision the caller has heard of by this answer.
    pub(crate) fn told(&self) -> Option<u64> {
        match self.answer {
            Answer::Done { revision, .. } | Answer::Found { revision, .. } => Some(revision),
            _ => None,
        }
    }
}

impl History {
    /// Writes it as JSON, a line for each call and each fault in the order of their beginnings, and then one for each
    /// stored event.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut lines: Vec<(u64, Value)> =
            self.calls.iter().map(|call| (call.called, json!({ "call": call }))).collect();
        lines.extend(self.faults.iter().map(|fault| (fault.from, json!({ "fault": fault }))));
        lines.sort_by_key(|(at, _)| *at);
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        for (_, line) in lines {
            writeln!(file, "{line}")?;
        }
        for entry in &self.journal {
            writeln!(file, "{}", json!({ "stored": entry }))?;
        }
        file.flush()
    }
}
