//! Where snapshots are kept: a cache of folded states, never the truth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;
use crate::AggregateId;

/// Keeps the newest snapshot of each aggregate. What is in one is the dispatcher's business; a
/// store only has bytes to keep.
///
/// Everything about it may fail without harm: a snapshot that cannot be loaded is read from the
/// journal instead, one that cannot be saved is missing. What a store must do all the same, the
/// conformance suite for snapshot stores shows: nothing comes back that was never saved for the
/// aggregate, whole and byte for byte.
#[async_trait]
pub trait SnapshotStore: Send + Sync + std::fmt::Debug + 'static {
    /// The newest snapshot of the aggregate, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn load(&self, aggregate: &AggregateId) -> Result<Option<Bytes>, StoreError>;

    /// Keeps a snapshot in the place of the one before.
    ///
    /// # Errors
    /// When it cannot be kept, because it is too large for example.
    async fn save(&self, aggregate: &AggregateId, snapshot: Bytes) -> Result<(), StoreError>;
}

/// Snapshots in memory, beside a [`MemoryStore`](super::MemoryStore). Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemorySnapshots {
    kept: Arc<Mutex<HashMap<AggregateId, Bytes>>>,
}

impl MemorySnapshots {
    /// No snapshots yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many aggregates have one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no aggregate has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[async_trait]
impl SnapshotStore for MemorySnapshots {
    async fn load(&self, aggregate: &AggregateId) -> Result<Option<Bytes>, StoreError> {
        Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(aggregate).cloned())
    }

    async fn save(&self, aggregate: &AggregateId, snapshot: Bytes) -> Result<(), StoreError> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(aggregate.clone(), snapshot);
        Ok(())
    }
}
