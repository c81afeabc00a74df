//! Ways in which what callers are told can be wrong.

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use serde_json::json;

use super::{any_call, calls_of, found, is_repeat};
use crate::checker::Wrong;
use crate::checker::line::Line;
use crate::history::{Answer, Asked, Call, History};

#[test]
fn a_reply_with_another_revision_sequence_or_event_than_the_journal_is_found() {
    for what in 0..5 {
        found(Wrong::Misreported, |history, random| {
            let at = any_call(history, random, Call::is_done)?;
            let Answer::Done { revision, sequence, events, .. } = &mut history.calls[at].answer else { return None };
            match what {
                0 => *revision += 1,
                1 => *sequence -= 1,
                2 => events[0].id.push('x'),
                3 => events[0].revision += 1,
                _ => events.truncate(events.len() - 1),
            }
            Some(())
        });
    }
}

#[test]
fn a_reply_whose_state_is_not_the_fold_is_found() {
    found(Wrong::NotAFold, |history, random| {
        let at = any_call(history, random, |call| matches!(call.answer, Answer::Done { state: Some(_), .. }))?;
        let Answer::Done { state: Some(state), .. } = &mut history.calls[at].answer else { return None };
        state["total"] = json!("123456.78");
        Some(())
    });
}

#[test]
fn a_repeat_that_differs_from_the_first_answer_is_found() {
    let repeat = |history: &History, random: &mut StdRng| {
        let repeats = (0..history.calls.len()).filter(|at| is_repeat(&history.calls[*at]));
        repeats.filter(|at| calls_of(history, *at).filter(|call| call.is_done()).count() > 1).choose(random)
    };
    for what in 0..3 {
        found(Wrong::Replays, |history, random| {
            let at = repeat(history, random)?;
            let Answer::Done { revision, events, state: Some(state), .. } = &mut history.calls[at].answer else {
                return None;
            };
            match what {
                0 => *revision += 1,
                1 => events[0].id.push('x'),
                _ => state["status"] = json!("closed"),
            }
            Some(())
        });
    }
}

#[test]
fn a_repeat_that_claims_to_be_the_first_is_found() {
    found(Wrong::Replays, |history, random| {
        let late = |at: &usize| {
            let call = &history.calls[*at];
            is_repeat(call) && calls_of(history, *at).any(|other| other.is_done() && other.returned < call.called)
        };
        let at = (0..history.calls.len()).filter(late).choose(random)?;
        let Answer::Done { replayed, .. } = &mut history.calls[at].answer else { return None };
        *replayed = false;
        Some(())
    });
}

#[test]
fn an_acknowledged_command_that_is_refused_later_is_found() {
    for what in 0..3 {
        found(Wrong::Forgotten, |history, random| {
            let late = |at: &usize| {
                let call = &history.calls[*at];
                is_repeat(call) && calls_of(history, *at).any(|other| other.is_done() && other.returned < call.called)
            };
            let at = (0..history.calls.len()).filter(late).choose(random)?;
            history.calls[at].answer = match what {
                0 => Answer::Reused,
                1 => Answer::Conflict { actual: Some(1) },
                _ => Answer::Rejected { why: "there is no Tea on the receipt".to_owned() },
            };
            Some(())
        });
    }
}

#[test]
fn a_read_below_its_minimal_revision_is_found() {
    found(Wrong::Stale, |history, random| {
        let at = any_call(history, random, |call| matches!(call.asked, Asked::Get { min_revision: Some(_) }))?;
        let Asked::Get { min_revision: Some(min) } = history.calls[at].asked else { return None };
        show(history, at, min - 1)
    });
}

#[test]
fn a_read_behind_what_somebody_was_told_before_is_found() {
    found(Wrong::Stale, |history, random| {
        let at = any_call(history, random, |call| call.asked == Asked::Get { min_revision: None })?;
        let call = &history.calls[at];
        let earlier = |other: &&Call| other.aggregate == call.aggregate && other.returned < call.called;
        let told = history.calls.iter().filter(earlier).filter_map(Call::told).max()?;
        show(history, at, told - 1)
    });
}

/// Lets a read show another revision, truly.
fn show(history: &mut History, at: usize, revision: u64) -> Option<()> {
    let name = history.calls[at].aggregate.clone();
    let entries: Vec<_> = history.journal.iter().filter(|entry| entry.aggregate == name).collect();
    let line = Line::new(&name, Vec::new(), entries);
    let answer = match line.sequence(revision) {
        Some(sequence) => Answer::Found { revision, sequence, state: json!(line.state(revision)?) },
        None => Answer::Missing,
    };
    history.calls[at].answer = answer;
    Some(())
}

#[test]
fn a_read_of_what_nobody_had_asked_for_yet_is_found() {
    found(Wrong::Early, |history, random| {
        let early = |call: &Call| matches!(call.answer, Answer::Found { .. }) && call.called < 800;
        let at = any_call(history, random, early)?;
        let name = &history.calls[at].aggregate;
        let last = history.journal.iter().filter(|entry| entry.aggregate == *name).count();
        show(history, at, last as u64)
    });
}

#[test]
fn a_read_of_a_state_that_is_not_the_fold_is_found() {
    found(Wrong::NotAFold, |history, random| {
        let at = any_call(history, random, |call| matches!(call.answer, Answer::Found { .. }))?;
        let Answer::Found { state, .. } = &mut history.calls[at].answer else { return None };
        state["total"] = json!("123456.78");
        Some(())
    });
}

#[test]
fn a_rejection_without_a_reason_is_found() {
    found(Wrong::Unjust, |history, random| {
        let at = any_call(history, random, |call| matches!(call.answer, Answer::Rejected { .. }))?;
        history.calls[at].answer = Answer::Rejected { why: "the receipt has been voided already".to_owned() };
        Some(())
    });
}

#[test]
fn a_conflict_at_a_revision_that_was_not_the_newest_is_found() {
    found(Wrong::Unjust, |history, random| {
        let at = any_call(history, random, |call| matches!(call.answer, Answer::Conflict { .. }) && call.called > 500)?;
        history.calls[at].answer = Answer::Conflict { actual: Some(0) };
        Some(())
    });
}

#[test]
fn an_answer_that_nobody_should_get_is_found() {
    found(Wrong::Broken, |history, random| {
        let at = any_call(history, random, |_| true)?;
        history.calls[at].answer = Answer::Broken { why: "internal".to_owned() };
        Some(())
    });
}
