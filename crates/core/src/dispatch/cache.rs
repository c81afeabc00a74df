//! Aggregates kept in memory between commands, bounded by their estimated size.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache as Inner;
use quick_cache::{DefaultHashBuilder, Lifecycle};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::entity::Entity;
use crate::AggregateId;

/// An aggregate in memory, shared by whoever works with it. The lock is held for moments and
/// never across a wait.
#[derive(Clone)]
pub(super) struct Slot {
    held: Arc<Held>,
    /// Wakes queries that wait for a later revision.
    moved: Arc<Notify>,
    /// What the entity weighed when it was last put into the cache. The cache asks for the weight of
    /// an entry again when it leaves, and must hear the same number.
    weighed: u64,
}

struct Held {
    entity: Mutex<Entity>,
    /// Whether it was forgotten because nobody knows what is true of it; then it does not come back into memory.
    in_doubt: AtomicBool,
}

/// Aggregates in memory. It is never the truth: the store's expected revision is.
pub(super) struct Cache {
    slots: Inner<AggregateId, Slot, Weigh, DefaultHashBuilder, Evicted>,
    evicted: Evicted,
    capacity: u64,
}

/// What the cache gave up for want of room, until somebody takes it. Bounded: beyond it, an
/// aggregate is simply gone.
#[derive(Clone)]
struct Evicted {
    /// Whether anybody takes them.
    wanted: bool,
    slots: Arc<Mutex<Vec<(AggregateId, Slot)>>>,
}

/// How many aggregates wait to be taken after the cache gave them up.
const EVICTED_KEPT: usize = 256;

impl Lifecycle<AggregateId, Slot> for Evicted {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), aggregate: AggregateId, slot: Slot) {
        if self.wanted {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() < EVICTED_KEPT {
                slots.push((aggregate, slot));
            }
        }
    }
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
        Self {
            weighed: 0,
            moved: Arc::default(),
            held: Arc::new(Held { entity: Mutex::new(entity), in_doubt: AtomicBool::new(false) }),
        }
    }

    /// Tells whoever waits that the entity has a later revision.
    pub(super) fn tell(&self) {
        self.moved.notify_waiters();
    }

    /// Comes true with the next [`tell`](Self::tell) after this call.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.moved).notified_owned()
    }

    /// The entity. A panic of the domain while it was held leaves it to [`Cache::forget`].
    pub(super) fn lock(&self) -> MutexGuard<'_, Entity> {
        self.held.entity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// A cache of `capacity` bytes. `keep_evicted` when [`take_evicted`](Self::take_evicted) is called now and then.
    pub(super) fn new(capacity: u64, keep_evicted: bool) -> Self {
        // An average receipt-sized aggregate takes about 1 KiB; the number only sizes the first tables.
        let items = usize::try_from(capacity / 1024).unwrap_or(usize::MAX).clamp(16, 1_000_000);
        let evicted = Evicted { wanted: keep_evicted, slots: Arc::default() };
        let slots = Inner::with(items, capacity, Weigh, DefaultHashBuilder::default(), evicted.clone());
        Self { slots, evicted, capacity }
    }

    /// What was given up since the last time. A value that was only replaced by a newly weighed
    /// one is not among it, although the cache reports both alike.
    pub(super) fn take_evicted(&self) -> Vec<(AggregateId, Slot)> {
        let mut evicted = std::mem::take(&mut *self.evicted.slots.lock().unwrap_or_else(PoisonError::into_inner));
        evicted.retain(|(aggregate, _)| self.slots.peek(aggregate).is_none());
        evicted
    }

    /// What has events newer than its snapshot and did not change since `moment`; whatever has
    /// newer events, without one.
    pub(super) fn changed_before(&self, moment: Option<Instant>) -> Vec<(AggregateId, Slot)> {
        let due = |slot: &Slot| {
            let entity = slot.lock();
            entity.beyond_snapshot() > 0 && moment.is_none_or(|moment| entity.changed <= moment)
        };
        self.slots.iter().filter(|(_, slot)| due(slot)).collect()
    }

    pub(super) fn get(&self, aggregate: &AggregateId) -> Option<Slot> {
        self.slots.get(aggregate)
    }

    /// Keeps an aggregate, or weighs it anew when it has grown by an eighth since it was put here.
    /// The slot to go on with is returned.
    pub(super) fn put(&self, aggregate: &AggregateId, slot: Slot) -> Slot {
        let weight = slot.lock().weight();
        if slot.held.in_doubt.load(Ordering::Relaxed) || weight <= slot.weighed + slot.weighed / 8 {
            return slot;
        }
        let slot = Slot { weighed: weight, ..slot };
        self.slots.insert(aggregate.clone(), slot.clone());
        slot
    }

    /// Forgets an aggregate whose state is in doubt.
    pub(super) fn forget(&self, aggregate: &AggregateId) {
        if let Some((_, slot)) = self.slots.remove(aggregate) {
            slot.held.in_doubt.store(true, Ordering::Relaxed);
        }
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
