//! What must hold of one aggregate.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::line::{Block, Line};
use super::{Problem, Wrong};
use crate::history::{Answer, Asked, Call, Event};
use crate::order::Order;

/// Everything that does not hold.
pub(super) fn all(line: &Line<'_>) -> Vec<Problem> {
    let mut problems = revisions(line);
    problems.extend(line.blocks.iter().flat_map(|block| stored(line, block)));
    problems.extend(once(line));
    problems.extend(order_of_time(line));
    for (id, attempts) in &line.attempts {
        problems.extend(repeats(line, id, attempts));
    }
    problems.extend(line.calls.iter().flat_map(|call| answer(line, call)));
    problems
}

/// They go up by one, in the order in which they are stored.
fn revisions(line: &Line<'_>) -> Vec<Problem> {
    let gap = line.entries.iter().zip(1..).find(|(entry, revision)| entry.revision != *revision);
    let gap = gap.map(|(entry, revision)| {
        Wrong::Gap
            .because(format!("{} has {} where {revision} belongs, at {}", line.name, entry.revision, entry.sequence))
    });
    let unreadable = line.unreadable.iter().map(|entry| Wrong::Unreadable.because(format!("{entry:?}")));
    gap.into_iter().chain(unreadable).collect()
}

/// A command is stored in one place.
fn once(line: &Line<'_>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = line.blocks.iter().filter(|block| !seen.insert(block.command));
    again
        .map(|block| {
            Wrong::Doubled.because(format!("{} of {} is stored again at {}", block.command, line.name, block.first))
        })
        .collect()
}

/// What is stored was asked for, was not refused, and is what the domain makes of it.
fn stored(line: &Line<'_>, block: &Block<'_>) -> Option<Problem> {
    let attempts = line.attempts(block.command);
    let what = || format!("{} at {} to {} of {}", block.command, block.first, block.last(), line.name);
    if attempts.is_empty() {
        return Some(Wrong::Foreign.because(what()));
    }
    if !attempts.iter().any(|call| call.may_have_acted()) || attempts.iter().any(|call| is_final(call, attempts)) {
        return Some(Wrong::RefusedButStored.because(format!("{}: {attempts:?}", what())));
    }
    let is_known = attempts.iter().any(|call| call.is_done());
    let (acted, refused): (Vec<_>, Vec<_>) =
        attempts.iter().partition(|call| if is_known { call.is_done() } else { call.may_have_acted() });
    let led_here = |call: &&&Call| {
        let (order, expected) = command(call);
        let count = line.caused(order, block);
        count.filter(|_| expected.is_none_or(|expected| expected + 1 == block.first))
    };
    let (acted, refused): (Vec<_>, Vec<_>) =
        (acted.iter().filter_map(led_here).collect(), refused.iter().filter_map(led_here).collect());
    let wrong = match block.entries.len() {
        whole if acted.contains(&whole) => return None,
        _ if !acted.is_empty() => Wrong::Doubled,
        _ if !refused.is_empty() => Wrong::RefusedButStored,
        _ => Wrong::Undecided,
    };
    Some(wrong.because(format!("{}: {:?} from {attempts:?}", what(), block.entries)))
}

/// Whether this is a rejection after which the command cannot be carried out, since all other calls had been given up
/// before it was made.
fn is_final(call: &Call, attempts: &[&Call]) -> bool {
    let mut others = attempts.iter().filter(|other| other.may_have_acted());
    matches!(call.answer, Answer::Rejected { .. }) && others.all(|other| other.until < call.called)
}

/// What was called after the end of something else comes after it.
fn order_of_time(line: &Line<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Over the blocks further on: the first moment at which one was known to be done.
    let mut done: Option<(u64, &str)> = None;
    for block in line.blocks.iter().rev() {
        let attempts = line.attempts(block.command);
        let called = attempts.iter().filter(|call| call.may_have_acted()).map(|call| call.called).min();
        if let (Some(called), Some((at, later))) = (called, done)
            && at < called
        {
            let text =
                format!("{}: {later} was done before {} was called, and comes after it", line.name, block.command);
            problems.push(Wrong::OutOfOrder.because(text));
        }
        let known = attempts.iter().filter(|call| call.is_done()).map(|call| (call.returned, block.command)).min();
        done = done.into_iter().chain(known).min();
    }
    problems
}

/// All answers to one command tell the same story.
fn repeats(line: &Line<'_>, id: &str, attempts: &[&Call]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut complain = |wrong: Wrong, text: &str| {
        problems.push(wrong.because(format!("{id} of {}: {text}: {attempts:?}", line.name)));
    };
    let done: Vec<_> = attempts.iter().copied().filter(|call| call.is_done()).collect();
    let Some(first) = done.iter().copied().min_by_key(|call| call.returned) else { return problems };
    if done.iter().any(|call| !agree(&first.answer, &call.answer) || command(call) != command(first)) {
        complain(Wrong::Replays, "its answers differ");
    }
    let is_first = |call: &&&Call| matches!(call.answer, Answer::Done { replayed: false, .. });
    if done.iter().filter(is_first).count() > 1 {
        complain(Wrong::Replays, "it was carried out for the first time more than once");
    }
    if done.iter().filter(is_first).any(|call| call.called > first.returned) {
        complain(Wrong::Replays, "a repeat was called the first");
    }
    let forgotten = |call: &&Call| match call.answer {
        Answer::Rejected { .. } | Answer::Conflict { .. } => true,
        Answer::Reused => command(call) == command(first),
        _ => false,
    };
    if attempts.iter().any(|call| call.called > first.returned && forgotten(call)) {
        complain(Wrong::Forgotten, "it was refused after it had been acknowledged");
    }
    problems
}

/// Whether two acknowledgements say the same; one may leave the state out.
fn agree(one: &Answer, other: &Answer) -> bool {
    let shown = |answer: &Answer| match answer {
        Answer::Done { revision, sequence, events, state, .. } => {
            Some(((*revision, *sequence, events.clone()), state.clone()))
        }
        _ => None,
    };
    let (Some((one, state)), Some((other, other_state))) = (shown(one), shown(other)) else { return false };
    one == other && (state.is_none() || other_state.is_none() || state == other_state)
}

/// An answer is true.
fn answer(line: &Line<'_>, call: &Call) -> Option<Problem> {
    let wrong = match (&call.asked, &call.answer) {
        (Asked::Command { id, .. }, Answer::Done { .. }) => match line.block(id) {
            None => Some(Wrong::Lost),
            Some(block) => acknowledged(line, block, call),
        },
        (Asked::Command { id, .. }, Answer::Rejected { .. } | Answer::Conflict { .. }) => {
            (!is_just(line, id, call)).then_some(Wrong::Unjust)
        }
        (Asked::Command { id, .. }, Answer::Reused) => {
            let differs = |other: &&Call| command(other) != command(call) && other.may_have_acted();
            let is_just = line.block(id).is_some() && line.attempts(id).iter().any(differs);
            (!is_just).then_some(Wrong::Unjust)
        }
        (Asked::Get { min_revision }, Answer::Found { revision, sequence, state }) => {
            read(line, call, *min_revision, (*revision, *sequence, state))
        }
        (Asked::Get { min_revision }, Answer::Missing) => {
            (min_revision.is_some() || line.at_least(call.called) > 0).then_some(Wrong::Stale)
        }
        (_, Answer::Nothing { .. } | Answer::Unknown { .. }) => None,
        _ => Some(Wrong::Broken),
    };
    wrong.map(|wrong| wrong.because(format!("{call:?}")))
}

/// A reply is what the journal says.
fn acknowledged(line: &Line<'_>, block: &Block<'_>, call: &Call) -> Option<Wrong> {
    let Answer::Done { revision, sequence, events, state, .. } = &call.answer else { return None };
    let stored = block.entries.iter().zip(block.first..);
    let stored: Vec<_> =
        stored.map(|(entry, revision)| Event { id: entry.id.clone(), name: entry.name.clone(), revision }).collect();
    if (*revision, Some(*sequence), events) != (block.last(), line.sequence(block.last()), &stored) {
        return Some(Wrong::Misreported);
    }
    if *revision > line.at_most(call.returned) {
        return Some(Wrong::Early);
    }
    state.as_ref().and_then(|state| not_a_fold(line, *revision, state))
}

/// A read shows a state that there was, and none that is too old.
fn read(line: &Line<'_>, call: &Call, min_revision: Option<u64>, shown: (u64, u64, &Value)) -> Option<Wrong> {
    let (revision, sequence, state) = shown;
    // With a minimal revision memory may answer; without one the newest is promised.
    if revision < min_revision.unwrap_or_else(|| line.at_least(call.called)) {
        return Some(Wrong::Stale);
    }
    if revision > line.at_most(call.returned) {
        return Some(Wrong::Early);
    }
    if line.sequence(revision) != Some(sequence) {
        return Some(Wrong::Misreported);
    }
    not_a_fold(line, revision, state)
}

fn not_a_fold(line: &Line<'_>, revision: u64, shown: &Value) -> Option<Wrong> {
    let is_fold = line.state(revision).is_some_and(|state| json!(state) == *shown);
    (!is_fold).then_some(Wrong::NotAFold)
}

/// Whether a refusal was right at some moment between call and answer. Where the command took effect in the end,
/// through another call, that was before it did.
fn is_just(line: &Line<'_>, id: &str, call: &Call) -> bool {
    let (order, expected) = command(call);
    let until = line.at_most(call.returned).min(line.block(id).map_or(u64::MAX, |block| block.first - 1));
    (line.at_least(call.called)..=until).any(|revision| match &call.answer {
        Answer::Conflict { actual } => {
            expected.is_some_and(|expected| expected != revision) && actual.is_none_or(|actual| actual == revision)
        }
        Answer::Rejected { why } => {
            let decided = line.state(revision).map(|state| order.decide(state));
            matches!(decided, Some(Err(rejection)) if rejection.to_string() == *why)
        }
        _ => false,
    })
}

/// The command of a call that has one.
fn command(call: &Call) -> (&Order, Option<u64>) {
    match &call.asked {
        Asked::Command { order, expected, .. } => (order, *expected),
        Asked::Get { .. } => unreachable!("only the calls of a command are listed with it"),
    }
}
