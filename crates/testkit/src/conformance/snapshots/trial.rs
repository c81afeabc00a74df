//! One run of one case: a snapshot store, aggregates nobody else has, and the checks that the cases share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::store::{SnapshotStore, StoreError};
use headwater_core::{AggregateId, Name};

use crate::conformance::trial::{ok, unique_name};

/// How long a store may show an older snapshot. As long as a replica may lag on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One run of one case. Clones are the same run, for tasks of their own.
#[derive(Clone)]
pub(super) struct Trial {
    store: Arc<dyn SnapshotStore>,
    kind: Name,
}

impl Trial {
    pub(super) fn new(store: Arc<dyn SnapshotStore>) -> Self {
        Self { store, kind: unique_name("k") }
    }

    pub(super) fn aggregate(&self, id: &str) -> AggregateId {
        AggregateId::of(self.kind.clone(), id).expect("the suite uses ids that follow the rule")
    }

    /// An aggregate of a type that only this call uses.
    pub(super) fn of_another_type(&self, id: &str) -> AggregateId {
        AggregateId::of(unique_name("k"), id).expect("the suite uses ids that follow the rule")
    }

    pub(super) async fn save(&self, aggregate: &AggregateId, snapshot: &Bytes) {
        ok(self.try_save(aggregate, snapshot).await);
    }

    pub(super) async fn try_save(&self, aggregate: &AggregateId, snapshot: &Bytes) -> Result<(), StoreError> {
        self.store.save(aggregate, snapshot.clone()).await
    }

    pub(super) async fn load(&self, aggregate: &AggregateId) -> Option<Bytes> {
        ok(self.store.load(aggregate).await)
    }

    /// Waits until the aggregate has this snapshot. Until then it may have one of `before`, or none where there is none
    /// among them, and never anything else.
    pub(super) async fn expect(&self, aggregate: &AggregateId, snapshot: &Bytes, before: &[Bytes]) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.load(aggregate).await {
                Some(found) if found == *snapshot => return,
                Some(found) => assert!(
                    before.contains(&found),
                    "{aggregate} has a snapshot of {} bytes that was never saved for it",
                    found.len()
                ),
                None => assert!(before.is_empty(), "{aggregate} has lost its snapshot"),
            }
            assert!(tokio::time::Instant::now() < deadline, "{aggregate} does not get its newest snapshot");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A snapshot like those that the dispatcher writes: a checksum and JSON.
pub(super) fn snapshot(number: usize) -> Bytes {
    format!(r#"0123456789abcdef{{"form":1,"revision":{number},"state":{{"counted":{number}}}}}"#).into()
}

/// Bytes of every value, the same ones whenever it is called with these arguments.
pub(super) fn noise(size: usize, seed: u8) -> Bytes {
    let mut value = u32::from(seed) + 1;
    let next = move || {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        value.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}
