//! What an instance says about itself: the answers of NATS service discovery (ADR-32), of
//! `{service}.health`, and the contract of `{service}.schema`.
//!
//! The types write every field that ADR-32 names, and read answers of services that are not ours:
//! what may be missing there gets a default, unknown members are passed over.

mod contract;
mod health;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use contract::{Contract, SchemaRequest};
pub use health::{Check, Health, HealthStatus};

/// Texts by name, as service and endpoint metadata has them.
pub type Metadata = BTreeMap<String, String>;

/// The names of the members that our services put into metadata.
pub mod metadata {
    /// Endpoint: `command` or `query`.
    pub const KIND: &str = "kind";
    /// Endpoint: the aggregate type.
    pub const AGGREGATE: &str = "aggregate";
    /// Endpoint: where the schema of its requests is: `{service}.schema` plus a JSON Pointer.
    pub const REQUEST_SCHEMA: &str = "request-schema";
    /// Endpoint: where the schema of its replies is.
    pub const RESPONSE_SCHEMA: &str = "response-schema";
    /// Service and endpoint: the hash of the contract.
    pub const CONTRACT: &str = "contract";
    /// Service: the version of this library.
    pub const HEADWATER: &str = "headwater";
    /// Service: the features that are switched on, separated by commas.
    pub const FEATURES: &str = "features";
}

/// Who an instance is: the members that all three answers share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The service's name.
    pub name: String,
    /// The instance's id.
    pub id: String,
    /// The service's version, semver.
    pub version: String,
    /// Further texts.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
}

/// The answer to `$SRV.PING`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    #[serde(rename = "type")]
    answer: PingType,
    /// Who answers.
    #[serde(flatten)]
    pub identity: Identity,
}

/// The answer to `$SRV.INFO`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    #[serde(rename = "type")]
    answer: InfoType,
    /// Who answers.
    #[serde(flatten)]
    pub identity: Identity,
    /// What the service is for.
    #[serde(default)]
    pub description: String,
    /// What it can be asked.
    #[serde(default, deserialize_with = "or_default")]
    pub endpoints: Vec<EndpointInfo>,
}

/// One endpoint in an [`Info`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointInfo {
    /// Its name, such as `command-receipt-add-item`.
    pub name: String,
    /// Where it listens.
    pub subject: String,
    /// Its queue group; empty when it has none.
    #[serde(default)]
    pub queue_group: String,
    /// Further texts; see [`metadata`].
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
}

/// The answer to `$SRV.STATS`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    #[serde(rename = "type")]
    answer: StatsType,
    /// Who answers.
    #[serde(flatten)]
    pub identity: Identity,
    /// When the instance started.
    pub started: DateTime<Utc>,
    /// What each endpoint has done since.
    #[serde(default, deserialize_with = "or_default")]
    pub endpoints: Vec<EndpointStats>,
}

/// One endpoint in [`Stats`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointStats {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub subject: String,
    /// Its queue group; empty when it has none.
    #[serde(default)]
    pub queue_group: String,
    /// Requests so far.
    #[serde(default)]
    pub num_requests: u64,
    /// Of these, how many ended in a failure whose number is 500 or more.
    #[serde(default)]
    pub num_errors: u64,
    /// The last of those failures, `{number}:{text}`; empty when there was none.
    #[serde(default)]
    pub last_error: String,
    /// Time spent on all requests, in nanoseconds.
    #[serde(default)]
    pub processing_time: u64,
    /// Time spent on a request on average, in nanoseconds.
    #[serde(default)]
    pub average_processing_time: u64,
    /// What the service adds: counts by code, requests in flight, rate limiter, circuit breaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum PingType {
    #[serde(rename = "io.nats.micro.v1.ping_response")]
    Ping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum InfoType {
    #[serde(rename = "io.nats.micro.v1.info_response")]
    Info,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum StatsType {
    #[serde(rename = "io.nats.micro.v1.stats_response")]
    Stats,
}

impl Ping {
    /// An answer of this instance.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { answer: PingType::Ping, identity }
    }
}

impl Info {
    /// An answer of this instance.
    #[must_use]
    pub fn new(identity: Identity, description: impl Into<String>, endpoints: Vec<EndpointInfo>) -> Self {
        Self { answer: InfoType::Info, identity, description: description.into(), endpoints }
    }
}

impl Stats {
    /// An answer of this instance, which started at `started`.
    #[must_use]
    pub fn new(identity: Identity, started: DateTime<Utc>, endpoints: Vec<EndpointStats>) -> Self {
        Self { answer: StatsType::Stats, identity, started, endpoints }
    }
}

/// Go services write `null` for an empty map or list.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
