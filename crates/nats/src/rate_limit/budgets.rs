//! Limits that are asked together: what one refuses, no other counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::keys::Now;
use super::limit::Limit;
use super::rate::Rate;

/// Limits that are asked together. Only one question is decided at a time, and the time is told.
#[derive(Debug)]
pub struct Budgets {
    /// None where the rate was not checked and is none.
    limits: Vec<Option<Limit>>,
    now: Now,
    crowded: Arc<AtomicU64>,
    most_keys: usize,
}

/// Why something does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The place of the limit among the budgets.
    pub limit: usize,
    /// After this time it would pass, if nobody else came meanwhile.
    pub wait: Duration,
}

impl Budgets {
    /// Limits of these rates, each with the number of keys that it tells apart at a time. Keys beyond it share one budget of
    /// the same rate.
    #[must_use]
    pub fn new(limits: impl IntoIterator<Item = (Rate, usize)>) -> Self {
        let (now, crowded, mut most_keys) = (Now::default(), Arc::default(), 1);
        let limits = limits.into_iter().map(|(rate, keys)| {
            most_keys = most_keys.max(keys);
            Some(Limit::new(rate.quota()?, keys, &now, &crowded))
        });
        let limits = limits.collect();
        Self { limits, now, crowded, most_keys }
    }

    /// Lets something through at `now`, a time since the beginning, or says why not and counts it nowhere. `asked` are the
    /// limits that apply, by their places, each with the key that is counted.
    ///
    /// # Errors
    /// With the limit that takes longest: whoever waits for that passes all of them.
    pub fn decide(&self, asked: &[Option<(usize, u64)>], now: Duration) -> Result<(), Refused> {
        self.now.set(now);
        let apply = || {
            let asked = asked.iter().flatten();
            asked.filter_map(|(place, key)| Some((*place, self.limits.get(*place)?.as_ref()?, *key)))
        };
        let refused = apply().filter_map(|(limit, one, key)| one.look(key).map(|wait| Refused { limit, wait }));
        if let Some(refused) = refused.max_by_key(|refused| refused.wait) {
            return Err(refused);
        }
        apply().for_each(|(_, limit, key)| limit.take(key));
        Ok(())
    }

    /// Forgets a part of the keys that are as good as new at `now`, another one each time.
    pub fn sweep(&self, now: Duration) {
        self.now.set(now);
        self.limits.iter().flatten().for_each(Limit::sweep);
    }

    /// How many keys of a limit, by its place, have used some of their budget.
    #[must_use]
    pub fn keys(&self, limit: usize) -> usize {
        self.limits.get(limit).and_then(Option::as_ref).map_or(0, Limit::keys)
    }

    /// How many passed on the budget that keys without a place share.
    #[must_use]
    pub fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Begins to count anew who passed on the shared budget.
    pub fn reset_crowded(&self) {
        self.crowded.store(0, Ordering::Relaxed);
    }

    /// The most keys that any of them tells apart.
    pub(super) fn most_keys(&self) -> usize {
        self.most_keys
    }
}
