//! The durable consumer behind a reader: created, compared with what a reader needs, and asked how far it is.

use headwater_core::Name;
use headwater_core::store::EventFilter;
use headwater_nats::subject::Subjects;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::info;

use super::api::{Api, ApiError, Trouble, code, nanoseconds};
use super::error::ReaderError;
use super::journal::Start;
use super::line::GROUP;
use super::settings::Settings;

/// A consumer's configuration as the server has it.
type Config = Map<String, Value>;

/// What the server says of a consumer.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ConsumerInfo {
    #[serde(default)]
    config: Config,
    /// The last message that was delivered.
    #[serde(default)]
    pub(super) delivered: Progress,
    /// Everything up to here is acknowledged.
    #[serde(default)]
    pub(super) ack_floor: Progress,
    /// Delivered and not acknowledged.
    #[serde(default)]
    pub(super) num_ack_pending: u64,
    /// Not delivered yet.
    #[serde(default)]
    pub(super) num_pending: u64,
}

/// How far a consumer is.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Progress {
    /// In numbers of deliveries.
    #[serde(default)]
    pub(super) consumer_seq: u64,
    /// In places of the journal.
    #[serde(default)]
    pub(super) stream_seq: u64,
}

/// A reader's consumer.
#[derive(Debug, Clone)]
pub(super) struct Consumer {
    pub(super) api: Api,
    pub(super) stream: String,
    pub(super) name: Name,
    wanted: Config,
    /// With the filter in the subject a user can be held to it by permissions.
    only_filter: Option<String>,
    start: Start,
}

impl Consumer {
    /// None when the filter shows nothing.
    pub(super) fn new(api: Api, subjects: &Subjects, settings: &Settings, filter: &EventFilter) -> Option<Self> {
        let filters = subjects.journal_filters(filter)?;
        let mut wanted = json!({
            "name": settings.name,
            "durable_name": settings.name,
            "description": format!("Reads events of {}", subjects.service()),
            "ack_policy": "explicit",
            "replay_policy": "instant",
            "ack_wait": nanoseconds(settings.ack_wait),
            // A limit would let an event vanish that cannot be handled.
            "max_deliver": -1,
            "max_ack_pending": settings.max_in_flight,
            "priority_groups": [GROUP],
            "priority_policy": "pinned_client",
            "priority_timeout": nanoseconds(settings.takeover),
        });
        let only_filter = match filters.as_slice() {
            [only] => {
                wanted["filter_subject"] = json!(only);
                Some(only.clone())
            }
            several => {
                wanted["filter_subjects"] = json!(several);
                None
            }
        };
        let Value::Object(wanted) = wanted else { return None };
        let (stream, name) = (subjects.journal_stream(), settings.name.clone());
        Some(Self { api, stream, name, wanted, only_filter, start: settings.start.into() })
    }

    /// What the server says of it; none when it is not there.
    pub(super) async fn info(&self) -> Result<Option<ConsumerInfo>, Trouble> {
        match self.api.ask(&format!("CONSUMER.INFO.{}.{}", self.stream, self.name), None).await {
            Ok(info) => Ok(Some(info)),
            Err(Trouble::Refused(ApiError { err_code: code::CONSUMER_NOT_FOUND, .. })) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Creates it, to go on right after `after`, or where the settings say. None when somebody else was faster.
    pub(super) async fn create(&self, after: Option<u64>) -> Result<Option<ConsumerInfo>, Trouble> {
        let mut config = self.wanted.clone();
        if let Value::Object(start) = after.map_or(self.start, Start::After).to_json() {
            config.extend(start);
        }
        match self.send(&config, "create").await {
            Err(Trouble::Refused(error))
                if matches!(error.err_code, code::CONSUMER_EXISTS | code::CONSUMER_NAME_TAKEN) =>
            {
                Ok(None)
            }
            created => created.map(Some),
        }
    }

    /// Brings it in line with the settings. Where it started, and how far it is, stays as it is.
    pub(super) async fn adapt(&self, found: ConsumerInfo) -> Result<ConsumerInfo, Trouble> {
        if let Some(unfit) = self.unfit(&found.config) {
            let message = format!(
                "the consumer {} of the stream {} cannot be a reader's: {unfit}; take another name, or delete it",
                self.name, self.stream
            );
            return Err(Trouble::ForGood(ReaderError::Refused(message)));
        }
        let different: Vec<&str> = ADAPTED.into_iter().filter(|field| self.differs(&found.config, field)).collect();
        if different.is_empty() {
            return Ok(found);
        }
        let mut config = found.config;
        for field in ADAPTED {
            match self.wanted.get(field) {
                Some(value) => config.insert(field.to_owned(), value.clone()),
                None => config.remove(field),
            };
        }
        info!(reader = %self.name, stream = self.stream, changed = ?different, "the consumer is adapted to the settings");
        self.send(&config, "update").await
    }

    async fn send(&self, config: &Config, action: &str) -> Result<ConsumerInfo, Trouble> {
        let mut rest = format!("CONSUMER.CREATE.{}.{}", self.stream, self.name);
        if let Some(filter) = &self.only_filter {
            rest = format!("{rest}.{filter}");
        }
        let request = json!({ "stream_name": self.stream, "config": config, "action": action });
        self.api.ask(&rest, Some(&request)).await
    }

    /// Lets the server choose another reader at once instead of when this one has been silent for a while.
    pub(super) async fn unpin(&self) -> Result<(), Trouble> {
        let rest = format!("CONSUMER.UNPIN.{}.{}", self.stream, self.name);
        self.api.ask::<Value>(&rest, Some(&json!({ "group": GROUP }))).await.map(drop)
    }

    /// What makes a consumer that exists another thing than a reader's.
    fn unfit(&self, found: &Config) -> Option<String> {
        let fixed = [
            ("ack_policy", json!("none")),
            ("replay_policy", json!("instant")),
            ("max_deliver", json!(-1)),
            ("priority_policy", json!("none")),
            ("priority_groups", json!([])),
            ("deliver_subject", Value::Null),
            ("headers_only", json!(false)),
            ("backoff", json!([])),
        ];
        for (field, absent) in fixed {
            let found = found.get(field).unwrap_or(&absent);
            let wanted = self.wanted.get(field).unwrap_or(&absent);
            if found != wanted {
                return Some(format!("its `{field}` is {found}, and must be {wanted}"));
            }
        }
        None
    }

    fn differs(&self, found: &Config, field: &str) -> bool {
        let value = |config: &Config| config.get(field).cloned().unwrap_or_default();
        value(found) != value(&self.wanted)
    }
}

/// Fields that follow the settings also when the consumer exists.
const ADAPTED: [&str; 6] =
    ["description", "ack_wait", "max_ack_pending", "priority_timeout", "filter_subject", "filter_subjects"];
