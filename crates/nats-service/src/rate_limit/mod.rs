//! Rate limits: how many requests an instance takes in how much time.

mod keys;
mod limit;
mod limits;
mod rate;
mod settings;

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use headwater_core::{Failure, FailureCode};
use headwater_nats::subject::Subjects;
use serde::Serialize;
use tokio::time::{Instant, interval};
use tokio_util::task::AbortOnDropHandle;

use self::limits::{Asked, Limits, Refused, Word};
pub use self::rate::Rate;
pub use self::settings::RateLimit;
use crate::counters::Count;
use crate::edge::Request;

/// How often a part of the keys is looked through for those that are as good as new. It comes round in about ten seconds.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// The rate limits of a running instance. Dropping it ends its task.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    deciding: Arc<Deciding>,
    _sweeper: AbortOnDropHandle<()>,
}

/// What decides.
struct Deciding {
    settings: RateLimit,
    /// One request at a time, so that a limit counts only what all of them let through. A decision takes less than a
    /// microsecond.
    limits: Mutex<Limits>,
    began: Instant,
    /// Nobody outside can make keys that fall together.
    hashes: RandomState,
    allowed: Count,
    refused: [Count; Word::ALL.len()],
    crowded: Arc<AtomicU64>,
}

/// What the rate limits of an instance have decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RateLimitStats {
    /// Requests that passed all limits.
    pub allowed: u64,
    /// Requests that were refused, by the limit that the answer named.
    pub refused: RefusedStats,
    /// Callers and tenants that have used some of their budget; never more than [`RateLimit::max_keys`] of each.
    pub keys: usize,
    /// Requests that passed on the budget shared by those for whom there was no place among the keys.
    pub crowded: u64,
}

/// How many requests each kind of limit has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedStats {
    /// The limit of the whole service.
    pub service: u64,
    /// Limits of tenants.
    pub tenant: u64,
    /// Limits of callers.
    pub caller: u64,
    /// Limits of single commands.
    pub command: u64,
    /// Limits of single queries.
    pub query: u64,
}

impl RefusedStats {
    /// With the word that an answer's `details.limit` has.
    pub(crate) fn by_limit(&self) -> [(&'static str, u64); Word::ALL.len()] {
        let Self { service, tenant, caller, command, query } = *self;
        let by_limit = [
            (Word::Service, service),
            (Word::Tenant, tenant),
            (Word::Caller, caller),
            (Word::Command, command),
            (Word::Query, query),
        ];
        by_limit.map(|(word, number)| (word.as_str(), number))
    }
}

impl RateLimiter {
    /// Begins to count. The settings were checked. Must be called on a tokio runtime.
    pub(crate) fn start(settings: RateLimit, subjects: &Subjects) -> Self {
        let crowded = Arc::default();
        let deciding = Arc::new(Deciding {
            limits: Mutex::new(Limits::new(&settings, subjects, &crowded)),
            settings,
            began: Instant::now(),
            hashes: RandomState::new(),
            allowed: Count::default(),
            refused: Default::default(),
            crowded,
        });
        let sweeper = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&deciding).sweep()));
        Self { deciding, _sweeper: sweeper }
    }

    /// Lets the request through, or says that it came too soon.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Failure> {
        self.deciding.check(request)
    }

    pub(crate) fn stats(&self) -> RateLimitStats {
        self.deciding.stats()
    }

    pub(crate) fn reset_stats(&self) {
        let Deciding { allowed, refused, crowded, .. } = &*self.deciding;
        refused.iter().chain([allowed]).for_each(Count::reset);
        crowded.store(0, Ordering::Relaxed);
    }
}

impl Deciding {
    fn check(&self, request: &Request) -> Result<(), Failure> {
        // What a user's function does happens outside of the lock.
        let (tenant, caller) = (self.tenant(request), self.caller(request));
        let asked = Asked { subject: request.subject(), tenant, caller };
        let decided = self.limits().decide(asked, self.began.elapsed());
        match decided {
            Ok(()) => {
                self.allowed.add(1);
                Ok(())
            }
            Err(refused) => {
                self.refused[refused.limit as usize].add(1);
                Err(failure(&refused))
            }
        }
    }

    fn tenant(&self, request: &Request) -> u64 {
        match &self.settings.tenant {
            None => 0,
            Some(_) => self.hash(request.caller().and_then(|caller| caller.tenant_id())),
        }
    }

    /// Whose request it is. Whoever was verified cannot be taken for somebody who only says so.
    fn caller(&self, request: &Request) -> u64 {
        if self.settings.caller.is_none() {
            return 0;
        }
        if let Some(caller) = request.caller() {
            return self.hash(("verified", caller.tenant_id(), caller.user()));
        }
        match (&self.settings.caller_key, &self.settings.caller_header) {
            (Some(key), _) => self.hash(("said", key.of(request))),
            (None, Some(header)) => self.hash(("said", request.header(header))),
            (None, None) => self.hash("anybody"),
        }
    }

    fn hash(&self, key: impl Hash) -> u64 {
        self.hashes.hash_one(key)
    }

    /// Forgets keys that are as good as new, a part of them each time, for ever.
    async fn sweep(self: Arc<Self>) {
        let portion = self.settings.max_keys / 50_000 + 1;
        let mut pause = interval(SWEEP_EVERY);
        loop {
            pause.tick().await;
            for _ in 0..portion {
                self.limits().sweep(self.began.elapsed());
            }
        }
    }

    fn stats(&self) -> RateLimitStats {
        let refused = |word: Word| self.refused[word as usize].get();
        RateLimitStats {
            allowed: self.allowed.get(),
            refused: RefusedStats {
                service: refused(Word::Service),
                tenant: refused(Word::Tenant),
                caller: refused(Word::Caller),
                command: refused(Word::Command),
                query: refused(Word::Query),
            },
            keys: self.limits().keys(),
            crowded: self.crowded.load(Ordering::Relaxed),
        }
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deciding").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The answer.
fn failure(refused: &Refused) -> Failure {
    let limit = refused.limit.as_str();
    let message = format!("there were too many requests for the limit of the {limit}");
    Failure::new(FailureCode::RateLimited, message).retry_in(refused.wait).detail("limit", limit)
}
