//! One limit: a budget for each key.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};

use super::keys::{Ask, Keys, Now};

/// A budget for each key. It is asked under a lock.
#[derive(Debug)]
pub(super) struct Limit {
    limiter: RateLimiter<Ask, Keys, Now, NoOpMiddleware<Nanos>>,
    now: Now,
}

impl Limit {
    /// Has room for `keys` keys, and counts in `crowded` the requests of keys without room.
    pub(super) fn new(quota: Quota, keys: usize, now: &Now, crowded: &Arc<AtomicU64>) -> Self {
        let keys = Keys::new(keys, now.clone(), Arc::clone(crowded));
        Self { limiter: RateLimiter::new(quota, keys, now.clone()), now: now.clone() }
    }

    /// For how long a request of `key` would have to wait; none when it would pass now. Changes nothing.
    pub(super) fn look(&self, key: u64) -> Option<Duration> {
        self.ask(key, false)
    }

    /// Takes a request of `key` out of its budget.
    pub(super) fn take(&self, key: u64) {
        let waits = self.ask(key, true);
        debug_assert!(waits.is_none(), "nothing is taken before a look at the same time");
    }

    fn ask(&self, key: u64, take: bool) -> Option<Duration> {
        let now = governor::clock::Clock::now(&self.now);
        self.limiter.check_key(&Ask { key, take }).err().map(|until| until.wait_time_from(now))
    }

    /// Forgets a part of the keys that are as good as new, another one each time.
    pub(super) fn sweep(&self) {
        self.limiter.retain_recent();
    }

    /// How many keys have used some of their budget.
    pub(super) fn keys(&self) -> usize {
        self.limiter.len()
    }
}
