//! Callers whose credentials were found good a moment ago, by a hash of these.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::caller::Caller;

/// A bounded number of callers. Only who was let in gets a place.
pub(super) struct Remembered(Cache<Fingerprint, Entry>);

/// The hash of somebody's credentials.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

#[derive(Clone)]
struct Entry {
    caller: Arc<Caller>,
    /// In seconds since 1970: at other times the credentials have to be looked at again.
    good: Range<i64>,
    /// Of the keys or passwords by which they were found good.
    generation: u64,
}

impl Fingerprint {
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl Remembered {
    pub(super) fn new(callers: usize) -> Self {
        Self(Cache::new(callers))
    }

    /// Who these credentials belong to, if that is remembered and still holds.
    pub(super) fn get(&self, credentials: &Fingerprint, generation: u64, now: i64) -> Option<Arc<Caller>> {
        let entry = self.0.get(credentials)?;
        if entry.generation == generation && entry.good.contains(&now) {
            return Some(entry.caller);
        }
        self.0.remove(credentials);
        None
    }

    pub(super) fn put(&self, credentials: Fingerprint, caller: &Arc<Caller>, generation: u64, good: Range<i64>) {
        self.0.insert(credentials, Entry { caller: Arc::clone(caller), good, generation });
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remembered({} callers)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_remembered_until_the_time_is_up_or_the_keys_change() {
        let remembered = Remembered::new(10);
        let caller = Arc::new(Caller::new("mia"));
        let good = Fingerprint::of(&[b"token"]);
        remembered.put(good, &caller, 3, 10..100);
        assert_eq!(remembered.get(&good, 3, 99), Some(Arc::clone(&caller)));
        assert_eq!(remembered.get(&Fingerprint::of(&[b"other"]), 3, 99), None);
        assert_eq!(remembered.get(&good, 4, 99), None);
        remembered.put(good, &caller, 3, 10..100);
        assert_eq!(remembered.get(&good, 3, 100), None);
        remembered.put(good, &caller, 3, 10..100);
        assert_eq!(remembered.get(&good, 3, 9), None);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert!(Fingerprint::of(&[b"ab", b"c"]) != Fingerprint::of(&[b"a", b"bc"]));
    }

    #[test]
    fn no_more_are_remembered_than_agreed() {
        let remembered = Remembered::new(100);
        let caller = Arc::new(Caller::new("mia"));
        for number in 0_u32..10_000 {
            remembered.put(Fingerprint::of(&[&number.to_le_bytes()]), &caller, 0, 0..100);
        }
        assert!(remembered.0.len() <= 100, "{remembered:?}");
    }
}
