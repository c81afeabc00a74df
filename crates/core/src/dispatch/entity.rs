//! One aggregate in memory: its state, where its history ends, and which commands made it.

use bytes::Bytes;
use tokio::time::Instant;

use super::index::{CommandIndex, CommandKey, Fingerprint};
use crate::description::AnyState;
use crate::store::Head;
use crate::{AggregateId, AggregateType, Failure, RecordedEvent, Revision};

/// One aggregate in memory, folded from all of its events up to its head.
pub(super) struct Entity {
    pub(super) state: Box<dyn AnyState>,
    pub(super) head: Head,
    pub(super) commands: CommandIndex,
    /// The revision of its newest snapshot, as far as it is known here.
    pub(super) snapshot: Revision,
    /// When it last took in an event.
    pub(super) changed: Instant,
    /// When it was last known to be the newest there is.
    pub(super) confirmed: Instant,
    /// The bytes of event data folded so far: the measure of the state's size.
    folded: u64,
    /// The state as callers see it, once one has asked, until the next event.
    shown: Option<Bytes>,
}

impl Entity {
    /// The aggregate before its first event.
    pub(super) fn new(described: &AggregateType, aggregate: &AggregateId) -> Self {
        Self {
            state: described.init(aggregate),
            head: Head::EMPTY,
            commands: CommandIndex::default(),
            snapshot: Revision::ZERO,
            changed: Instant::now(),
            confirmed: Instant::now(),
            folded: 0,
            shown: None,
        }
    }

    /// The aggregate as a snapshot has it; `size` is the length of its state there, in bytes.
    pub(super) fn restored(state: Box<dyn AnyState>, head: Head, commands: CommandIndex, size: usize) -> Self {
        let snapshot = head.revision();
        let now = Instant::now();
        Self { state, head, commands, snapshot, changed: now, confirmed: now, folded: size as u64, shown: None }
    }

    pub(super) fn revision(&self) -> Revision {
        self.head.revision()
    }

    /// How many events its newest snapshot is behind.
    pub(super) fn beyond_snapshot(&self) -> u64 {
        self.revision().get().saturating_sub(self.snapshot.get())
    }

    /// Its size in memory, in bytes, by estimate: the events' data stands for the state, each
    /// command id takes about 56 bytes, what is kept to be shown its length, and there is a fixed part.
    pub(super) fn weight(&self) -> u64 {
        let shown = self.shown.as_ref().map_or(0, Bytes::len);
        512 + self.folded + 56 * self.commands.len() as u64 + shown as u64
    }

    /// The state as callers see it, kept for the next one who asks.
    pub(super) fn show(&mut self, aggregate: &AggregateId) -> Result<Bytes, Failure> {
        if let Some(shown) = &self.shown {
            return Ok(shown.clone());
        }
        let json = self.state_json(aggregate)?;
        self.shown = Some(json.clone());
        Ok(json)
    }

    /// The state as callers see it.
    pub(super) fn state_json(&self, aggregate: &AggregateId) -> Result<Bytes, Failure> {
        self.state.to_json().map(Bytes::from).map_err(|error| {
            tracing::error!(%aggregate, %error, "the state cannot be written as JSON");
            Failure::internal("the state cannot be written as JSON")
        })
    }

    /// Takes note of one stored event: whose it is, when, and how large.
    pub(super) fn note(
        &mut self,
        command: CommandKey,
        revision: Revision,
        time: chrono::DateTime<chrono::Utc>,
        data: usize,
        fingerprint: Option<Fingerprint>,
    ) {
        self.commands.note(command, revision, time, fingerprint);
        self.folded += data as u64;
        self.changed = Instant::now();
        self.shown = None;
        self.confirmed = self.changed;
    }

    /// Takes note of one event that was read back.
    pub(super) fn note_recorded(&mut self, event: &RecordedEvent) {
        let stored = &event.event;
        self.note(CommandKey::of(&stored.metadata.command_id), event.revision, stored.time, stored.data.len(), None);
    }
}
