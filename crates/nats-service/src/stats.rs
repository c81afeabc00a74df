//! What an instance has done, in numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use headwater_core::dispatch::DispatchStats;
use headwater_nats::connect::ConnectionStats;
use headwater_nats::discovery::{EndpointStats, Stats};
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::{AuthStats, Guard};
use crate::circuit_breaker::{CircuitStats, Circuits};
use crate::instance::Instance;
use crate::rate_limit::{RateLimitStats, RateLimiter};

/// What an instance has done since it started.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ServiceStats {
    /// When it started.
    pub started: DateTime<Utc>,
    /// Commands and queries under way.
    pub in_flight: u64,
    /// What each endpoint has done, as discovery tells it.
    pub endpoints: Vec<EndpointStats>,
    /// What no endpoint of the service stands for.
    pub strays: StrayStats,
    /// What the dispatcher has done: caches, appends, conflicts.
    pub dispatch: DispatchStats,
    /// What the event store says of itself: for the one on JetStream its appends, and how it groups them.
    pub store: Value,
    /// What the rate limits have decided; none when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitStats>,
    /// How the circuits are, by name: `store` is the event store's, others are those of dependencies. Empty when there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub circuit_breaker: BTreeMap<String, CircuitStats>,
    /// What auth has done; none when it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthStats>,
    /// What has happened to the callers' connection.
    pub connection: ConnectionStats,
}

/// Messages that no endpoint of the service stands for, and answers that could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StrayStats {
    /// Requests for aggregate types, commands and queries that the service does not have.
    pub unknown: u64,
    /// Of these, how many had no reply subject, or one that is not for replies, and got no answer.
    pub unanswerable: u64,
    /// Messages that reached a subscription of the service under a subject that is not the service's.
    pub foreign: u64,
    /// Questions about the instance (discovery, health, schema) that got no answer: no reply subject, one that is not for
    /// replies, or too many at once.
    pub unasked: u64,
    /// Answers that could not be sent.
    pub unsent: u64,
}

impl Instance {
    pub(crate) fn stats(&self) -> ServiceStats {
        ServiceStats {
            started: self.started,
            in_flight: self.tasks.len() as u64,
            endpoints: self.endpoint_stats(),
            strays: self.stray_stats(),
            dispatch: self.dispatcher.stats(),
            store: self.dispatcher.store().stats(),
            rate_limit: self.rate_limiter.as_ref().map(RateLimiter::stats),
            circuit_breaker: self.circuits.as_ref().map(Circuits::stats).unwrap_or_default(),
            auth: self.auth.as_deref().map(Guard::stats),
            connection: self.connection.stats(),
        }
    }

    /// The answer to `STATS`. What no endpoint stands for is in a member of its own, which other programs pass over.
    pub(crate) fn stats_answer(&self) -> Value {
        let stats = Stats::new(self.about.identity.clone(), self.started, self.endpoint_stats());
        let mut answer = serde_json::to_value(stats).expect("statistics are texts and numbers");
        answer["data"] = json!({
            "strays": self.stray_stats(),
            "dispatch": self.dispatcher.stats(),
            "store": self.dispatcher.store().stats(),
            "connection": self.connection_stats(),
        });
        if let Some(limiter) = &self.rate_limiter {
            answer["data"]["rateLimit"] = json!(limiter.stats());
        }
        if let Some(circuits) = &self.circuits {
            answer["data"]["circuitBreaker"] = json!(circuits.stats());
        }
        if let Some(auth) = &self.auth {
            answer["data"]["auth"] = json!(auth.stats());
        }
        answer
    }

    /// What tells of requests that may have been lost before the instance saw them.
    fn connection_stats(&self) -> Value {
        let stats = self.connection.stats();
        json!({
            "disconnects": stats.disconnects,
            "rebuilds": stats.rebuilds,
            "slowConsumers": stats.slow_consumers,
        })
    }

    fn endpoint_stats(&self) -> Vec<EndpointStats> {
        self.endpoints.iter().map(Arc::as_ref).map(|endpoint| endpoint.stats()).collect()
    }

    fn stray_stats(&self) -> StrayStats {
        let strays = &self.strays;
        StrayStats {
            unknown: strays.unknown.requests() + strays.unknown.unanswered(),
            unanswerable: strays.unknown.unanswered(),
            foreign: strays.foreign.get(),
            unasked: strays.unasked.get(),
            unsent: strays.unsent.get(),
        }
    }

    pub(crate) fn reset_stats(&self) {
        self.endpoints.iter().for_each(|endpoint| endpoint.counters.reset());
        self.rate_limiter.iter().for_each(RateLimiter::reset_stats);
        self.circuits.iter().for_each(Circuits::reset_stats);
        if let Some(auth) = &self.auth {
            auth.reset_stats();
        }
        let strays = &self.strays;
        strays.unknown.reset();
        [&strays.foreign, &strays.unasked, &strays.unsent].into_iter().for_each(crate::counters::Count::reset);
    }
}
