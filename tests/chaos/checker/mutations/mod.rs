//! The checker, checked: it has nothing against a good history, and each way of being wrong is found when it is put
//! into one.

mod stored;
mod told;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use serde_json::json;

use super::{Wrong, check, good};
use crate::history::{Answer, Asked, Call, Entry, History};

/// How many good histories each way of being wrong is put into.
const HISTORIES: u64 = 20;

/// Puts `wrong` into many histories, at places of their own, and expects that it is found in each. `spoil` says
/// whether the history has a place for it, which most must have.
#[track_caller]
fn found(wrong: Wrong, spoil: impl Fn(&mut History, &mut StdRng) -> Option<()>) {
    let mut spoilt = 0;
    for seed in 0..HISTORIES {
        let mut history = good::history(seed);
        if spoil(&mut history, &mut StdRng::seed_from_u64(seed)).is_some() {
            spoilt += 1;
            let problems = check(&history);
            assert!(problems.iter().any(|problem| problem.wrong == wrong), "{wrong:?} in {seed}: {problems:#?}");
        }
    }
    assert!(spoilt > HISTORIES / 2, "only {spoilt} were spoilt");
}

/// One of the calls for which this holds.
fn any_call(history: &History, random: &mut StdRng, holds: impl Fn(&Call) -> bool) -> Option<usize> {
    (0..history.calls.len()).filter(|at| holds(&history.calls[*at])).choose(random)
}

fn command(call: &Call) -> Option<&str> {
    match &call.asked {
        Asked::Command { id, .. } => Some(id),
        Asked::Get { .. } => None,
    }
}

fn is_first(call: &Call) -> bool {
    matches!(call.answer, Answer::Done { replayed: false, .. })
}

fn is_repeat(call: &Call) -> bool {
    matches!(call.answer, Answer::Done { replayed: true, .. })
}

/// All calls of the command of this one.
fn calls_of(history: &History, at: usize) -> impl Iterator<Item = &Call> {
    let one = &history.calls[at];
    history.calls.iter().filter(move |call| call.aggregate == one.aggregate && command(call) == command(one))
}

/// The journal's entries of the command of a call.
fn entries_of(history: &History, at: usize) -> Vec<Entry> {
    let call = &history.calls[at];
    let of_it = |entry: &&Entry| entry.aggregate == call.aggregate && Some(entry.command.as_str()) == command(call);
    history.journal.iter().filter(of_it).cloned().collect()
}

/// Stores these once more at the end, with revisions and ids that fit.
fn store(history: &mut History, entries: Vec<Entry>) -> Option<()> {
    (!entries.is_empty()).then_some(())?;
    for entry in entries {
        let of_aggregate = history.journal.iter().filter(|other| other.aggregate == entry.aggregate);
        let revision = of_aggregate.count() as u64 + 1;
        let sequence = history.journal.len() as u64 + 1;
        history.journal.push(Entry { revision, sequence, id: format!("again-{sequence}"), ..entry });
    }
    Some(())
}

/// What adding an item stores, under this command id.
fn an_item(aggregate: &str, command: &str, name: &str) -> Entry {
    Entry {
        sequence: 0,
        aggregate: aggregate.to_owned(),
        revision: 0,
        id: String::new(),
        name: "item-added".to_owned(),
        command: command.to_owned(),
        data: json!({ "name": name, "price": "1.00", "quantity": 1, "lineTotal": "1.00" }),
    }
}

#[test]
fn a_good_history_has_no_problem() {
    for seed in 0..HISTORIES * 4 {
        let problems = check(&good::history(seed));
        assert!(problems.is_empty(), "{seed}: {problems:#?}");
    }
}
