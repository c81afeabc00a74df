//! What rate limits have decided, in numbers.

use headwater_nats::count::Count;
use headwater_nats::telemetry::names;
use headwater_nats::telemetry::opentelemetry::KeyValue;
use serde::Serialize;

use super::super::observe::Numbers;

/// Which limit it is, as `details.limit` and statistics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    All,
    Tenant,
    Caller,
}

impl Word {
    pub(super) const ALL: [Self; 3] = [Self::All, Self::Tenant, Self::Caller];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Tenant => "tenant",
            Self::Caller => "caller",
        }
    }
}

/// What the rate limits of a layer have decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RateLimitStats {
    /// Messages that passed all limits, at once or after they had waited.
    pub allowed: u64,
    /// Of these, events that waited in their handler's place.
    pub waited: u64,
    /// Times an event made room for others, to come back later.
    pub postponed: u64,
    /// Requests that were refused, by the limit that the answer named.
    pub refused: RefusedStats,
    /// Callers and tenants that have used some of their budget; never more than [`RateLimit::max_keys`](super::RateLimit) of
    /// each.
    pub keys: usize,
    /// Messages that passed on the budget shared by those for whom there was no place among the keys.
    pub crowded: u64,
}

/// How many requests each kind of limit has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedStats {
    /// The limit of all messages.
    pub all: u64,
    /// Limits of tenants.
    pub tenant: u64,
    /// Limits of callers.
    pub caller: u64,
}

/// The numbers behind [`RateLimitStats`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) allowed: Count,
    pub(super) waited: Count,
    pub(super) postponed: Count,
    refused: [Count; Word::ALL.len()],
}

impl Counts {
    pub(super) fn refuse(&self, word: Word) {
        self.refused[word as usize].add(1);
    }

    pub(super) fn snapshot(&self, keys: usize, crowded: u64) -> RateLimitStats {
        let refused = |word: Word| self.refused[word as usize].get();
        RateLimitStats {
            allowed: self.allowed.get(),
            waited: self.waited.get(),
            postponed: self.postponed.get(),
            refused: RefusedStats {
                all: refused(Word::All),
                tenant: refused(Word::Tenant),
                caller: refused(Word::Caller),
            },
            keys,
            crowded,
        }
    }

    /// As metrics tell them.
    pub(super) fn numbers(&self) -> Numbers {
        let outcome = |outcome: &'static str| KeyValue::new(names::OUTCOME, outcome);
        let refused = Word::ALL.into_iter().zip(&self.refused);
        let refused = refused
            .map(|(word, count)| (count.get(), vec![outcome("refused"), KeyValue::new(names::LIMIT, word.as_str())]));
        let others = [("allowed", &self.allowed), ("postponed", &self.postponed)];
        others.into_iter().map(|(word, count)| (count.get(), vec![outcome(word)])).chain(refused).collect()
    }
}
