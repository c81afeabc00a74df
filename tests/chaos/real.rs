//! Whether a run showed anything: bad things of each kind happened, work went on in between, and callers met with what
//! they are made for.

use std::collections::BTreeMap;

use crate::faults::Kind;
use crate::history::{Answer, Asked, Call, History};

/// What a run was made of, by name.
fn counted(history: &History) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::from(NEEDED.map(|name| (name, 0)));
    let mut seen: BTreeMap<(&str, &str), &Call> = BTreeMap::new();
    for call in &history.calls {
        *counts.entry(kind(call)).or_default() += 1;
        if let Asked::Command { id, .. } = &call.asked
            && let Some(earlier) = seen.insert((&call.aggregate, id), call)
            && earlier.is_open()
        {
            *counts.entry("sent again without an answer").or_default() += 1;
        }
    }
    counts
}

/// None of these may be missing.
const NEEDED: [&str; 10] = [
    "acknowledged",
    "acknowledged as a repeat",
    "rejected",
    "conflict",
    "id reuse refused",
    "outcome unknown",
    "nothing happened",
    "read",
    "read with a minimal revision",
    "sent again without an answer",
];

fn kind(call: &Call) -> &'static str {
    match (&call.answer, &call.asked) {
        (Answer::Done { replayed: false, .. }, _) => "acknowledged",
        (Answer::Done { replayed: true, .. }, _) => "acknowledged as a repeat",
        (Answer::Rejected { .. }, _) => "rejected",
        (Answer::Conflict { .. }, _) => "conflict",
        (Answer::Reused, _) => "id reuse refused",
        (Answer::Unknown { .. }, Asked::Command { .. }) => "outcome unknown",
        (Answer::Nothing { .. }, Asked::Command { .. }) => "nothing happened",
        (Answer::Found { .. }, Asked::Get { min_revision: Some(_) }) => "read with a minimal revision",
        (Answer::Found { .. }, _) => "read",
        (Answer::Missing, _) => "read of nothing",
        (Answer::Unknown { .. } | Answer::Nothing { .. }, Asked::Get { .. }) => "read without an answer",
        (Answer::Broken { .. }, _) => "broken",
    }
}

/// One line about a run.
pub(crate) fn summary(history: &History) -> String {
    let counts: Vec<_> = counted(history).iter().map(|(name, count)| format!("{count} {name}")).collect();
    let History { calls, faults, journal } = history;
    format!("{} faults, {} events, {} calls: {}", faults.len(), journal.len(), calls.len(), counts.join(", "))
}

/// What a real run has and this one has not.
pub(crate) fn missing(history: &History) -> Vec<String> {
    let kinds = Kind::ALL.map(|kind| format!("{kind:?}"));
    let kinds = kinds.iter().filter(|kind| !history.faults.iter().any(|fault| fault.what == **kind));
    let mut missing: Vec<_> = kinds.map(|kind| format!("no {kind} happened")).collect();
    let counts = counted(history);
    missing.extend(NEEDED.iter().filter(|name| counts[*name] == 0).map(|name| format!("no call was: {name}")));
    let done: Vec<_> = history.calls.iter().filter(|call| call.is_done()).collect();
    for pair in history.faults.windows(2) {
        if !done.iter().any(|call| call.called >= pair[0].until && call.returned <= pair[1].from) {
            missing.push(format!("nothing was done between {:?} and {:?}", pair[0], pair[1]));
        }
    }
    missing
}
