//! The answer of `{service}.health`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How one instance is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// In one word.
    pub status: HealthStatus,
    /// The instance's id.
    pub instance: String,
    /// The service's version.
    pub version: String,
    /// What was checked, such as `nats` and `store`.
    #[serde(default)]
    pub checks: BTreeMap<String, Check>,
}

/// How an instance is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HealthStatus {
    /// Everything works.
    Ok,
    /// Something does not; [`Health::checks`] says what.
    Degraded,
    /// It is on its way out and takes no new requests.
    Draining,
    /// A word this program does not know.
    #[serde(other)]
    Unknown,
}

/// How one thing that an instance needs is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, or what is worth knowing; says nothing private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// It works.
    #[must_use]
    pub const fn ok() -> Self {
        Self { ok: true, detail: None }
    }

    /// It does not work.
    #[must_use]
    pub fn failed(detail: impl Into<String>) -> Self {
        Self { ok: false, detail: Some(detail.into()) }
    }
}

impl Health {
    /// The status that the checks give: `ok` when all of them are.
    #[must_use]
    pub fn of_checks(instance: String, version: String, checks: BTreeMap<String, Check>) -> Self {
        let status = if checks.values().all(|check| check.ok) { HealthStatus::Ok } else { HealthStatus::Degraded };
        Self { status, instance, version, checks }
    }
}
