//! Settings of the snapshots' bucket.

use std::time::Duration;

use headwater_core::Name;
use headwater_nats::connect::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Manage, Placement, StoreConfig};
use crate::error::{OpenError, OpenErrorKind};

/// Settings of [`JetStreamSnapshots`](crate::JetStreamSnapshots). Only the service's name is needed; to have the bucket
/// where the journal is, take [`beside`](Self::beside).
///
/// ```
/// use headwater_core::Name;
/// use headwater_nats_store::{SnapshotConfig, StoreConfig};
///
/// let journal = StoreConfig::new(Name::new("receipts")?).replicas(3);
/// assert_eq!(SnapshotConfig::beside(&journal).replicas, 3);
/// # Ok::<(), headwater_core::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotConfig {
    /// The service whose snapshots they are; it names the bucket.
    #[schemars(with = "String", regex(pattern = "^[a-z][a-z0-9-]{0,49}$"))]
    pub service: Name,
    /// What to do about the bucket when it is opened. Default: create it when it is missing.
    #[serde(default)]
    pub manage: Manage,
    /// On how many servers every snapshot is kept, 1 to 5. Default 1. What is lost is made again, but until then loads
    /// read the journal; so take as many as the journal has.
    #[serde(default = "one")]
    pub replicas: u8,
    /// Where in a cluster the bucket is to live. Default: the server chooses.
    #[serde(default)]
    pub placement: Placement,
    /// The most the bucket may grow to, in bytes; when it is full, further snapshots are refused. Default: no limit.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// How long to wait for a snapshot before the journal is read instead. Default 500 ms.
    #[serde(default = "load_timeout")]
    pub load_timeout: HumanDuration,
    /// How long to wait for the acknowledgement of a snapshot. Default 2 seconds; nobody waits for it but the task that
    /// writes snapshots.
    #[serde(default = "save_timeout")]
    pub save_timeout: HumanDuration,
}

impl SnapshotConfig {
    /// The defaults for the snapshots of `service`.
    #[must_use]
    pub fn new(service: Name) -> Self {
        Self {
            service,
            manage: Manage::default(),
            replicas: one(),
            placement: Placement::default(),
            max_bytes: None,
            load_timeout: load_timeout(),
            save_timeout: save_timeout(),
        }
    }

    /// The defaults, with the service, the way of managing, the replicas and the placement of its journal.
    #[must_use]
    pub fn beside(journal: &StoreConfig) -> Self {
        Self {
            manage: journal.manage,
            replicas: journal.replicas,
            placement: journal.placement.clone(),
            ..Self::new(journal.service.clone())
        }
    }

    /// Sets [`manage`](Self#structfield.manage).
    #[must_use]
    pub fn manage(self, manage: Manage) -> Self {
        Self { manage, ..self }
    }

    /// Sets [`replicas`](Self#structfield.replicas).
    #[must_use]
    pub fn replicas(self, replicas: u8) -> Self {
        Self { replicas, ..self }
    }

    /// Sets [`placement`](Self#structfield.placement).
    #[must_use]
    pub fn placement(self, placement: Placement) -> Self {
        Self { placement, ..self }
    }

    /// Sets [`max_bytes`](Self#structfield.max_bytes).
    #[must_use]
    pub fn max_bytes(self, bytes: u64) -> Self {
        Self { max_bytes: Some(bytes), ..self }
    }

    /// Sets [`load_timeout`](Self#structfield.load_timeout).
    #[must_use]
    pub fn load_timeout(self, limit: Duration) -> Self {
        Self { load_timeout: limit.into(), ..self }
    }

    /// Sets [`save_timeout`](Self#structfield.save_timeout).
    #[must_use]
    pub fn save_timeout(self, limit: Duration) -> Self {
        Self { save_timeout: limit.into(), ..self }
    }

    /// Checks all settings.
    ///
    /// # Errors
    /// One error that names every setting that is wrong, with its value.
    pub fn validate(&self) -> Result<(), OpenError> {
        let positive = |limit: HumanDuration| !limit.get().is_zero();
        let rules = [
            ((1..=5).contains(&self.replicas), "replicas", self.replicas.to_string(), "1 to 5"),
            (self.max_bytes != Some(0), "max_bytes", "0".to_owned(), "at least 1, or left out"),
            (positive(self.load_timeout), "load_timeout", self.load_timeout.to_string(), "more than nothing"),
            (positive(self.save_timeout), "save_timeout", self.save_timeout.to_string(), "more than nothing"),
            (
                self.placement.tags.iter().all(|tag| !tag.is_empty()),
                "placement.tags",
                "an empty text".to_owned(),
                "names of tags",
            ),
        ];
        let wrong: Vec<String> = rules
            .into_iter()
            .filter(|(holds, ..)| !holds)
            .map(|(_, field, value, allowed)| format!("snapshots.{field} is {value}, and must be {allowed}"))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(OpenError::new(OpenErrorKind::Config, wrong.join("; "))) }
    }
}

const fn one() -> u8 {
    1
}

const fn load_timeout() -> HumanDuration {
    HumanDuration::from_millis(500)
}

const fn save_timeout() -> HumanDuration {
    HumanDuration::from_secs(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let config = SnapshotConfig::new(Name::new("receipts").unwrap()).replicas(0).max_bytes(0);
        let refused = config.load_timeout(Duration::ZERO).validate().unwrap_err();
        assert_eq!(refused.kind(), OpenErrorKind::Config);
        let text = refused.to_string();
        for field in ["snapshots.replicas is 0", "snapshots.max_bytes", "snapshots.load_timeout"] {
            assert!(text.contains(field), "{text}");
        }
    }

    #[test]
    fn settings_are_read_from_text_and_only_the_service_is_needed() {
        let least: SnapshotConfig = serde_json::from_str(r#"{"service":"receipts"}"#).unwrap();
        assert_eq!(least, SnapshotConfig::new(Name::new("receipts").unwrap()));
        assert!(least.validate().is_ok());
        assert!(serde_json::from_str::<SnapshotConfig>(r#"{"service":"receipts","ttl":"1s"}"#).is_err());
    }
}
