//! Signatures that were taken, so that each is taken once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::reason::Reason;

/// A bounded memory of what was taken within some time.
#[derive(Debug)]
pub(super) struct Nonces {
    /// For how long one is kept.
    keep: Duration,
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Each with the message it came with, if that may come again.
    known: HashMap<[u8; 16], Option<u64>>,
    /// Oldest first.
    by_age: VecDeque<(Instant, [u8; 16])>,
}

impl Nonces {
    pub(super) fn new(keep: Duration, most: usize) -> Self {
        Self { keep, most, taken: Mutex::default() }
    }

    /// Takes a nonce, if it is new or comes again with the same message. When no more can be remembered none is taken, since
    /// it could come again.
    pub(super) fn take(&self, nonce: [u8; 16], message: Option<u64>, now: Instant) -> Result<(), Reason> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((at, old)) = taken.by_age.front().copied().filter(|(at, _)| now.duration_since(*at) > self.keep)
        {
            debug_assert!(at <= now);
            taken.by_age.pop_front();
            taken.known.remove(&old);
        }
        if let Some(known) = taken.known.get(&nonce) {
            let comes_again = message.is_some() && *known == message;
            return if comes_again { Ok(()) } else { Err(Reason::Replayed) };
        }
        if taken.known.len() >= self.most {
            return Err(Reason::Unavailable);
        }
        taken.known.insert(nonce, message);
        taken.by_age.push_back((now, nonce));
        // A burst long ago is no reason to hold its memory for ever.
        if taken.by_age.capacity() > 1024 && taken.by_age.len() < taken.by_age.capacity() / 8 {
            taken.by_age.shrink_to_fit();
            taken.known.shrink_to_fit();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(number: u128) -> [u8; 16] {
        number.to_le_bytes()
    }

    #[test]
    fn each_is_taken_once_within_the_time_and_never_more_than_agreed() {
        let nonces = Nonces::new(Duration::from_secs(60), 3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(nonces.take(nonce(1), None, at(0)), Ok(()));
        assert_eq!(nonces.take(nonce(1), None, at(60)), Err(Reason::Replayed));
        assert_eq!(nonces.take(nonce(2), None, at(30)), Ok(()));
        assert_eq!(nonces.take(nonce(3), None, at(30)), Ok(()));
        assert_eq!(nonces.take(nonce(4), None, at(30)), Err(Reason::Unavailable));
        assert_eq!(nonces.take(nonce(4), None, at(61)), Ok(()), "the first is forgotten by now");
        assert_eq!(nonces.take(nonce(2), None, at(61)), Err(Reason::Replayed));
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back() {
        let nonces = Nonces::new(Duration::from_secs(60), 100_000);
        let start = Instant::now();
        for number in 0..20_000 {
            nonces.take(nonce(number), None, start).unwrap();
        }
        nonces.take(nonce(1 << 100), None, start + Duration::from_secs(61)).unwrap();
        let taken = nonces.taken.lock().unwrap();
        assert_eq!(taken.known.len(), 1);
        assert!(taken.by_age.capacity() < 1024 && taken.known.capacity() < 1024);
    }
}
