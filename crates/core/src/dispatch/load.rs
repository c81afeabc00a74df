//! Bringing an aggregate into memory and up to date.

use tokio::time::Instant;

use super::cache::Slot;
use super::entity::Entity;
use super::writer::SnapshotWriter;
use super::{Inner, snapshot};
use crate::store::{Freshness, Head, ReadError, ReadOptions};
use crate::{AggregateId, AggregateType, Failure, RecordedEvent, Revision};

impl Inner {
    /// The aggregate in memory, read from the store when it is not there. It may be behind the
    /// store: another instance may have written since.
    pub(super) async fn load(&self, described: &AggregateType, aggregate: &AggregateId) -> Result<Slot, Failure> {
        match self.cached(aggregate) {
            Some(slot) => Ok(slot),
            None => self.load_anew(described, aggregate).await,
        }
    }

    /// The aggregate, if it is in memory.
    pub(super) fn cached(&self, aggregate: &AggregateId) -> Option<Slot> {
        self.cache.get(aggregate).inspect(|_| self.counters.cache_hits.add(1))
    }

    /// The aggregate, read from the store.
    pub(super) async fn load_anew(&self, described: &AggregateType, aggregate: &AggregateId) -> Result<Slot, Failure> {
        self.counters.cache_misses.add(1);
        let since = self.watch();
        let loaded = match self.snapshots.as_ref() {
            None => {
                let slot = Slot::new(Entity::new(described, aggregate));
                self.catch_up(described, aggregate, &slot, Freshness::Fast).await.map(|_| slot)
            }
            Some(snapshots) => self.load_with(snapshots, described, aggregate).await,
        };
        self.tell_loaded(since, aggregate, &loaded);
        let slot = self.cache.put(aggregate, loaded?);
        if let Some(snapshots) = &self.snapshots {
            snapshots.start();
            self.snapshot_evicted(snapshots);
        }
        Ok(slot)
    }

    /// Looks up the snapshot and the journal's last event at once, and then reads what lies
    /// between them, if anything does.
    async fn load_with(
        &self,
        snapshots: &SnapshotWriter,
        described: &AggregateType,
        aggregate: &AggregateId,
    ) -> Result<Slot, Failure> {
        let (snapshot, head) =
            tokio::join!(snapshots.store().load(aggregate), self.store.head(aggregate, Freshness::Fast));
        let head = head.map_err(|error| read_failure(&error))?;
        let snapshot = snapshot.unwrap_or_else(|error| {
            tracing::warn!(%aggregate, error = &error as &dyn std::error::Error, "a snapshot could not be loaded");
            None
        });
        let restored = snapshot.and_then(|bytes| snapshot::read(described, &bytes, &head));
        if restored.is_some() {
            self.counters.snapshots_used.add(1);
        }
        let slot = Slot::new(restored.unwrap_or_else(|| Entity::new(described, aggregate)));
        let after = slot.lock().revision();
        if after < head.revision() {
            let options = ReadOptions::after(after).known_head(head);
            self.fold_from_store(described, aggregate, &slot, options).await?;
        }
        Ok(slot)
    }

    /// Folds into the slot whatever the store has beyond it. Returns the revision it is at then.
    pub(super) async fn catch_up(
        &self,
        described: &AggregateType,
        aggregate: &AggregateId,
        slot: &Slot,
        freshness: Freshness,
    ) -> Result<Revision, Failure> {
        let after = slot.lock().revision();
        let options = ReadOptions::after(after).freshness(freshness);
        self.fold_from_store(described, aggregate, slot, options).await
    }

    async fn fold_from_store(
        &self,
        described: &AggregateType,
        aggregate: &AggregateId,
        slot: &Slot,
        options: ReadOptions,
    ) -> Result<Revision, Failure> {
        let history = self.store.read(aggregate, options).await.map_err(|error| read_failure(&error))?;
        self.counters.events_read.add(history.events.len());
        let mut entity = slot.lock();
        // Somebody else may have caught up meanwhile, or appended; whoever comes late has nothing left to fold.
        if history.head.revision() > entity.revision() {
            let fold = || fold(described, &mut entity, &history.events, &history.head);
            self.guarded(aggregate, fold)??;
            slot.tell();
        }
        entity.confirmed = Instant::now();
        Ok(entity.revision())
    }

    /// The aggregate as its first events left it, for as long as `keep` says so.
    pub(super) async fn replayed(
        &self,
        described: &AggregateType,
        aggregate: &AggregateId,
        mut keep: impl FnMut(&RecordedEvent) -> bool,
    ) -> Result<Entity, Failure> {
        let options = ReadOptions::all().freshness(Freshness::Leader);
        let history = self.store.read(aggregate, options).await.map_err(|error| read_failure(&error))?;
        let kept = history.events.iter().take_while(|event| keep(event)).count();
        let events = &history.events[..kept];
        self.counters.events_read.add(kept);
        let mut entity = Entity::new(described, aggregate);
        let head = Head::EMPTY.after(events.iter().map(|event| event.sequence));
        self.guarded(aggregate, || fold(described, &mut entity, events, &head))??;
        Ok(entity)
    }
}

/// Folds the events beyond the entity's revision into it and moves it to `head`.
fn fold(described: &AggregateType, entity: &mut Entity, events: &[RecordedEvent], head: &Head) -> Result<(), Failure> {
    let known = entity.revision();
    for event in events.iter().filter(|event| event.revision > known) {
        described.evolve(&mut *entity.state, event).map_err(|error| {
            tracing::error!(
                aggregate = %event.aggregate, revision = %event.revision, error = &error as &dyn std::error::Error,
                "a stored event cannot be read"
            );
            broken(event.revision, &format!("revision {} cannot be read: {error}", event.revision))
        })?;
        entity.note_recorded(event);
    }
    entity.head = head.clone();
    Ok(())
}

/// What a caller gets when the store cannot be read.
pub(super) fn read_failure(error: &ReadError) -> Failure {
    match error {
        ReadError::HistoryBroken { revision, .. } => {
            tracing::error!(%error, "a history is broken");
            broken(*revision, &error.to_string())
        }
        ReadError::Unavailable(cause) => {
            tracing::warn!(error = cause as &dyn std::error::Error, "the store could not be read");
            Failure::unavailable("store", "the event store cannot be read now")
        }
    }
}

fn broken(revision: Revision, message: &str) -> Failure {
    Failure::internal(message).detail("reason", "history-broken").detail("revision", revision.get())
}
