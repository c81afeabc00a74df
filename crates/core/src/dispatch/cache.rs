//! Aggregates kept in memory between commands, bounded by their estimated size.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache as Inner;

use super::entity::Entity;
use crate::AggregateId;

/// A cached aggregate. The lock is held for moments and never across a wait.
#[derive(Clone)]
pub(super) struct Slot(Arc<Mutex<Entity>>);

/// Aggregates in memory. It is never the truth: the store's expected revision is.
pub(super) struct Cache {
    slots: Inner<AggregateId, Slot, Weigh>,
    capacity: u64,
}

#[derive(Clone)]
struct Weigh;

impl quick_cache::Weighter<AggregateId, Slot> for Weigh {
    fn weight(&self, aggregate: &AggregateId, slot: &Slot) -> u64 {
        // A contended slot keeps a nominal weight until it is put back; blocking here would hold the cache's own lock.
        let entity = slot.0.try_lock().map_or(1024, |entity| entity.weight());
        entity + aggregate.id().len() as u64
    }
}

impl Slot {
    pub(super) fn new(entity: Entity) -> Self {
        Self(Arc::new(Mutex::new(entity)))
    }

    /// The entity. A panic of the domain while it was held leaves it to [`Cache::forget`].
    pub(super) fn lock(&self) -> MutexGuard<'_, Entity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    pub(super) fn new(capacity: u64) -> Self {
        // An average receipt-sized aggregate takes about 1 KiB; the number only sizes the first tables.
        let items = usize::try_from(capacity / 1024).unwrap_or(usize::MAX).clamp(16, 1_000_000);
        Self { slots: Inner::with_weighter(items, capacity, Weigh), capacity }
    }

    pub(super) fn get(&self, aggregate: &AggregateId) -> Option<Slot> {
        self.slots.get(aggregate)
    }

    /// Keeps a slot, or weighs it anew.
    pub(super) fn put(&self, aggregate: &AggregateId, slot: &Slot) {
        self.slots.insert(aggregate.clone(), slot.clone());
    }

    /// Forgets an aggregate whose state is in doubt.
    pub(super) fn forget(&self, aggregate: &AggregateId) {
        self.slots.remove(aggregate);
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.slots.weight()
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }
}
