//! The history checker: whether what callers were told and what is stored in the end can both be true.
//!
//! The journal orders all events of an aggregate, so nothing has to be searched: each call is compared with the place
//! in that order which its answer names, and with what others had been told before it was made.

mod good;
mod line;
mod mutations;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Call, Entry, History};
use line::Line;

/// A way of being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// The revisions of an aggregate are not 1, 2, 3 and so on.
    Gap,
    /// A stored event is none of the domain's.
    Unreadable,
    /// A command or an event is stored more than once, or not in one piece.
    Doubled,
    /// Something is stored that nobody sent.
    Foreign,
    /// A command that was acknowledged is not stored.
    Lost,
    /// A command is stored although its callers were told that nothing happened.
    RefusedButStored,
    /// What is stored is not what the command leads to at that place in the history.
    Undecided,
    /// A reply disagrees with the journal.
    Misreported,
    /// Two answers to one command disagree, or one that is a repeat does not say so.
    Replays,
    /// A command that had been acknowledged was refused when it was sent again.
    Forgotten,
    /// A refusal for which there was no reason at any moment of the call.
    Unjust,
    /// A command called after the end of another one went before it.
    OutOfOrder,
    /// A read shows less than it had to.
    Stale,
    /// A read or a reply shows what did not exist yet.
    Early,
    /// A state is not the fold of the events up to its revision.
    NotAFold,
    /// An answer that nobody should get.
    Broken,
}

/// Something that cannot be.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) wrong: Wrong,
    pub(crate) text: String,
}

/// Everything that is wrong with a history, the worst first.
pub(crate) fn check(history: &History) -> Vec<Problem> {
    let mut aggregates: BTreeMap<&str, (Vec<&Call>, Vec<&Entry>)> = BTreeMap::new();
    for call in &history.calls {
        aggregates.entry(&call.aggregate).or_default().0.push(call);
    }
    for entry in &history.journal {
        aggregates.entry(&entry.aggregate).or_default().1.push(entry);
    }
    let mut problems = doubled_ids(&history.journal);
    for (name, (calls, entries)) in aggregates {
        // One at a time: a line keeps the state of each revision.
        problems.extend(rules::all(&Line::new(name, calls, entries)));
    }
    problems.sort_by_key(|problem| problem.wrong);
    problems
}

/// Event ids are unique over all aggregates.
fn doubled_ids(journal: &[Entry]) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = journal.iter().filter(|entry| !seen.insert(entry.id.as_str()));
    again.map(|entry| Wrong::Doubled.because(format!("event {} is stored again: {entry:?}", entry.id))).collect()
}

impl Wrong {
    fn because(self, text: String) -> Problem {
        Problem { wrong: self, text }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.wrong, self.text)
    }
}
