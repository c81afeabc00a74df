//! All that is known of one aggregate, arranged for looking things up.

use std::collections::BTreeMap;

use headwater::{Aggregate, Event as _};
use sample_receipts::domain::{Receipt, ReceiptEvent};
use serde_json::Value;

use crate::history::{Asked, Call, Entry};
use crate::order::{Order, id};

/// One aggregate: its stored events, and the calls about it.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) calls: Vec<&'a Call>,
    pub(super) entries: Vec<&'a Entry>,
    /// The state after so many events.
    pub(super) states: Vec<Receipt>,
    /// Stored events that cannot be read.
    pub(super) unreadable: Vec<&'a Entry>,
    /// Neighbouring events of one command, as they are stored.
    pub(super) blocks: Vec<Block<'a>>,
    /// The calls of each command, in the order in which they were made.
    pub(super) attempts: BTreeMap<&'a str, Vec<&'a Call>>,
    /// When callers had been told of a revision, and the highest of which any had been told by then.
    told: Vec<(u64, u64)>,
}

/// The stored events of one command. Places count the stored events from 1.
pub(super) struct Block<'a> {
    pub(super) command: &'a str,
    pub(super) first: u64,
    pub(super) entries: Vec<&'a Entry>,
}

impl Block<'_> {
    pub(super) fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(name: &'a str, mut calls: Vec<&'a Call>, mut entries: Vec<&'a Entry>) -> Self {
        calls.sort_by_key(|call| call.called);
        entries.sort_by_key(|entry| entry.sequence);
        let (states, unreadable) = fold(name, &entries);
        let mut attempts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for call in &calls {
            if let Asked::Command { id, .. } = &call.asked {
                attempts.entry(id.as_str()).or_default().push(*call);
            }
        }
        let (blocks, told) = (blocks(&entries), told(&calls));
        Self { name, calls, entries, states, unreadable, blocks, attempts, told }
    }

    /// The stored events of a command; the first of them, should it be stored more than once.
    pub(super) fn block(&self, command: &str) -> Option<&Block<'a>> {
        self.blocks.iter().find(|block| block.command == command)
    }

    pub(super) fn attempts(&self, command: &str) -> &[&'a Call] {
        self.attempts.get(command).map(Vec::as_slice).unwrap_or_default()
    }

    /// The state at a revision.
    pub(super) fn state(&self, revision: u64) -> Option<&Receipt> {
        self.states.get(usize::try_from(revision).ok()?)
    }

    /// The journal place of the event of a revision.
    pub(super) fn sequence(&self, revision: u64) -> Option<u64> {
        Some(self.entries.get(usize::try_from(revision.checked_sub(1)?).ok()?)?.sequence)
    }

    /// The revision that must be seen by whoever asks at this time, because somebody had been told of it.
    pub(super) fn at_least(&self, called: u64) -> u64 {
        let before = self.told.partition_point(|(at, _)| *at < called);
        before.checked_sub(1).map_or(0, |last| self.told[last].1)
    }

    /// The highest revision that can be seen by whoever is answered at this time, because the rest had not been asked
    /// for.
    pub(super) fn at_most(&self, returned: u64) -> u64 {
        let too_late =
            |block: &&Block<'_>| self.attempts(block.command).first().is_some_and(|attempt| attempt.called > returned);
        let stored = self.entries.len() as u64;
        self.blocks.iter().find(too_late).map_or(stored, |block| block.first - 1)
    }

    /// How many events of the block the order leads to where the block begins; none when it leads to others.
    pub(super) fn caused(&self, order: &Order, block: &Block<'_>) -> Option<usize> {
        let events = order.decide(self.state(block.first - 1)?).ok()?;
        let same = |(event, entry): (&ReceiptEvent, &&Entry)| event.name() == entry.name && data(event) == entry.data;
        let are_there = events.len() <= block.entries.len() && events.iter().zip(&block.entries).all(same);
        are_there.then_some(events.len())
    }
}

/// The data of an event, as it is stored.
pub(super) fn data(event: &ReceiptEvent) -> Value {
    serde_json::from_slice(&event.encode().unwrap()).unwrap()
}

fn fold<'a>(name: &str, entries: &[&'a Entry]) -> (Vec<Receipt>, Vec<&'a Entry>) {
    let mut states = vec![Receipt::init(&id(name))];
    let mut unreadable = Vec::new();
    for entry in entries {
        let mut receipt = states.last().unwrap().clone();
        match ReceiptEvent::decode(&entry.name, entry.data.to_string().as_bytes()) {
            Ok(event) => receipt.evolve(&event),
            Err(_) => unreadable.push(*entry),
        }
        states.push(receipt);
    }
    (states, unreadable)
}

fn blocks<'a>(entries: &[&'a Entry]) -> Vec<Block<'a>> {
    let mut first = 1;
    let of_one_command = entries.chunk_by(|one, next| one.command == next.command);
    of_one_command
        .map(|entries| {
            let block = Block { command: &entries[0].command, first, entries: entries.to_vec() };
            first += entries.len() as u64;
            block
        })
        .collect()
}

fn told(calls: &[&Call]) -> Vec<(u64, u64)> {
    let mut told: Vec<_> = calls.iter().filter_map(|call| Some((call.returned, call.told()?))).collect();
    told.sort_unstable();
    let mut highest = 0;
    for (_, revision) in &mut told {
        highest = highest.max(*revision);
        *revision = highest;
    }
    told
}
