//! Histories in which everything is right, made by a service of a few lines: it does one thing after the other, in
//! the middle of calls that overlap.

use std::collections::BTreeMap;

use headwater::{Aggregate, Event as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sample_receipts::domain::Receipt;
use serde_json::json;

use super::line::data;
use crate::history::{Answer, Asked, Call, Entry, Event, History};
use crate::order::{Order, id};

/// How many calls a history has.
const CALLS: u64 = 150;

/// From one effect to the next, in microseconds; a call begins and ends up to four times as far from its own.
const STEP: u64 = 10;

/// A command that was sent.
#[derive(Clone)]
struct Sent {
    aggregate: &'static str,
    id: String,
    order: Order,
    expected: Option<u64>,
}

/// The service, and its journal.
#[derive(Default)]
struct Model {
    journal: Vec<Entry>,
    states: BTreeMap<&'static str, Vec<Receipt>>,
    /// The first acknowledgement of each command that was carried out, and its order.
    done: BTreeMap<(&'static str, String), (Answer, Order)>,
}

/// A history of two aggregates in which nothing is wrong.
pub(super) fn history(seed: u64) -> History {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut model, mut sent) = (Model::default(), Vec::new());
    let call = |turn| {
        let ((aggregate, asked), answer) = model.turn(turn, &mut sent, &mut random);
        let effect = turn * STEP + 10 * STEP;
        let called = effect - random.random_range(0..4 * STEP);
        let returned = effect + random.random_range(0..4 * STEP);
        Call { caller: 0, called, returned, until: returned, aggregate: aggregate.to_owned(), asked, answer }
    };
    let calls = (1..=CALLS).map(call).collect();
    History { calls, faults: Vec::new(), journal: model.journal }
}

/// The receipts here stay open, so that there is always something to do.
fn random_order(random: &mut StdRng) -> Order {
    loop {
        match Order::random(random) {
            Order::Finalize(_) | Order::Void(_) => {}
            order => return order,
        }
    }
}

type Answered = ((&'static str, Asked), Answer);

impl Sent {
    fn answered(self, answer: Answer) -> Answered {
        let Self { aggregate, id, order, expected } = self;
        ((aggregate, Asked::Command { id, order, expected }), answer)
    }
}

impl Model {
    /// A read, a command that was sent before, or a new one.
    fn turn(&mut self, turn: u64, sent: &mut Vec<Sent>, random: &mut StdRng) -> Answered {
        let aggregate = *["a", "b"].choose(random).unwrap();
        match random.random_range(0..10) {
            0..2 => self.read(aggregate, random),
            2..4 if !sent.is_empty() => {
                let mut again = sent.choose(random).unwrap().clone();
                // One that was never carried out is sent again as it was.
                if self.done.contains_key(&(again.aggregate, again.id.clone())) && random.random_bool(0.3) {
                    again.order = again.order.other(random);
                }
                let answer = self.carry_out(&again, random);
                again.answered(answer)
            }
            _ => {
                let newest = self.revision(aggregate);
                let expected = random.random_bool(0.2).then(|| newest.saturating_sub(random.random_range(0..2)));
                let new = Sent { aggregate, id: format!("c-{turn}"), order: random_order(random), expected };
                let answer = self.carry_out(&new, random);
                if matches!(answer, Answer::Done { .. } | Answer::Unknown { .. }) {
                    sent.push(new.clone());
                }
                new.answered(answer)
            }
        }
    }

    fn revision(&self, aggregate: &str) -> u64 {
        self.states.get(aggregate).map_or(0, |states| states.len() as u64 - 1)
    }

    fn sequence(&self, aggregate: &str) -> u64 {
        self.journal.iter().rfind(|entry| entry.aggregate == aggregate).map_or(0, |entry| entry.sequence)
    }

    fn read(&self, aggregate: &'static str, random: &mut StdRng) -> Answered {
        let revision = self.revision(aggregate);
        let min_revision = (revision > 1 && random.random_bool(0.5)).then(|| random.random_range(2..=revision));
        let asked = (aggregate, Asked::Get { min_revision });
        let Some(state) = self.states.get(aggregate).and_then(|states| states.last()).filter(|_| revision > 0) else {
            return (asked, Answer::Missing);
        };
        (asked, Answer::Found { revision, sequence: self.sequence(aggregate), state: json!(state) })
    }

    /// Some answers are lost, of those some with the effect and some without.
    fn carry_out(&mut self, sent: &Sent, random: &mut StdRng) -> Answer {
        let lost = || Answer::Unknown { why: "lost".to_owned() };
        if random.random_bool(0.1) {
            return lost();
        }
        let answer = self.answer(sent);
        if matches!(answer, Answer::Done { .. }) && random.random_bool(0.2) { lost() } else { answer }
    }

    fn answer(&mut self, sent: &Sent) -> Answer {
        let key = (sent.aggregate, sent.id.clone());
        if let Some((answer, order)) = self.done.get(&key) {
            return if *order == sent.order { repeated(answer.clone()) } else { Answer::Reused };
        }
        let newest = self.revision(sent.aggregate);
        if sent.expected.is_some_and(|expected| expected != newest) {
            return Answer::Conflict { actual: Some(newest) };
        }
        let states = self.states.entry(sent.aggregate).or_insert_with(|| vec![Receipt::init(&id(sent.aggregate))]);
        let events = match sent.order.decide(states.last().unwrap()) {
            Err(rejection) => return Answer::Rejected { why: rejection.to_string() },
            Ok(events) => events,
        };
        let first = self.journal.len();
        for (event, revision) in events.iter().zip(newest + 1..) {
            let mut state = states.last().unwrap().clone();
            state.evolve(event);
            states.push(state);
            self.journal.push(Entry {
                sequence: self.journal.len() as u64 + 1,
                aggregate: sent.aggregate.to_owned(),
                revision,
                id: format!("{}-{}-{revision}", sent.aggregate, sent.id),
                name: event.name().to_owned(),
                command: sent.id.clone(),
                data: data(event),
            });
        }
        let state = Some(json!(states.last().unwrap()));
        let event = |entry: &Entry| Event { id: entry.id.clone(), name: entry.name.clone(), revision: entry.revision };
        let events: Vec<_> = self.journal[first..].iter().map(event).collect();
        let (revision, sequence) = (self.revision(sent.aggregate), self.journal.len() as u64);
        let answer = Answer::Done { revision, sequence, events, state, replayed: false };
        self.done.insert(key, (answer.clone(), sent.order.clone()));
        answer
    }
}

fn repeated(answer: Answer) -> Answer {
    match answer {
        Answer::Done { revision, sequence, events, state, .. } => {
            Answer::Done { revision, sequence, events, state, replayed: true }
        }
        other => other,
    }
}
