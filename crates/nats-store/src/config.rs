//! Settings of the store.

use std::time::Duration;

use headwater_core::Name;
use headwater_nats::connect::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{OpenError, OpenErrorKind};

/// The shortest duplicate window the store works with: a retry must fall into it.
const SHORTEST_DUPLICATE_WINDOW: Duration = Duration::from_secs(1);

/// Settings of a [`JetStreamStore`](crate::JetStreamStore). Only the service's name is needed.
///
/// ```
/// use headwater_core::Name;
/// use headwater_nats_store::StoreConfig;
///
/// let config = StoreConfig::new(Name::new("receipts")?).replicas(3).max_bytes(10 << 30);
/// assert!(config.validate().is_ok());
/// let refused = config.replicas(9).validate().unwrap_err();
/// assert!(refused.to_string().contains("store.replicas"));
/// # Ok::<(), headwater_core::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The service whose journal it is; it names the stream and its subjects.
    #[schemars(with = "String", regex(pattern = "^[a-z][a-z0-9-]{0,49}$"))]
    pub service: Name,
    /// What to do about the stream when the store is opened. Default: create it when it is missing.
    #[serde(default)]
    pub manage: Manage,
    /// When appends share an atomic batch. Default: when that is cheaper.
    #[serde(default)]
    pub commit: CommitMode,
    /// On how many servers every event is kept, 1 to 5. Default 1, which is for development: with 3 the journal survives
    /// the loss of a server.
    #[serde(default = "one")]
    pub replicas: u8,
    /// Where in a cluster the stream is to live. Default: the server chooses.
    #[serde(default)]
    pub placement: Placement,
    /// The most the journal may grow to, in bytes. When it is full, appends are refused and nothing is deleted. Default: no
    /// limit, and a disk that is full then stops the server; set it well below the disk.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// The most events the journal may hold. Default: no limit.
    #[serde(default)]
    pub max_msgs: Option<u64>,
    /// The largest stored event in bytes, with everything that is stored beside its data. Default 256 KiB; never more than
    /// the server's `max_payload`.
    #[serde(default = "max_event_size")]
    pub max_event_size: usize,
    /// For how long the server recognises a repeated append. Default 2 minutes.
    #[serde(default = "duplicate_window")]
    pub duplicate_window: HumanDuration,
    /// How long to wait for the acknowledgement of an append before looking up what became of it. Default 2 seconds.
    #[serde(default = "ack_timeout")]
    pub ack_timeout: HumanDuration,
    /// How long an append whose acknowledgement was lost, or that found nobody to take it, is looked up and sent again
    /// before it is given up. Default 10 seconds, which outlasts the election of a new leader.
    #[serde(default = "settle_timeout")]
    pub settle_timeout: HumanDuration,
    /// How long one look-up of a stored event may take. Default 2 seconds.
    #[serde(default = "lookup_timeout")]
    pub lookup_timeout: HumanDuration,
    /// After how long without an answer a look-up is also sent to the stream's leader. Default 250 ms.
    #[serde(default = "hedge_after")]
    pub hedge_after: HumanDuration,
    /// How many look-ups of stored events may be under way at once, all reads together. Default 256.
    #[serde(default = "read_concurrency")]
    pub read_concurrency: usize,
}

/// What to do about the journal's stream when the store is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Manage {
    /// Create it when it is missing; otherwise only verify that it keeps the guarantees.
    #[default]
    Create,
    /// Only verify it; a missing one is refused.
    Verify,
    /// Create it when it is missing, and bring limits, replicas, duplicate window and placement in line with these
    /// settings. What would break the guarantees is refused as ever, never changed.
    Update,
}

/// When appends share an atomic batch.
///
/// Whatever the mode, several events of one append are one batch, all or none, and a replicated stream or a server that
/// cannot be trusted with batches over several aggregates (2.14.3 and older) never gets a shared one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CommitMode {
    /// Appends of several events share; those of one event go out at once, unless measurements show that the server
    /// syncs every write and enough of them wait for sharing to be cheaper.
    #[default]
    Auto,
    /// None share: every append goes out at once. For comparison, and for the lowest latency at a low load.
    Pipelined,
    /// All share, also those of one event.
    Grouped,
}

/// Where in a cluster a stream is to live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// The name of the cluster.
    pub cluster: Option<String>,
    /// Tags that its servers must have.
    pub tags: Vec<String>,
}

impl StoreConfig {
    /// The defaults for the journal of `service`.
    #[must_use]
    pub fn new(service: Name) -> Self {
        Self {
            service,
            manage: Manage::default(),
            commit: CommitMode::default(),
            replicas: one(),
            placement: Placement::default(),
            max_bytes: None,
            max_msgs: None,
            max_event_size: max_event_size(),
            duplicate_window: duplicate_window(),
            ack_timeout: ack_timeout(),
            settle_timeout: settle_timeout(),
            lookup_timeout: lookup_timeout(),
            hedge_after: hedge_after(),
            read_concurrency: read_concurrency(),
        }
    }

    /// Sets [`manage`](Self#structfield.manage).
    #[must_use]
    pub fn manage(self, manage: Manage) -> Self {
        Self { manage, ..self }
    }

    /// Sets [`commit`](Self#structfield.commit).
    #[must_use]
    pub fn commit(self, commit: CommitMode) -> Self {
        Self { commit, ..self }
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

    /// Sets [`max_msgs`](Self#structfield.max_msgs).
    #[must_use]
    pub fn max_msgs(self, messages: u64) -> Self {
        Self { max_msgs: Some(messages), ..self }
    }

    /// Sets [`max_event_size`](Self#structfield.max_event_size).
    #[must_use]
    pub fn max_event_size(self, bytes: usize) -> Self {
        Self { max_event_size: bytes, ..self }
    }

    /// Sets [`duplicate_window`](Self#structfield.duplicate_window).
    #[must_use]
    pub fn duplicate_window(self, window: Duration) -> Self {
        Self { duplicate_window: window.into(), ..self }
    }

    /// Sets [`ack_timeout`](Self#structfield.ack_timeout).
    #[must_use]
    pub fn ack_timeout(self, limit: Duration) -> Self {
        Self { ack_timeout: limit.into(), ..self }
    }

    /// Sets [`settle_timeout`](Self#structfield.settle_timeout).
    #[must_use]
    pub fn settle_timeout(self, limit: Duration) -> Self {
        Self { settle_timeout: limit.into(), ..self }
    }

    /// Sets [`lookup_timeout`](Self#structfield.lookup_timeout).
    #[must_use]
    pub fn lookup_timeout(self, limit: Duration) -> Self {
        Self { lookup_timeout: limit.into(), ..self }
    }

    /// Sets [`hedge_after`](Self#structfield.hedge_after).
    #[must_use]
    pub fn hedge_after(self, pause: Duration) -> Self {
        Self { hedge_after: pause.into(), ..self }
    }

    /// Sets [`read_concurrency`](Self#structfield.read_concurrency).
    #[must_use]
    pub fn read_concurrency(self, lookups: usize) -> Self {
        Self { read_concurrency: lookups, ..self }
    }

    /// Checks all settings.
    ///
    /// # Errors
    /// One error that names every setting that is wrong, with its value.
    pub fn validate(&self) -> Result<(), OpenError> {
        let positive = |limit: HumanDuration| !limit.get().is_zero();
        let window = self.duplicate_window.get();
        let rules: [(bool, &str, String, &str); 10] = [
            ((1..=5).contains(&self.replicas), "replicas", self.replicas.to_string(), "1 to 5"),
            (self.max_bytes != Some(0), "max_bytes", "0".to_owned(), "at least 1, or left out"),
            (self.max_msgs != Some(0), "max_msgs", "0".to_owned(), "at least 1, or left out"),
            (self.max_event_size >= 1024, "max_event_size", self.max_event_size.to_string(), "at least 1024"),
            (
                window >= SHORTEST_DUPLICATE_WINDOW,
                "duplicate_window",
                self.duplicate_window.to_string(),
                "at least one second",
            ),
            (positive(self.ack_timeout), "ack_timeout", self.ack_timeout.to_string(), "more than nothing"),
            (positive(self.settle_timeout), "settle_timeout", self.settle_timeout.to_string(), "more than nothing"),
            (positive(self.lookup_timeout), "lookup_timeout", self.lookup_timeout.to_string(), "more than nothing"),
            (
                (1..=4096).contains(&self.read_concurrency),
                "read_concurrency",
                self.read_concurrency.to_string(),
                "1 to 4096",
            ),
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
            .map(|(_, field, value, allowed)| format!("store.{field} is {value}, and must be {allowed}"))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(OpenError::new(OpenErrorKind::Config, wrong.join("; "))) }
    }
}

const fn one() -> u8 {
    1
}

const fn max_event_size() -> usize {
    256 * 1024
}

const fn duplicate_window() -> HumanDuration {
    HumanDuration::from_secs(120)
}

const fn ack_timeout() -> HumanDuration {
    HumanDuration::from_secs(2)
}

const fn settle_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

const fn lookup_timeout() -> HumanDuration {
    HumanDuration::from_secs(2)
}

const fn hedge_after() -> HumanDuration {
    HumanDuration::from_millis(250)
}

const fn read_concurrency() -> usize {
    256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let config = StoreConfig::new(Name::new("receipts").unwrap()).replicas(0).max_bytes(0).read_concurrency(0);
        let refused = config.validate().unwrap_err();
        assert_eq!(refused.kind(), OpenErrorKind::Config);
        let text = refused.to_string();
        for field in ["store.replicas is 0", "store.max_bytes", "store.read_concurrency"] {
            assert!(text.contains(field), "{text}");
        }
    }

    #[test]
    fn settings_are_read_from_text_and_only_the_service_is_needed() {
        let least: StoreConfig = serde_json::from_str(r#"{"service":"receipts"}"#).unwrap();
        assert_eq!(least, StoreConfig::new(Name::new("receipts").unwrap()));
        let more = r#"{"service":"receipts","manage":"verify","ack_timeout":"500ms","placement":{"tags":["ssd"]}}"#;
        let more: StoreConfig = serde_json::from_str(more).unwrap();
        assert_eq!((more.manage, more.ack_timeout.get()), (Manage::Verify, Duration::from_millis(500)));
        assert!(serde_json::from_str::<StoreConfig>(r#"{"service":"receipts","replica":3}"#).is_err());
        assert!(serde_json::from_str::<StoreConfig>(r#"{"service":"Receipts"}"#).is_err());
    }
}
