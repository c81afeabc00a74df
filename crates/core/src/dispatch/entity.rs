//! One aggregate in memory: its state, where its history ends, and which commands made it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

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
    first: HashMap<u64, Revision>,
}

impl Entity {
    /// The aggregate before its first event.
    pub(super) fn new(described: &AggregateType, aggregate: &AggregateId) -> Self {
        Self { state: described.init(aggregate), head: Head::EMPTY, commands: CommandIndex::default(), folded: 0 }
    }

    pub(super) fn revision(&self) -> Revision {
        self.head.revision()
    }

    /// Its size in memory, in bytes, by estimate: the events' data stands for the state, each
    /// command id takes about 24 bytes, and there is a fixed part.
    pub(super) fn weight(&self) -> u64 {
        512 + self.folded + 24 * self.commands.first.len() as u64
    }

    /// The state as callers see it.
    pub(super) fn state_json(&self, aggregate: &AggregateId) -> Result<Bytes, Failure> {
        self.state.to_json().map(Bytes::from).map_err(|error| {
            tracing::error!(%aggregate, %error, "the state cannot be written as JSON");
            Failure::internal("the state cannot be written as JSON")
        })
    }

    /// Remembers what a stored event says beside its data.
    pub(super) fn note(&mut self, command: &CommandId, revision: Revision, data: usize) {
        self.commands.note(command, revision);
        self.folded += data as u64;
    }

    /// Notes one event that was read back.
    pub(super) fn note_recorded(&mut self, event: &RecordedEvent) {
        self.note(&event.event.metadata.command_id, event.revision, event.event.data.len());
    }
}

impl CommandIndex {
    /// The revision of the first event that `command` may have made.
    pub(super) fn first(&self, command: &CommandId) -> Option<Revision> {
        self.first.get(&hash(command)).copied()
    }

    fn note(&mut self, command: &CommandId, revision: Revision) {
        self.first.entry(hash(command)).or_insert(revision);
    }
}

fn hash(command: &CommandId) -> u64 {
    let mut hasher = DefaultHasher::new();
    command.hash(&mut hasher);
    hasher.finish()
}
