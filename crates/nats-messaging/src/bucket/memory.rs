//! A bucket in one process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::{Bucket, BucketError, BucketLimits, Entry};

/// A bucket in one process; nothing of it is left when the process ends. Clones are the same bucket.
///
/// ```
/// use headwater_nats_messaging::bucket::{Bucket, BucketError, MemoryBucket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BucketError> {
/// let bucket = MemoryBucket::default();
/// let first = bucket.create("a".into(), "1".into()).await?;
/// let second = bucket.update("a".into(), "2".into(), first).await?;
/// assert!(matches!(bucket.update("a".into(), "3".into(), first).await, Err(BucketError::Conflict)));
/// bucket.delete("a".into(), second).await?;
/// assert_eq!(bucket.get("a".into()).await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryBucket {
    limits: BucketLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    last_revision: u64,
    entries: HashMap<String, Kept>,
    by_revision: BTreeMap<u64, String>,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    written: Instant,
}

impl MemoryBucket {
    /// An empty bucket.
    #[must_use]
    pub fn new(limits: BucketLimits) -> Self {
        Self { limits, state: Arc::default() }
    }

    /// The state without what is too old.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(age) = self.limits.max_age {
            while let Some((_, key)) = state.by_revision.first_key_value()
                && state.entries.get(key).is_some_and(|kept| kept.written.elapsed() >= age)
            {
                let key = key.clone();
                state.remove(&key);
            }
        }
        state
    }

    fn write(&self, key: String, value: Bytes, expected: Option<u64>) -> Result<u64, BucketError> {
        let mut state = self.state();
        if state.entries.get(&key).map(|kept| kept.entry.revision) != expected {
            return Err(BucketError::Conflict);
        }
        state.remove(&key);
        state.last_revision += 1;
        let revision = state.last_revision;
        state.by_revision.insert(revision, key.clone());
        state.entries.insert(key, Kept { entry: Entry { value, revision }, written: Instant::now() });
        while state.entries.len() > self.limits.max_entries.max(1) {
            let Some(oldest) = state.by_revision.first_key_value().map(|(_, key)| key.clone()) else { break };
            state.remove(&oldest);
        }
        Ok(revision)
    }
}

impl State {
    fn remove(&mut self, key: &str) {
        if let Some(kept) = self.entries.remove(key) {
            self.by_revision.remove(&kept.entry.revision);
        }
    }
}

impl Bucket for MemoryBucket {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Entry>, BucketError>> {
        ready(Ok(self.state().entries.get(&key).map(|kept| kept.entry.clone()))).boxed()
    }

    fn create(&self, key: String, value: Bytes) -> BoxFuture<'_, Result<u64, BucketError>> {
        ready(self.write(key, value, None)).boxed()
    }

    fn update(&self, key: String, value: Bytes, revision: u64) -> BoxFuture<'_, Result<u64, BucketError>> {
        ready(self.write(key, value, Some(revision))).boxed()
    }

    fn delete(&self, key: String, revision: u64) -> BoxFuture<'_, Result<(), BucketError>> {
        let mut state = self.state();
        let is_that = state.entries.get(&key).is_some_and(|kept| kept.entry.revision == revision);
        if is_that {
            state.remove(&key);
        }
        ready(if is_that { Ok(()) } else { Err(BucketError::Conflict) }).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_or_too_much_goes_the_oldest_first() {
        let limits = BucketLimits { max_entries: 2, ..BucketLimits::default() }.max_age(Duration::from_secs(60));
        let bucket = MemoryBucket::new(limits);
        for key in ["a", "b", "c"] {
            bucket.create(key.into(), "".into()).await.unwrap();
        }
        assert!(bucket.get("a".into()).await.unwrap().is_none());
        assert!(bucket.get("b".into()).await.unwrap().is_some());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(bucket.get("c".into()).await.unwrap().is_none());
        bucket.create("c".into(), "".into()).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_is_created_once_until_it_is_deleted() {
        let bucket = MemoryBucket::default();
        let revision = bucket.create("a".into(), "1".into()).await.unwrap();
        assert!(matches!(bucket.create("a".into(), "2".into()).await, Err(BucketError::Conflict)));
        assert!(matches!(bucket.delete("a".into(), revision + 1).await, Err(BucketError::Conflict)));
        bucket.delete("a".into(), revision).await.unwrap();
        assert!(bucket.create("a".into(), "3".into()).await.unwrap() > revision);
    }
}
