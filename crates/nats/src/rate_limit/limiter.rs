//! Limits that many tasks ask: their clock, their lock, and the task that forgets idle keys.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval};
use tokio_util::task::AbortOnDropHandle;

use super::budgets::{Budgets, Refused};

/// How often a part of the keys is looked through for those that are as good as new. It comes round in about ten seconds.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// Limits that many tasks ask. Dropping it ends its task.
pub struct Limiter {
    deciding: Arc<Deciding>,
    /// What forgets idle keys, once there may be some.
    sweeper: OnceLock<AbortOnDropHandle<()>>,
    has_keys: bool,
}

/// What decides.
struct Deciding {
    /// One question at a time, so that a limit counts only what all of them let through. A decision takes less than a
    /// microsecond.
    budgets: Mutex<Budgets>,
    began: Instant,
    /// Nobody outside can make keys that fall together.
    hashes: RandomState,
    /// How many parts of the keys are swept at a time.
    portion: usize,
}

impl Limiter {
    /// Begins to count.
    #[must_use]
    pub fn new(budgets: Budgets) -> Self {
        let most = budgets.most_keys();
        let deciding = Deciding {
            budgets: Mutex::new(budgets),
            began: Instant::now(),
            hashes: RandomState::new(),
            portion: most / 50_000 + 1,
        };
        Self { deciding: Arc::new(deciding), sweeper: OnceLock::new(), has_keys: most > 1 }
    }

    /// Lets something through, or says that it came too soon. `asked` are the limits that apply, by their places among the
    /// budgets, each with the [key](Self::key) that is counted. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// With the limit that takes longest: whoever waits for that passes all of them, if nobody else came meanwhile.
    pub fn take(&self, asked: &[Option<(usize, u64)>]) -> Result<(), Refused> {
        if self.has_keys {
            self.sweeper.get_or_init(|| AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self.deciding).sweep())));
        }
        let budgets = self.deciding.budgets();
        budgets.decide(asked, self.deciding.began.elapsed())
    }

    /// What something is counted under.
    #[must_use]
    pub fn key(&self, of: impl Hash) -> u64 {
        self.deciding.hashes.hash_one(of)
    }

    /// How many keys of a limit, by its place, have used some of their budget.
    #[must_use]
    pub fn keys(&self, limit: usize) -> usize {
        self.deciding.budgets().keys(limit)
    }

    /// How many passed on the budget that keys without a place share.
    #[must_use]
    pub fn crowded(&self) -> u64 {
        self.deciding.budgets().crowded()
    }

    /// Begins to count anew who passed on the shared budget.
    pub fn reset_crowded(&self) {
        self.deciding.budgets().reset_crowded();
    }
}

impl Deciding {
    /// Forgets keys that are as good as new, a part of them each time, for ever.
    async fn sweep(self: Arc<Self>) {
        let mut pause = interval(SWEEP_EVERY);
        loop {
            pause.tick().await;
            for _ in 0..self.portion {
                self.budgets().sweep(self.began.elapsed());
            }
        }
    }

    fn budgets(&self) -> MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("budgets", &self.deciding.budgets()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::Rate;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_that_fell_idle_are_forgotten_by_themselves() {
        let limiter = Limiter::new(Budgets::new([(Rate::per_second(1), 5000)]));
        for caller in 0..1000 {
            assert_eq!(limiter.take(&[Some((0, limiter.key(caller)))]), Ok(()));
        }
        assert_eq!(limiter.keys(0), 1000);
        for _ in 0..40 {
            advance(SWEEP_EVERY).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(limiter.keys(0), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_refused_passes_after_the_time_that_it_was_told() {
        let limiter = Limiter::new(Budgets::new([(Rate::per_second(2), 1)]));
        let ask = || limiter.take(&[None, Some((0, 0))]);
        assert!(ask().is_ok() && ask().is_ok());
        let refused = ask().unwrap_err();
        assert_eq!(refused, Refused { limit: 0, wait: Duration::from_millis(500) });
        advance(refused.wait).await;
        assert!(ask().is_ok() && ask().is_err());
    }
}
