//! Ways in which what is stored can be wrong.

use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::json;

use super::{an_item, any_call, calls_of, command, entries_of, found, is_first, store};
use crate::checker::line::data;
use crate::checker::{Wrong, check};
use crate::history::{Answer, Asked, Call, Entry};

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
        (entry.name, entry.data) = ("item-added".to_owned(), data(&event));
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

/// A receipt on which any item can be put.
fn empty() -> serde_json::Value {
    json!({ "id": "a", "status": "open", "items": [], "total": "0.00" })
}
