//! Whether what was told is what is stored, and what is stored is what was asked for.

use std::collections::{BTreeMap, HashSet};

use headwater_core::call::{CommandReply, EntityReply};
use headwater_core::{Aggregate, Event, EventId, Failure, FailureCode, RecordedEvent};

use super::log::{Got, Log, Sent, Told};
use super::run::{Outcome, aggregate, command_id};
use super::script::Order;
use crate::account::{Account, AccountEvent};

/// Everything that is wrong with a run.
pub fn violations(outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let histories: Vec<History> = outcome.journal.iter().map(|events| History::new(events)).collect();
    for (number, history) in histories.iter().enumerate() {
        wrong.extend(history.whole(number).err());
    }
    if !wrong.is_empty() {
        return wrong;
    }
    let log = &outcome.log;
    for sent in &log.sent {
        let told = told_the_truth(sent, &histories[sent.aggregate], log);
        wrong.extend(told.err().map(|what| format!("{what}: {sent:?}")));
    }
    for got in &log.gets {
        let told = got_the_truth(got, &histories[got.aggregate]);
        wrong.extend(told.err().map(|what| format!("{what}: {got:?}")));
    }
    wrong.extend(in_order_of_sending(log).err());
    for (number, history) in histories.iter().enumerate() {
        for (command, run) in &history.runs {
            let stored = was_asked_for(command, number, run, log);
            wrong.extend(stored.err().map(|what| format!("{what}: {command} at revision {}", run[0].revision)));
        }
    }
    wrong
}

type Checked = Result<(), String>;

fn ensure(holds: bool, what: &str) -> Checked {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// The events of one aggregate, folded.
struct History<'a> {
    events: &'a [RecordedEvent],
    /// The state at each revision, from 0 on: the plain fold.
    states: Vec<Account>,
    /// The events of each command.
    runs: BTreeMap<String, Vec<&'a RecordedEvent>>,
}

impl<'a> History<'a> {
    fn new(events: &'a [RecordedEvent]) -> Self {
        let mut states = vec![Account { balance: 0, entries: 0 }];
        let mut runs: BTreeMap<String, Vec<&RecordedEvent>> = BTreeMap::new();
        for event in events {
            let mut state = states[states.len() - 1].clone();
            state.evolve(&decoded(event));
            states.push(state);
            runs.entry(event.event.metadata.command_id.to_string()).or_default().push(event);
        }
        Self { events, states, runs }
    }

    /// Revisions count up without gaps, no event is there twice, and the events of a command stand together.
    fn whole(&self, number: usize) -> Checked {
        let ids: HashSet<_> = self.events.iter().map(|event| event.event.id).collect();
        ensure(ids.len() == self.events.len(), "an event is stored twice")?;
        for (place, event) in self.events.iter().enumerate() {
            ensure(event.revision.get() == place as u64 + 1, "revisions have a gap")?;
        }
        ensure(self.events.is_sorted_by(|a, b| a.sequence < b.sequence), "sequences do not grow")?;
        for run in self.runs.values() {
            let command = &run[0].event.metadata.command_id;
            for (place, event) in run.iter().enumerate() {
                let expected = EventId::derive(command, &aggregate(number), place);
                ensure(event.event.id == expected, "an event of a command is missing or out of order")?;
                ensure(event.revision == run[0].revision.plus(place), "a command is stored in pieces")?;
            }
        }
        Ok(())
    }

    fn state(&self, revision: u64) -> Result<&Account, String> {
        let state = usize::try_from(revision).ok().and_then(|revision| self.states.get(revision));
        state.ok_or_else(|| format!("there is no revision {revision}"))
    }

    fn run(&self, command: usize) -> Option<&[&'a RecordedEvent]> {
        self.runs.get(command_id(command).as_str()).map(Vec::as_slice)
    }
}

fn decoded(event: &RecordedEvent) -> AccountEvent {
    AccountEvent::decode(event.event.name.as_str(), &event.event.data).unwrap()
}

/// Whether carrying out this order leaves just these events.
fn explains(order: &Order, run: &[&RecordedEvent]) -> bool {
    let expected = match order {
        Order::Deposit(amount) => vec![AccountEvent::Deposited(*amount)],
        Order::DepositTwice(amount) => vec![AccountEvent::Deposited(*amount); 2],
        Order::Withdraw(amount) => vec![AccountEvent::Withdrawn(*amount)],
        Order::Nothing => vec![],
        Order::DepositQuoted(currency) => vec![AccountEvent::Deposited(currency.len() as u64)],
    };
    run.iter().map(|event| decoded(event)).eq(expected)
}

fn told_the_truth(sent: &Sent, history: &History<'_>, log: &Log) -> Checked {
    match &sent.told {
        Told::Unknown => Ok(()),
        Told::Done(reply) if reply.events.is_empty() => did_nothing(sent, reply, history),
        Told::Done(reply) => did_it(sent, reply, history),
        Told::Refused(failure) => refused_rightly(sent, failure, history, log),
    }
}

fn did_nothing(sent: &Sent, reply: &CommandReply, history: &History<'_>) -> Checked {
    ensure(sent.order == Order::Nothing, "a command that has events was done without any")?;
    ensure(sent.span.holds(reply.revision.get()), "the revision is not of the time of the call")?;
    shows_state(reply, history)
}

fn did_it(sent: &Sent, reply: &CommandReply, history: &History<'_>) -> Checked {
    let run = history.run(sent.command).ok_or("it was acknowledged and is not stored")?;
    ensure(explains(&sent.order, run), "what is stored is not what was sent")?;
    let told = reply.events.iter().map(|event| (event.id, &event.name, event.revision));
    let stored = run.iter().map(|event| (event.event.id, &event.event.name, event.revision));
    ensure(told.eq(stored), "the reply shows other events than are stored")?;
    let (first, last) = (run[0], run[run.len() - 1]);
    ensure((reply.revision, reply.sequence) == (last.revision, last.sequence), "the reply shows another place")?;
    ensure(last.revision.get() <= sent.span.ended, "it was acknowledged before it was stored")?;
    if !reply.replayed {
        ensure(first.revision.get() > sent.span.begun, "it was stored before it was sent")?;
        let before = first.revision.get() - 1;
        ensure(sent.expects.is_none_or(|expected| expected == before), "it was done at a revision it did not expect")?;
    }
    shows_state(reply, history)
}

fn shows_state(reply: &CommandReply, history: &History<'_>) -> Checked {
    let state: Account = serde_json::from_slice(reply.state.as_deref().unwrap_or_default()).unwrap();
    ensure(state == *history.state(reply.revision.get())?, "the reply's state is not the fold of the journal")
}

fn refused_rightly(sent: &Sent, failure: &Failure, history: &History<'_>, log: &Log) -> Checked {
    let run = history.run(sent.command);
    let reused = failure.reason() == Some("command-id-reused");
    match failure.code {
        FailureCode::Unavailable => return Ok(()),
        FailureCode::Conflict if reused => {
            ensure(run.is_some_and(|run| run[0].revision.get() <= sent.span.ended), "the id is not in use")?;
            let others = log.sent.iter().any(|other| other.command == sent.command && other.order != sent.order);
            return ensure(others, "nobody sent another command under this id");
        }
        FailureCode::Conflict => {
            let actual = failure.actual_revision().ok_or("a conflict that does not tell the revision")?.get();
            ensure(sent.expects.is_some_and(|expected| expected != actual), "the expected revision did hold")?;
            ensure(sent.span.holds(actual), "the actual revision is not of the time of the call")?;
        }
        FailureCode::CommandRejected => {
            let Order::Withdraw(amount) = sent.order else { return Err("only withdrawals are rejected".to_owned()) };
            let balance = failure.details["balance"].as_u64().unwrap();
            let was_there = (sent.span.begun..=sent.span.ended)
                .any(|revision| history.state(revision).is_ok_and(|state| state.balance == balance));
            ensure(amount > balance && was_there, "the reason for the rejection was not there during the call")?;
        }
        _ => return Err("it failed for no reason that there was".to_owned()),
    }
    // It was judged anew although it had been carried out.
    let known = run.is_some_and(|run| run[run.len() - 1].revision.get() <= sent.span.begun);
    ensure(!known, "a command that was done before was refused")
}

/// Whether there is somebody who can have stored these events, and one at most who was told so.
fn was_asked_for(command: &str, number: usize, run: &[&RecordedEvent], log: &Log) -> Checked {
    let all = log.sent.iter().filter(|sent| sent.aggregate == number);
    let attempts: Vec<_> = all.filter(|sent| command_id(sent.command).as_str() == command).collect();
    ensure(!attempts.is_empty(), "nobody sent it")?;
    let is_first = |reply: &CommandReply| !reply.replayed && !reply.events.is_empty();
    let told_first = attempts.iter().filter(|sent| matches!(&sent.told, Told::Done(reply) if is_first(reply)));
    ensure(told_first.count() <= 1, "it was done for more than one caller")?;
    // Whoever came when it was stored already cannot have done it, and was only told of it.
    let (first, last) = (run[0].revision.get(), run[run.len() - 1].revision.get());
    let may_have = |sent: &Sent| match sent.told {
        Told::Done(_) => sent.span.begun < first && last <= sent.span.ended,
        Told::Unknown => sent.span.begun < first,
        Told::Refused(_) => false,
    };
    let done_by = attempts.into_iter().find(|sent| may_have(sent) && explains(&sent.order, run));
    ensure(done_by.is_some(), "everybody who can have done it was told that it was not done")
}

/// What was sent to one instance for one aggregate is stored in the order of sending. A repeated command, which most often
/// needs no storing, may have to wait until those behind it are done.
fn in_order_of_sending(log: &Log) -> Checked {
    let mut newest: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let mut known = HashSet::new();
    for sent in &log.sent {
        if known.insert(sent.command)
            && let Told::Done(reply) = &sent.told
            && !reply.replayed
            && !reply.events.is_empty()
        {
            let before = newest.insert((sent.instance, sent.aggregate), reply.revision.get());
            ensure(before < Some(reply.revision.get()), &format!("it was overtaken: {sent:?}"))?;
        }
    }
    Ok(())
}

fn got_the_truth(got: &Got, history: &History<'_>) -> Checked {
    match &got.told {
        Ok(EntityReply { revision, sequence, state, .. }) => {
            let state: Account = serde_json::from_slice(state).unwrap();
            ensure(state == *history.state(revision.get())?, "the state is not the fold of the journal")?;
            let last = &history.events[usize::try_from(revision.get()).unwrap() - 1];
            ensure(*sequence == last.sequence, "the sequence is not that of the revision")?;
            ensure(revision.get() <= got.span.ended, "the state is newer than the journal")?;
            ensure(got.at_least.is_none_or(|least| least <= revision.get()), "the state is older than was asked for")
        }
        Err(failure) => match failure.code {
            FailureCode::NotFound | FailureCode::Unavailable => Ok(()),
            FailureCode::DeadlineExceeded if got.at_least.is_some() => Ok(()),
            _ => Err("it failed for no reason that there was".to_owned()),
        },
    }
}
