//! The port of small values under keys, each with a revision: what inboxes and parked keys are kept in.
//!
//! Two implementations: [`MemoryBucket`] for tests and programs of one process, [`JetStreamBucket`] for all others.

mod memory;

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::BoxError;

pub use crate::jetstream::JetStreamBucket;
pub use memory::MemoryBucket;

/// Keeps values under keys. Everything it answers is what holds at that moment for all who use it: it never answers from a
/// copy that may be behind.
pub trait Bucket: Debug + Send + Sync + 'static {
    /// The value of a key; none when it has none.
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Entry>, BucketError>>;

    /// Gives a key that has no value its first one, and returns its revision.
    fn create(&self, key: String, value: Bytes) -> BoxFuture<'_, Result<u64, BucketError>>;

    /// Replaces a value that is still of this revision, and returns the new revision.
    fn update(&self, key: String, value: Bytes, revision: u64) -> BoxFuture<'_, Result<u64, BucketError>>;

    /// Takes away a value that is still of this revision.
    fn delete(&self, key: String, revision: u64) -> BoxFuture<'_, Result<(), BucketError>>;
}

/// A value with its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// Grows with each change.
    pub revision: u64,
}

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct BucketLimits {
    /// A value goes so long after it was written; none: it stays.
    pub max_age: Option<Duration>,
    /// How many keys a bucket in memory has at most; the oldest go first. 100 000 by default.
    pub max_entries: usize,
    /// How many bytes a bucket on JetStream has at most, keys included; the oldest go first. 64 MiB by default; none: as many
    /// as the server allows.
    pub max_bytes: Option<u64>,
    /// On how many servers a bucket on JetStream is kept; 1 by default.
    pub replicas: usize,
}

impl Default for BucketLimits {
    fn default() -> Self {
        Self { max_age: None, max_entries: 100_000, max_bytes: Some(64 * 1024 * 1024), replicas: 1 }
    }
}

impl BucketLimits {
    /// With this time for values to stay.
    pub fn max_age(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }

    /// Nothing goes by itself: for what must not be forgotten. A bucket that is full takes nothing new then.
    pub fn for_ever() -> Self {
        Self { max_age: None, max_entries: usize::MAX, max_bytes: None, ..Self::default() }
    }
}

/// Why a bucket did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The value is not of that revision any more, or there is one already. Nothing was changed.
    #[error("the value of the key is not what it was taken for")]
    Conflict,
    /// The bucket cannot be used as it is.
    #[error("the bucket cannot be used: {0}")]
    Refused(String),
    /// It does not work now. A change may have been made nevertheless.
    #[error("the bucket cannot be reached")]
    Unavailable(#[source] BoxError),
}

/// A key of parts that may hold anything: what is written is only a digest of them.
pub(crate) fn digest(kind: &str, parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts look the same.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut key = format!("{kind}.");
    for byte in hash.finalize() {
        use std::fmt::Write;
        write!(key, "{byte:02x}").expect("a string takes everything");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_have_one_key() {
        assert_eq!(digest("a", &["x", "y"]), digest("a", &["x", "y"]));
        assert_ne!(digest("a", &["xy", ""]), digest("a", &["x", "y"]));
        assert_ne!(digest("a", &["x"]), digest("b", &["x"]));
        assert!(digest("a", &["\r\n>"]).bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'));
    }
}
