//! The configuration of a service as one value: in code, from TOML and from the environment.

mod read;

use headwater_nats::connect::{HumanDuration, NatsConfig};
use headwater_nats::telemetry::Telemetry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::Auth;
use crate::circuit_breaker::CircuitBreaker;
use crate::limits::Limits;
use crate::probes::Probes;
use crate::queue_groups::QueueGroups;
use crate::rate_limit::RateLimit;
use crate::service::Service;

pub use read::ConfigError;

/// Everything about a service that can be configured without code; handed to [`Service::configure`]. A feature is on when its
/// table is there.
///
/// The types are the features' own, so that code, TOML and the environment are checked alike: what cannot be read is refused
/// here, and what makes no sense when the service starts. [`JsonSchema`] describes the whole of it.
///
/// ```
/// use headwater_nats_service::ServiceConfig;
///
/// let config = ServiceConfig::from_toml(r#"
///     [service]
///     queue_group = "receipts"
///     drain_timeout = "5s"
///
///     [limits]
///     in_flight = 256
///
///     [rate_limit]
///     service = { rate = 1000, burst = 200 }
///
///     [circuit_breaker]
/// "#)?;
/// // A variable names the path: two underscores between its parts.
/// let config = config.with_variables([("HEADWATER__LIMITS__IN_FLIGHT".to_owned(), "64".to_owned())])?;
/// assert!(config.rate_limit.is_some() && config.auth.is_none());
///
/// let refused = ServiceConfig::from_toml("[rate_limit]\nservise = { rate = 1 }").unwrap_err();
/// assert!(refused.to_string().starts_with("rate_limit.servise: "), "{refused}");
/// # Ok::<(), headwater_nats_service::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct ServiceConfig {
    /// What is no feature of its own.
    pub service: GeneralConfig,
    /// How large, how many, for how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Queue groups of single aggregate types, commands and queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_groups: Option<QueueGroups>,
    /// Who may do what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// How often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// When the event store is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// Traces and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Probes over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<ProbesConfig>,
    /// How to reach NATS. [`Service::configure`] leaves it alone: it is for the connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsConfig>,
}

/// What is no feature of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GeneralConfig {
    /// The queue group that shares the requests among instances. Default `q`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_group: Option<String>,
    /// How long draining waits for what is under way. Default 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<HumanDuration>,
    /// For how long an aggregate in memory is shown without asking the store whether it is the newest. Default: always ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_staleness: Option<HumanDuration>,
    /// Bytes of aggregate states to keep in memory, by estimate. Default 256 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_bytes: Option<u64>,
    /// After how many events a snapshot is written, where snapshots are kept. Default 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_every: Option<u64>,
}

/// Probes over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbesConfig {
    /// An IP address and a port, as in `127.0.0.1:8080`; port 0 takes a free one.
    pub address: String,
}

impl From<&ProbesConfig> for Probes {
    fn from(config: &ProbesConfig) -> Self {
        Self::at(&config.address)
    }
}

impl Service {
    /// Sets what `config` says and leaves the rest as it is. What comes after it in code wins.
    ///
    /// The probes know nothing of the journal's connection then, nor of a page of metrics: a program that has them switches
    /// them on by [`probes`](Self::probes).
    pub fn configure(mut self, config: ServiceConfig) -> Self {
        let ServiceConfig {
            service,
            limits,
            queue_groups,
            auth,
            rate_limit,
            circuit_breaker,
            telemetry,
            probes,
            nats: _,
        } = config;
        let GeneralConfig { queue_group, drain_timeout, query_staleness, cache_bytes, snapshot_every } = service;
        if let Some(name) = queue_group {
            self = self.queue_group(name);
        }
        if let Some(time) = drain_timeout {
            self = self.drain_timeout(time.get());
        }
        if let Some(staleness) = query_staleness {
            self = self.query_staleness(staleness.get());
        }
        if let Some(bytes) = cache_bytes {
            self = self.cache_bytes(bytes);
        }
        if let Some(events) = snapshot_every {
            self = self.snapshot_every(events);
        }
        if let Some(limits) = limits {
            self = self.limits(limits);
        }
        if let Some(groups) = queue_groups {
            self = self.queue_groups(groups);
        }
        if let Some(auth) = auth {
            self = self.auth(auth);
        }
        if let Some(limit) = rate_limit {
            self = self.rate_limit(limit);
        }
        if let Some(breaker) = circuit_breaker {
            self = self.circuit_breaker(breaker);
        }
        if let Some(telemetry) = telemetry {
            self = self.telemetry(telemetry);
        }
        if let Some(probes) = probes {
            self = self.probes(Probes::from(&probes));
        }
        self
    }
}
