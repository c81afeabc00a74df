//! Aggregates kept in memory between commands, bounded by their estimated size.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache as Inner;

use super::entity::Entity;
use crate::AggregateId;

/// An aggregate in memory, shared by whoever works with it. The lock is held for moments and
/// never across a wait.
#[derive(Clone)]
pub(super) struct Slot {
    entity: Arc<Mutex<Entity>>,
    /// What the entity weighed when it was last put into the cache. The cache asks for the weight of
    /// an entry again when it leaves, and must hear the same number.
    weighed: u64,
}

/// Aggregates in memory. It is never the truth: the store's expected revision is.
pub(super) struct Cache {
    slots: Inner<AggregateId, Slot, Weigh>,
    capacity: u64,
}

#[derive(Clone)]
struct Weigh;

impl quick_cache::Weighter<AggregateId, Slot> for Weigh {
    fn weight(&self, aggregate: &AggregateId, slot: &Slot) -> u64 {
        slot.weighed + aggregate.id().len() as u64
    }
}

impl Slot {
    pub(super) fn new(entity: Entity) -> Self {
        Self { weighed: 0, entity: Arc::new(Mutex::new(entity)) }
    }

    /// The entity. A panic of the domain while it was held leaves it to [`Cache::forget`].
    pub(super) fn lock(&self) -> MutexGuard<'_, Entity> {
        self.entity.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Keeps an aggregate, or weighs it anew when it has grown by an eighth since it was put here.
    /// The slot to go on with is returned.
    pub(super) fn put(&self, aggregate: &AggregateId, slot: Slot) -> Slot {
        let weight = slot.lock().weight();
        if weight <= slot.weighed + slot.weighed / 8 {
            return slot;
        }
        let slot = Slot { weighed: weight, ..slot };
        self.slots.insert(aggregate.clone(), slot.clone());
        slot
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
