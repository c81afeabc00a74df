//! How far ahead of its rate each key is: the store beneath a limit, bounded in keys and shrunk as they fall idle.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

/// The most keys of one shard: what a map of 1024 places holds. A full shard is swept in about a microsecond.
const PER_SHARD: usize = 896;

/// The time of the decision that is being made, set once for all limits that take part in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Now(Arc<AtomicU64>);

impl Now {
    /// `time` since the limits began.
    pub(super) fn set(&self, time: Duration) {
        self.0.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for Now {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// What a limit is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    /// Whose request it is; a hash.
    pub(super) key: u64,
    /// Whether the request is let through now, or the question is only whether it would be.
    pub(super) take: bool,
}

/// A part of the keys.
#[derive(Debug, Default)]
struct Shard {
    /// When the next request of a key would be due at its rate, in nanoseconds. A key without one is as good as new.
    due: HashMap<u64, u64, BuildHasherDefault<AlreadyHashed>>,
    /// Before this time no key is as good as new, and a sweep would find nothing.
    soonest: u64,
}

impl Shard {
    /// Whether there is room for a key that is not known, among so many.
    fn has_room(&mut self, most: usize, now: u64) -> bool {
        if self.due.len() >= most && self.soonest <= now {
            self.sweep(now);
        }
        self.due.len() < most
    }

    fn put(&mut self, key: u64, due: u64) {
        self.soonest = self.soonest.min(due);
        self.due.insert(key, due);
    }

    /// Forgets the keys that are as good as new at `now`, and gives memory back when most of it is not needed.
    fn sweep(&mut self, now: u64) {
        self.due.retain(|_, due| *due > now);
        self.soonest = self.due.values().copied().min().unwrap_or(u64::MAX);
        if self.due.capacity() > 64 && self.due.capacity() > self.due.len() * 4 {
            self.due.shrink_to_fit();
        }
    }
}

/// The keys that have used some of their budget. It is asked under a lock.
#[derive(Debug)]
pub(super) struct Keys {
    shards: Vec<RefCell<Shard>>,
    most_per_shard: usize,
    /// The budget that keys share which are not known and find no room.
    shared: Cell<Option<u64>>,
    /// How many requests were let through on that budget.
    crowded: Arc<AtomicU64>,
    now: Now,
    /// The shard that is swept next.
    next: Cell<usize>,
}

impl Keys {
    /// Room for `most` keys.
    pub(super) fn new(most: usize, now: Now, crowded: Arc<AtomicU64>) -> Self {
        let shards = most.div_ceil(PER_SHARD).max(1);
        Self {
            shards: (0..shards).map(|_| RefCell::default()).collect(),
            most_per_shard: (most / shards).max(1),
            shared: Cell::new(None),
            crowded,
            now,
            next: Cell::new(0),
        }
    }

    /// The map takes a hash's lowest and highest bits, so the shard goes by those between.
    fn shard(&self, key: u64) -> &RefCell<Shard> {
        let between = u64::from((key >> 12) as u32);
        &self.shards[((between * self.shards.len() as u64) >> 32) as usize]
    }

    /// For how many keys there is memory.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| shard.borrow().due.capacity()).sum()
    }
}

impl StateStore for Keys {
    type Key = Ask;

    fn measure_and_replace<T, F, E>(&self, ask: &Ask, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(ask.key).borrow_mut();
        let known = shard.due.get(&ask.key).copied();
        let alone = known.is_some() || shard.has_room(self.most_per_shard, self.now.now().as_u64());
        let before = if alone { known } else { self.shared.get() };
        let (outcome, due) = decide(before.map(Nanos::from))?;
        if ask.take {
            if alone {
                shard.put(ask.key, due.as_u64());
            } else {
                self.shared.set(Some(due.as_u64()));
                self.crowded.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Ask> for Keys {
    /// Sweeps one shard, the next one; all of them in one go would hold up requests.
    fn retain_recent(&self, drop_below: Nanos) {
        let place = self.next.get() % self.shards.len();
        self.next.set(place + 1);
        self.shards[place].borrow_mut().sweep(drop_below.as_u64());
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.borrow().due.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.borrow().due.is_empty())
    }
}

/// Keys are hashes with a secret seed already.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    fn keys(most: usize) -> (Keys, Now) {
        let now = Now::default();
        (Keys::new(most, now.clone(), Arc::default()), now)
    }

    /// Lets a request through that makes the key due again at `due`.
    fn take(keys: &Keys, key: u64, due: u64) {
        let taken: Result<(), ()> = keys.measure_and_replace(&Ask { key, take: true }, |_| Ok(((), Nanos::from(due))));
        taken.unwrap();
    }

    fn due(keys: &Keys, key: u64) -> Option<u64> {
        let seen: Result<Option<Nanos>, ()> =
            keys.measure_and_replace(&Ask { key, take: false }, |before| Ok((before, Nanos::from(7))));
        seen.unwrap().map(Nanos::as_u64)
    }

    #[test]
    fn a_look_changes_nothing() {
        let (keys, _) = keys(10);
        assert_eq!(due(&keys, 1), None);
        assert!(keys.is_empty());
        take(&keys, 1, 100);
        assert_eq!((due(&keys, 1), due(&keys, 1), due(&keys, 2)), (Some(100), Some(100), None));
    }

    #[test]
    fn keys_without_room_share_a_budget_and_known_ones_keep_their_own() {
        let (keys, now) = keys(2);
        take(&keys, 1, 100);
        take(&keys, 2, 200);
        take(&keys, 3, 300);
        assert_eq!((due(&keys, 1), due(&keys, 2), due(&keys, 3), due(&keys, 4)), {
            (Some(100), Some(200), Some(300), Some(300))
        });
        assert_eq!((keys.len(), keys.crowded.load(Ordering::Relaxed)), (2, 1));
        // The first is as good as new by then, so its place is free.
        now.set(Duration::from_nanos(100));
        assert_eq!(due(&keys, 4), None);
        take(&keys, 4, 400);
        assert_eq!((due(&keys, 4), keys.len()), (Some(400), 2));
    }

    #[test]
    fn a_million_keys_stay_within_the_bound_and_their_memory_is_given_back() {
        const MOST: usize = 100_000;
        let (keys, now) = keys(MOST);
        let hash = RandomState::new();
        for number in 0..1_000_000_u64 {
            take(&keys, hash.hash_one(number), MINUTE);
        }
        assert!(keys.len() <= MOST && keys.len() > MOST * 9 / 10, "{}", keys.len());
        assert!(keys.capacity() <= MOST * 2, "{}", keys.capacity());
        now.set(Duration::from_nanos(MINUTE));
        for _ in 0..keys.shards.len() {
            keys.retain_recent(now.now());
        }
        assert_eq!((keys.len(), keys.capacity()), (0, 0));
    }

    #[test]
    fn shards_fill_evenly() {
        let (keys, _) = keys(PER_SHARD * 16);
        let hash = RandomState::new();
        for number in 0..8_000_u64 {
            take(&keys, hash.hash_one(number), MINUTE);
        }
        let sizes: Vec<_> = keys.shards.iter().map(|shard| shard.borrow().due.len()).collect();
        assert!(sizes.iter().all(|size| (350..650).contains(size)), "{sizes:?}");
    }
}
