//! One aggregate in memory: its state, where its history ends, and which commands made it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use serde_json::Value;

use crate::description::AnyState;
use crate::store::Head;
use crate::{AggregateId, AggregateType, CommandId, Failure, RecordedEvent, Revision};

/// One aggregate in memory, folded from all of its events up to its head.
pub(super) struct Entity {
    pub(super) state: Box<dyn AnyState>,
    pub(super) head: Head,
    pub(super) commands: CommandIndex,
    /// The bytes of event data folded so far: the measure of the state's size.
    folded: u64,
}

/// At which revision each command id first shows in the history. It holds hashes: a hit says
/// where to look, and the stored event says whether it was the same command.
#[derive(Default)]
pub(super) struct CommandIndex {
    seen: HashMap<u64, Seen>,
}

/// Where a command id was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The revision of the command's first event.
    pub(super) first: Revision,
    /// What the command was, when it was carried out here; a history does not tell.
    pub(super) fingerprint: Option<Fingerprint>,
}

/// A hash of a command's name and payload: two commands with one id and different fingerprints are
/// not the same command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Entity {
    /// The aggregate before its first event.
    pub(super) fn new(described: &AggregateType, aggregate: &AggregateId) -> Self {
        Self { state: described.init(aggregate), head: Head::EMPTY, commands: CommandIndex::default(), folded: 0 }
    }

    pub(super) fn revision(&self) -> Revision {
        self.head.revision()
    }

    /// Its size in memory, in bytes, by estimate: the events' data stands for the state, each
    /// command id takes about 40 bytes, and there is a fixed part.
    pub(super) fn weight(&self) -> u64 {
        512 + self.folded + 40 * self.commands.seen.len() as u64
    }

    /// The state as callers see it.
    pub(super) fn state_json(&self, aggregate: &AggregateId) -> Result<Bytes, Failure> {
        self.state.to_json().map(Bytes::from).map_err(|error| {
            tracing::error!(%aggregate, %error, "the state cannot be written as JSON");
            Failure::internal("the state cannot be written as JSON")
        })
    }

    /// Takes note of one stored event: whose it is, and how large.
    pub(super) fn note(
        &mut self,
        command: &CommandId,
        revision: Revision,
        data: usize,
        fingerprint: Option<Fingerprint>,
    ) {
        self.commands.seen.entry(hash(command)).or_insert(Seen { first: revision, fingerprint });
        self.folded += data as u64;
    }

    /// Takes note of one event that was read back.
    pub(super) fn note_recorded(&mut self, event: &RecordedEvent) {
        self.note(&event.event.metadata.command_id, event.revision, event.event.data.len(), None);
    }
}

impl CommandIndex {
    /// Where `command` may have been carried out.
    pub(super) fn seen(&self, command: &CommandId) -> Option<Seen> {
        self.seen.get(&hash(command)).copied()
    }
}

impl Fingerprint {
    /// The fingerprint of a command. The order of a payload's members does not matter.
    pub(super) fn of(command: &str, payload: &Value) -> Self {
        let mut hasher = DefaultHasher::new();
        command.hash(&mut hasher);
        payload.hash(&mut hasher);
        Self(hasher.finish())
    }
}

fn hash(command: &CommandId) -> u64 {
    let mut hasher = DefaultHasher::new();
    command.hash(&mut hasher);
    hasher.finish()
}
