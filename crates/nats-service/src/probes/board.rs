//! What was found out last, for whoever answers a probe.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use headwater_nats::discovery::Check;
use tokio::time::Instant;

/// Checks by name.
pub(crate) type Checks = BTreeMap<String, Check>;

/// What one look has found.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    pub(crate) checks: Checks,
}

/// What was found out last.
#[derive(Debug, Default)]
pub(crate) struct Board {
    last: RwLock<Option<Arc<Look>>>,
    /// Requests are taken.
    started: AtomicBool,
    /// A look has found everything well.
    was_well: AtomicBool,
}

impl Board {
    pub(crate) fn put(&self, checks: Checks) {
        if checks.values().all(|check| check.ok) {
            self.was_well.store(true, Ordering::Relaxed);
        }
        let look = Arc::new(Look { at: Instant::now(), checks });
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }

    /// The last look; none before the first was done.
    pub(crate) fn last(&self) -> Option<Arc<Look>> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Whether requests are taken.
    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// Whether a look has ever found everything well.
    pub(crate) fn was_well(&self) -> bool {
        self.was_well.load(Ordering::Relaxed)
    }
}
