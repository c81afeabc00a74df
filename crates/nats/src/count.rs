//! Numbers that many tasks count.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number counted from many tasks; it orders nothing.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// So many less.
    pub fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins with 0 again.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
