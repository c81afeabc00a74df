//! The conformance suite of snapshot stores: on the one in memory, and on some that do one thing wrong, which a case has
//! to notice.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use headwater_core::AggregateId;
use headwater_core::store::{MemorySnapshots, SnapshotStore, StoreError};
use headwater_testkit::conformance;

headwater_testkit::snapshot_store_conformance!(|| async { MemorySnapshots::new() });

/// What a snapshot store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KeepsTheFirst,
    KeepsText,
    CutsLargeOnes,
    IgnoresCase,
    IgnoresTenants,
    IgnoresTypes,
    AppendsToTheOneBefore,
    LosesTheOneBeforeWhenFull,
    IsDown,
}

use Fault::*;

const NOTICED: [(Fault, &str); 9] = [
    (KeepsTheFirst, "a_newer_snapshot_takes_the_place_of_the_one_before"),
    (KeepsText, "a_snapshot_comes_back_byte_for_byte"),
    (CutsLargeOnes, "a_snapshot_of_two_hundred_kibibytes_comes_back"),
    (IgnoresCase, "ids_of_any_characters_have_snapshots_of_their_own"),
    (IgnoresTenants, "the_same_id_in_two_tenants_and_types_has_snapshots_of_its_own"),
    (IgnoresTypes, "the_same_id_in_two_tenants_and_types_has_snapshots_of_its_own"),
    (AppendsToTheOneBefore, "the_same_snapshot_may_be_saved_again"),
    (LosesTheOneBeforeWhenFull, "a_snapshot_that_is_too_large_is_refused_or_comes_back_whole"),
    (IsDown, "an_aggregate_without_a_snapshot_has_none"),
];

/// Time is paused, so that a case that waits in vain gives up at once.
#[tokio::test(start_paused = true)]
async fn the_suite_notices_a_snapshot_store_that_does_one_thing_wrong() {
    let mut missed = Vec::new();
    for (fault, name) in NOTICED {
        let case = conformance::snapshot_cases().iter().find(|case| case.name() == name).unwrap();
        let run = case.run(Faulty { fault, inner: MemorySnapshots::new() });
        if AssertUnwindSafe(run).catch_unwind().await.is_ok() {
            missed.push((fault, name));
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_cases_can_share_one_place() {
    let shared = MemorySnapshots::new();
    conformance::run_snapshot_cases(|| async { shared.clone() }).await;
    assert!(shared.len() > 200);
}

/// Snapshots in memory with a fault between them and their users.
#[derive(Debug)]
struct Faulty {
    fault: Fault,
    inner: MemorySnapshots,
}

impl Faulty {
    fn place(&self, aggregate: &AggregateId) -> AggregateId {
        let (kind, id) = (aggregate.kind().clone(), aggregate.id());
        match self.fault {
            IgnoresCase => AggregateId::of(kind, id.to_lowercase()).unwrap(),
            IgnoresTenants => AggregateId::of(kind, id).unwrap(),
            IgnoresTypes if aggregate.tenant().is_none() => AggregateId::new("any", id).unwrap(),
            _ => aggregate.clone(),
        }
    }
}

#[async_trait]
impl SnapshotStore for Faulty {
    async fn load(&self, aggregate: &AggregateId) -> Result<Option<Bytes>, StoreError> {
        if self.fault == IsDown {
            return Err(StoreError::new("the store is down"));
        }
        self.inner.load(&self.place(aggregate)).await
    }

    async fn save(&self, aggregate: &AggregateId, snapshot: Bytes) -> Result<(), StoreError> {
        let place = self.place(aggregate);
        let before = self.inner.load(&place).await?;
        let snapshot = match (self.fault, before) {
            (KeepsTheFirst, Some(_)) => return Ok(()),
            (KeepsText, _) => String::from_utf8_lossy(&snapshot).into_owned().into(),
            (CutsLargeOnes, _) => snapshot.slice(..snapshot.len().min(65_536)),
            (AppendsToTheOneBefore, Some(before)) => [before, snapshot].concat().into(),
            (LosesTheOneBeforeWhenFull, _) if snapshot.len() > 1 << 20 => {
                self.inner.save(&place, Bytes::new()).await?;
                return Err(StoreError::new("too large"));
            }
            _ => snapshot,
        };
        self.inner.save(&place, snapshot).await
    }
}
