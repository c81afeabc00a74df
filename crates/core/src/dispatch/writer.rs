//! Writing snapshots behind the replies: one task, a bounded queue, and nothing that waits for it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::cache::Slot;
use super::{Inner, snapshot};
use crate::AggregateId;
use crate::store::SnapshotStore;

/// How many snapshots may wait to be written; further ones are left out until the next occasion.
const QUEUE: usize = 1024;

/// How long one snapshot may take to be written.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// When snapshots are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct SnapshotPolicy {
    /// After so many events since the last one.
    pub(super) every: u64,
    /// When an aggregate with newer events has not changed for so long.
    pub(super) idle: Duration,
}

/// The way to the writing task.
pub(super) struct SnapshotWriter {
    store: Arc<dyn SnapshotStore>,
    policy: SnapshotPolicy,
    /// What the writing task works for. It must not keep it alive.
    inner: Weak<Inner>,
    /// Set by the first call that needs it, which runs inside a runtime; building a dispatcher may not.
    queue: OnceLock<mpsc::Sender<Job>>,
}

enum Job {
    Write(AggregateId, Slot),
    /// Everything before it is written when the answer comes.
    Flush(oneshot::Sender<()>),
}

impl SnapshotWriter {
    pub(super) fn new(store: Arc<dyn SnapshotStore>, policy: SnapshotPolicy, inner: Weak<Inner>) -> Self {
        Self { store, policy, inner, queue: OnceLock::new() }
    }

    pub(super) fn store(&self) -> &Arc<dyn SnapshotStore> {
        &self.store
    }

    /// Has the writing task run, so that what goes idle is found also where nothing was ever written.
    pub(super) fn start(&self) {
        self.queue();
    }

    fn queue(&self) -> &mpsc::Sender<Job> {
        self.queue.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(run(Weak::clone(&self.inner), receiver, self.policy));
            sender
        })
    }
}

impl Inner {
    /// Has a snapshot written when enough events have come since the last.
    pub(super) fn snapshot_when_due(&self, aggregate: &AggregateId, slot: &Slot) {
        let Some(writer) = &self.snapshots else { return };
        let queue = writer.queue();
        if slot.lock().beyond_snapshot() >= writer.policy.every {
            self.enqueue(queue, aggregate.clone(), slot.clone());
        }
        self.snapshot_evicted(writer);
    }

    /// Has snapshots written of what the cache gave up, as it is not in memory any longer. Commands and queries both
    /// push others out, so it is called after either.
    pub(super) fn snapshot_evicted(&self, writer: &SnapshotWriter) {
        for (aggregate, slot) in self.cache.take_evicted() {
            if slot.lock().beyond_snapshot() > 0 {
                self.enqueue(writer.queue(), aggregate, slot);
            }
        }
    }

    fn enqueue(&self, queue: &mpsc::Sender<Job>, aggregate: AggregateId, slot: Slot) {
        if queue.try_send(Job::Write(aggregate, slot)).is_err() {
            self.counters.snapshots_skipped.add(1);
        }
    }

    /// Has snapshots of everything in memory written that has newer events, and waits for it.
    pub(super) async fn flush_snapshots(&self) {
        let Some(writer) = &self.snapshots else { return };
        let queue = writer.queue();
        for (aggregate, slot) in self.cache.take_evicted().into_iter().chain(self.cache.changed_before(None)) {
            if queue.send(Job::Write(aggregate, slot)).await.is_err() {
                return;
            }
        }
        let (done, written) = oneshot::channel();
        if queue.send(Job::Flush(done)).await.is_ok() {
            // An error means that the task is gone, and with it whatever could be waited for.
            let _ = written.await;
        }
    }

    async fn write_snapshot(&self, aggregate: &AggregateId, slot: &Slot) {
        let (Some(writer), Ok(described)) = (&self.snapshots, self.type_of(aggregate)) else { return };
        let (written, revision) = {
            let entity = slot.lock();
            if entity.beyond_snapshot() == 0 {
                return;
            }
            (snapshot::write(described, &entity), entity.revision())
        };
        let Some(written) = written else { return };
        match tokio::time::timeout(WRITE_LIMIT, writer.store.save(aggregate, written)).await {
            Ok(Ok(())) => {
                let mut entity = slot.lock();
                entity.snapshot = entity.snapshot.max(revision);
                self.counters.snapshots_written.add(1);
            }
            Ok(Err(error)) => {
                self.counters.snapshots_failed.add(1);
                tracing::warn!(%aggregate, error = &error as &dyn std::error::Error, "a snapshot was not written");
            }
            Err(_) => {
                self.counters.snapshots_failed.add(1);
                tracing::warn!(%aggregate, "a snapshot was not written within {WRITE_LIMIT:?}");
            }
        }
    }
}

/// The writing task. It ends when the dispatcher is gone.
async fn run(inner: Weak<Inner>, mut jobs: mpsc::Receiver<Job>, policy: SnapshotPolicy) {
    let mut rounds = tokio::time::interval_at(Instant::now() + policy.idle, policy.idle);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            job = jobs.recv() => {
                let (Some(job), Some(inner)) = (job, inner.upgrade()) else { return };
                match job {
                    Job::Write(aggregate, slot) => inner.write_snapshot(&aggregate, &slot).await,
                    Job::Flush(done) => drop(done.send(())),
                }
            }
            _ = rounds.tick() => {
                let Some(inner) = inner.upgrade() else { return };
                let Some(idle) = Instant::now().checked_sub(policy.idle) else { continue };
                for (aggregate, slot) in inner.cache.changed_before(Some(idle)) {
                    inner.write_snapshot(&aggregate, &slot).await;
                }
            }
        }
    }
}
