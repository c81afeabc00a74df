//! Rate limits: how many requests an instance takes in how much time.
//!
//! The limits themselves are `headwater_nats::rate_limit`; here is which of them apply to a request.

mod limits;
mod settings;

use std::time::Duration;

use headwater_core::{Failure, FailureCode};
use headwater_nats::rate_limit::Limiter;
pub use headwater_nats::rate_limit::Rate;
use headwater_nats::subject::Subjects;
use serde::Serialize;

use self::limits::{Asked, Limits, Word};
pub use self::settings::RateLimit;
use crate::counters::Count;
use crate::edge::Request;

/// The rate limits of a running instance. Dropping it ends its task.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    settings: RateLimit,
    limits: Limits,
    limiter: Limiter,
    allowed: Count,
    refused: [Count; Word::ALL.len()],
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
    /// Begins to count. The settings were checked.
    pub(crate) fn start(settings: RateLimit, subjects: &Subjects) -> Self {
        let (limits, budgets) = Limits::new(&settings, subjects);
        let limiter = Limiter::new(budgets);
        Self { settings, limits, limiter, allowed: Count::default(), refused: Default::default() }
    }

    /// Lets the request through, or says that it came too soon.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Failure> {
        let (tenant, caller) = (self.tenant(request), self.caller(request));
        let asked = Asked { subject: request.subject(), tenant, caller };
        match self.limiter.take(&self.limits.that_apply(asked)) {
            Ok(()) => {
                self.allowed.add(1);
                Ok(())
            }
            Err(refused) => {
                let limit = self.limits.word(refused.limit);
                self.refused[limit as usize].add(1);
                Err(failure(limit, refused.wait))
            }
        }
    }

    fn tenant(&self, request: &Request) -> u64 {
        match &self.settings.tenant {
            None => 0,
            Some(_) => self.limiter.key(request.caller().and_then(|caller| caller.tenant_id())),
        }
    }

    /// Whose request it is. Whoever was verified cannot be taken for somebody who only says so.
    fn caller(&self, request: &Request) -> u64 {
        if self.settings.caller.is_none() {
            return 0;
        }
        if let Some(caller) = request.caller() {
            return self.limiter.key(("verified", caller.tenant_id(), caller.user()));
        }
        match (&self.settings.caller_key, &self.settings.caller_header) {
            (Some(key), _) => self.limiter.key(("said", key.of(request))),
            (None, Some(header)) => self.limiter.key(("said", request.header(header))),
            (None, None) => self.limiter.key("anybody"),
        }
    }

    pub(crate) fn stats(&self) -> RateLimitStats {
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
            keys: self.limits.with_keys().map(|place| self.limiter.keys(place)).sum(),
            crowded: self.limiter.crowded(),
        }
    }

    pub(crate) fn reset_stats(&self) {
        self.refused.iter().chain([&self.allowed]).for_each(Count::reset);
        self.limiter.reset_crowded();
    }
}

/// The answer.
fn failure(limit: Word, wait: Duration) -> Failure {
    let limit = limit.as_str();
    let message = format!("there were too many requests for the limit of the {limit}");
    Failure::new(FailureCode::RateLimited, message).retry_in(wait).detail("limit", limit)
}
