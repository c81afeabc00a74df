//! The checker, checked: it has nothing against a good history, and each way of being wrong is found when it is put
//! into one.

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
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

#[test]
fn an_acknowledged_command_that_is_missing_is_found() {
    found(Wrong::Lost, |history, random| {
        let at = any_call(history, random, Call::is_done)?;
        let (aggregate, lost) = (history.calls[at].aggregate.clone(), entries_of(history, at));
        history.journal.retain(|entry| !lost.contains(entry));
        // What came after moves up, so that no gap tells.
        let of_aggregate = history.journal.iter_mut().filter(|entry| entry.aggregate == aggregate);
        of_aggregate.zip(1..).for_each(|(entry, revision)| entry.revision = revision);
        Some(())
    });
}

#[test]
fn a_command_that_is_stored_twice_is_found() {
    found(Wrong::Doubled, |history, random| {
        let at = any_call(history, random, Call::is_done)?;
        let again = entries_of(history, at);
        store(history, again)
    });
}

#[test]
fn a_command_of_unknown_outcome_that_is_stored_twice_is_found() {
    found(Wrong::Doubled, |history, random| {
        let is_unknown = |call: &Call| matches!(call.answer, Answer::Unknown { .. }) && command(call).is_some();
        let unknown: Vec<_> = (0..history.calls.len()).filter(|at| is_unknown(&history.calls[*at])).collect();
        let stored = unknown.into_iter().filter(|at| !calls_of(history, *at).any(Call::is_done));
        let at = stored.filter(|at| !entries_of(history, *at).is_empty()).choose(random)?;
        let again = entries_of(history, at);
        store(history, again)
    });
}

#[test]
fn an_event_id_that_is_stored_twice_is_found() {
    found(Wrong::Doubled, |history, random| {
        let last = history.journal.len() - 1;
        history.journal[last].id = history.journal[random.random_range(0..last)].id.clone();
        Some(())
    });
}

#[test]
fn a_gap_in_the_revisions_is_found() {
    found(Wrong::Gap, |history, random| {
        let (from, aggregate) =
            history.journal.iter().map(|entry| (entry.sequence, entry.aggregate.clone())).choose(random)?;
        let after = |entry: &&mut Entry| entry.aggregate == aggregate && entry.sequence >= from;
        history.journal.iter_mut().filter(after).for_each(|entry| entry.revision += 1);
        Some(())
    });
}

#[test]
fn two_events_in_each_others_place_are_found() {
    found(Wrong::Gap, |history, random| {
        let at = random.random_range(1..history.journal.len());
        let earlier = (0..at).rfind(|other| history.journal[*other].aggregate == history.journal[at].aggregate)?;
        let (one, other) = (history.journal[at].revision, history.journal[earlier].revision);
        (history.journal[at].revision, history.journal[earlier].revision) = (other, one);
        Some(())
    });
}

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
fn a_rejected_command_that_is_stored_is_found() {
    found(Wrong::RefusedButStored, |history, random| {
        let at = any_call(history, random, |call| matches!(call.answer, Answer::Rejected { .. }))?;
        (!calls_of(history, at).any(Call::may_have_acted)).then_some(())?;
        let entry = an_item(&history.calls[at].aggregate, command(&history.calls[at])?, "Tea");
        store(history, vec![entry])
    });
}

#[test]
fn a_command_that_is_rejected_when_its_time_is_up_and_stored_is_found() {
    found(Wrong::RefusedButStored, |history, random| {
        let alone = |at: &usize| {
            matches!(history.calls[*at].answer, Answer::Rejected { .. }) && calls_of(history, *at).count() == 1
        };
        let at = (0..history.calls.len()).filter(alone).choose(random)?;
        let rejected = history.calls[at].clone();
        let (until, answer) = (rejected.called - 1, Answer::Unknown { why: "lost".to_owned() });
        let entry = an_item(&rejected.aggregate, command(&rejected)?, "Tea");
        history.calls.push(Call { called: until - 10, returned: until, until, answer, ..rejected });
        assert!(check(history).is_empty(), "this much may be");
        store(history, vec![entry])
    });
}

#[test]
fn a_command_that_did_nothing_and_is_stored_is_found() {
    found(Wrong::RefusedButStored, |history, random| {
        let alone = |at: &usize| is_first(&history.calls[*at]) && calls_of(history, *at).count() == 1;
        let at = (0..history.calls.len()).filter(alone).choose(random)?;
        history.calls[at].answer = Answer::Nothing { why: "no instance is listening".to_owned() };
        Some(())
    });
}

#[test]
fn a_refused_reuse_of_an_id_that_was_carried_out_instead_is_found() {
    found(Wrong::RefusedButStored, |history, random| {
        let reused = |at: &usize| history.calls[*at].answer == Answer::Reused && entries_of(history, *at).len() == 1;
        let at = (0..history.calls.len()).filter(reused).choose(random)?;
        let Asked::Command { order, .. } = &history.calls[at].asked else { return None };
        let event = order.decide(&serde_json::from_value(empty()).unwrap()).unwrap().remove(0);
        let stored = entries_of(history, at).remove(0);
        let entry = history.journal.iter_mut().find(|entry| **entry == stored)?;
        (entry.name, entry.data) = ("item-added".to_owned(), super::line::data(&event));
        Some(())
    });
}

#[test]
fn a_refused_reuse_of_an_id_that_was_carried_out_too_is_found() {
    found(Wrong::Doubled, |history, random| {
        let at = any_call(history, random, |call| call.answer == Answer::Reused)?;
        let entry = an_item(&history.calls[at].aggregate, command(&history.calls[at])?, "Tea");
        store(history, vec![entry])
    });
}

#[test]
fn what_nobody_sent_is_found() {
    found(Wrong::Foreign, |history, _| store(history, vec![an_item("a", "nobody's", "Tea")]));
}

#[test]
fn a_stored_event_that_the_command_does_not_lead_to_is_found() {
    found(Wrong::Undecided, |history, random| {
        let entry = history.journal.iter_mut().filter(|entry| entry.name == "item-added").choose(random)?;
        entry.data["quantity"] = json!(10_001);
        Some(())
    });
}

#[test]
fn a_stored_event_that_is_none_of_the_domains_is_found() {
    found(Wrong::Unreadable, |history, random| {
        history.journal.iter_mut().choose(random)?.name = "item-lost".to_owned();
        Some(())
    });
}

#[test]
fn a_command_called_after_another_was_done_that_comes_before_it_is_found() {
    found(Wrong::OutOfOrder, |history, random| {
        let alone = |at: &usize| is_first(&history.calls[*at]) && calls_of(history, *at).count() == 1;
        let alone: Vec<_> = (0..history.calls.len()).filter(alone).collect();
        let earlier = *alone.iter().choose(random)?;
        let later = history.calls[earlier].told()?;
        let same = |at: &&usize| {
            history.calls[**at].aggregate == history.calls[earlier].aggregate
                && history.calls[**at].told() > Some(later)
        };
        let after = history.calls[*alone.iter().filter(same).choose(random)?].returned;
        (history.calls[earlier].called, history.calls[earlier].returned) = (after + 1, after + 2);
        Some(())
    });
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
    let line = super::Line::new(&name, Vec::new(), entries);
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

/// A receipt on which any item can be put.
fn empty() -> serde_json::Value {
    json!({ "id": "a", "status": "open", "items": [], "total": "0.00" })
}
