//! The bucket: a stream as key-value clients know it, created when it is missing and compared otherwise.

use std::time::Duration;

use bytes::Bytes;
use headwater_core::AggregateId;
use headwater_core::store::StoreError;
use headwater_nats::connect::Interrupted;
use headwater_nats::subject::Subjects;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{SnapshotConfig, key};
use crate::api::{self, Api, ApiError, code};
use crate::backoff::Backoff;
use crate::config::Manage;
use crate::error::{OpenError, OpenErrorKind};
use crate::stream::{StreamConfig, StreamInfo};

/// How long opening the bucket may try, an election of a leader included.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long one request may take; creating a replicated stream waits for an election.
const ONE_REQUEST: Duration = Duration::from_secs(5);

/// The names of a service's bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) name: String,
    /// The stream behind it.
    pub(super) stream: String,
}

impl Bucket {
    pub(super) fn new(subjects: &Subjects) -> Self {
        let name = subjects.snapshot_bucket();
        Self { stream: format!("KV_{name}"), name }
    }

    /// Where the snapshot of an aggregate is stored.
    pub(super) fn subject(&self, aggregate: &AggregateId) -> String {
        format!("$KV.{}.{}", self.name, key::of(aggregate))
    }

    /// The configuration it is created with: a key-value bucket with one value for each key (ADR-8).
    fn wanted(&self, config: &SnapshotConfig) -> StreamConfig {
        let mut wanted = json!({
            "name": self.stream,
            "description": format!("Snapshots of {}: a cache, and may be deleted", config.service),
            "subjects": [format!("$KV.{}.>", self.name)],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_age": 0,
            "max_msgs_per_subject": 1,
            "max_bytes": config.max_bytes.map_or(json!(-1), Value::from),
            "num_replicas": config.replicas,
            "allow_direct": true,
            "allow_rollup_hdrs": true,
            "deny_delete": true,
        });
        let placement = &config.placement;
        if placement.cluster.is_some() || !placement.tags.is_empty() {
            wanted["placement"] = json!({ "tags": placement.tags });
            if let Some(cluster) = &placement.cluster {
                wanted["placement"]["cluster"] = json!(cluster);
            }
        }
        match wanted {
            Value::Object(wanted) => wanted,
            _ => StreamConfig::new(),
        }
    }
}

/// A field of the stream that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Drift {
    field: &'static str,
    found: String,
    wanted: String,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is {} and must be {}", self.field, self.found, self.wanted)
    }
}

/// Fields that have to be what they would have been created as, each with what it is where the server leaves it out.
/// With others, snapshots would not be found, would pile up, or would come from elsewhere.
fn fixed() -> [(&'static str, Value); 12] {
    [
        ("subjects", json!([])),
        ("retention", json!("limits")),
        ("storage", json!("file")),
        ("discard", json!("old")),
        ("max_age", json!(0)),
        ("max_msgs_per_subject", json!(-1)),
        ("allow_direct", json!(false)),
        ("sealed", json!(false)),
        ("no_ack", json!(false)),
        ("mirror", Value::Null),
        ("sources", json!([])),
        ("subject_transform", Value::Null),
    ]
}

/// Fields that may differ, which is told, or mended where the settings say to update.
const FREE: [&str; 3] = ["num_replicas", "max_bytes", "placement"];

/// What must not differ and does, and what only differs.
fn compare(found: &StreamConfig, wanted: &StreamConfig) -> (Vec<Drift>, Vec<Drift>) {
    let text = |value: &Value| if value.is_null() { "absent".to_owned() } else { value.to_string() };
    let mut wrong = Vec::new();
    for (field, absent) in fixed() {
        let found = found.get(field).filter(|value| !value.is_null()).unwrap_or(&absent);
        // What is not among the wanted fields is left at the server's default.
        let wanted = wanted.get(field).unwrap_or(&absent);
        if found != wanted {
            wrong.push(Drift { field, found: text(found), wanted: text(wanted) });
        }
    }
    let mut other = Vec::new();
    for field in FREE {
        let Some(wanted) = wanted.get(field) else { continue };
        let found = found.get(field).unwrap_or(&Value::Null);
        let enough = match field {
            // More of them do no harm, and are never taken away.
            "num_replicas" => found.as_u64().unwrap_or(1) >= wanted.as_u64().unwrap_or(1),
            // A limit the settings do not name stays as somebody set it.
            "max_bytes" => wanted.as_i64() == Some(-1) || found == wanted,
            _ => wanted.as_object().is_none_or(|wanted| wanted.iter().all(|(name, value)| same(&found[name], value))),
        };
        if !enough {
            other.push(Drift { field, found: text(found), wanted: text(wanted) });
        }
    }
    (wrong, other)
}

/// The server leaves an empty list out.
fn same(found: &Value, wanted: &Value) -> bool {
    found == wanted || (found.is_null() && wanted.as_array().is_some_and(Vec::is_empty))
}

/// Makes sure that the bucket is there and is what it has to be.
pub(super) async fn ensure(api: &Api, bucket: &Bucket, config: &SnapshotConfig) -> Result<(), OpenError> {
    let wanted = bucket.wanted(config);
    let opening = Opening { api, bucket, deadline: Instant::now() + PATIENCE };
    let found = match opening.call("INFO", Bytes::new()).await? {
        Ok(found) => found,
        Err(error) if error.err_code != code::STREAM_NOT_FOUND => return Err(opening.refused("looked at", error)),
        Err(_) if config.manage == Manage::Verify => return Err(opening.missing()),
        Err(_) => opening.create(&wanted).await?,
    };
    let (wrong, other) = compare(&found.config, &wanted);
    if !wrong.is_empty() {
        return Err(opening.unfit(&wrong));
    }
    if config.manage == Manage::Update && !other.is_empty() {
        return opening.update(found.config, wanted, &other).await;
    }
    for Drift { field, found, wanted } in &other {
        warn!(bucket = bucket.name, field, found, wanted, "the bucket of snapshots differs from the settings");
    }
    Ok(())
}

/// One attempt to open a bucket.
struct Opening<'a> {
    api: &'a Api,
    bucket: &'a Bucket,
    deadline: Instant,
}

impl Opening<'_> {
    /// Creates the stream, or finds that another instance was faster. Either way it is what the server now has.
    async fn create(&self, wanted: &StreamConfig) -> Result<StreamInfo, OpenError> {
        match self.call("CREATE", to_bytes(wanted)).await? {
            Ok(created) => {
                info!(bucket = self.bucket.name, "created the bucket of snapshots");
                Ok(created)
            }
            Err(error) if error.err_code == code::STREAM_NAME_TAKEN => {
                self.call("INFO", Bytes::new()).await?.map_err(|error| self.refused("looked at", error))
            }
            Err(error) => Err(self.refused("created", error)),
        }
    }

    async fn update(&self, mut found: StreamConfig, wanted: StreamConfig, other: &[Drift]) -> Result<(), OpenError> {
        found.extend(wanted.into_iter().filter(|(field, _)| other.iter().any(|drift| drift.field == field)));
        match self.call("UPDATE", to_bytes(&found)).await? {
            Ok(_) => {
                for Drift { field, found, wanted } in other {
                    info!(bucket = self.bucket.name, field, found, wanted, "updated the bucket of snapshots");
                }
                Ok(())
            }
            Err(error) => Err(self.refused("updated", error)),
        }
    }

    /// Sends a request again while the server says that it cannot answer *at the moment*.
    async fn call(&self, verb: &str, payload: Bytes) -> Result<Result<StreamInfo, ApiError>, OpenError> {
        let subject = self.api.subject(&format!("STREAM.{verb}.{}", self.bucket.stream));
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            let limit = ONE_REQUEST.min(self.deadline.saturating_duration_since(Instant::now()));
            let request = self.api.request(subject.clone(), None, payload.clone(), limit);
            let again = match self.api.connection.guard_to(&subject, request).await {
                Ok(Ok(message)) => match api::parse::<StreamInfo>(&message.payload) {
                    Ok(Err(error)) if error.is_transient() => {
                        StoreError::new("JetStream cannot answer at the moment").caused_by(error)
                    }
                    Ok(answer) => return Ok(answer),
                    Err(error) => return Err(self.unavailable(error)),
                },
                Ok(Err(none)) => none.into(),
                Err(Interrupted::Forbidden { .. }) => {
                    let message = format!("the NATS user may not publish to {subject}, which opening needs");
                    return Err(OpenError::new(OpenErrorKind::Refused, message));
                }
                Err(down) => StoreError::new("the connection to NATS is down").caused_by(down),
            };
            let pause = backoff.next_pause();
            if Instant::now() + pause >= self.deadline {
                return Err(self.unavailable(again));
            }
            sleep(pause).await;
        }
    }

    fn missing(&self) -> OpenError {
        let message = format!("the bucket {} does not exist, and the settings say not to create it", self.bucket.name);
        OpenError::new(OpenErrorKind::Missing, message)
    }

    fn unfit(&self, wrong: &[Drift]) -> OpenError {
        let list: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        let message = format!(
            "the bucket {} cannot hold snapshots: {}; it is a cache and may be deleted",
            self.bucket.name,
            list.join("; ")
        );
        OpenError::new(OpenErrorKind::Unsafe, message)
    }

    fn refused(&self, done: &str, error: ApiError) -> OpenError {
        let kind = match error.err_code {
            code::DISABLED | code::DISABLED_FOR_ACCOUNT => OpenErrorKind::JetStreamDisabled,
            _ => OpenErrorKind::Refused,
        };
        let message = format!("the bucket {} could not be {done}: {}", self.bucket.name, error.description);
        OpenError::new(kind, message).caused_by(error)
    }

    fn unavailable(&self, error: StoreError) -> OpenError {
        OpenError::new(OpenErrorKind::Unavailable, format!("the bucket {} could not be reached", self.bucket.name))
            .caused_by(error)
    }
}

fn to_bytes(config: &StreamConfig) -> Bytes {
    Bytes::from(serde_json::to_vec(config).expect("a map of JSON values can always be written"))
}

#[cfg(test)]
mod tests {
    use headwater_core::Name;

    use super::*;
    use crate::config::Placement;

    fn fixture() -> (Bucket, SnapshotConfig, StreamConfig) {
        let config = SnapshotConfig::new(Name::new("till-receipts").unwrap());
        let bucket = Bucket::new(&Subjects::new(config.service.clone()));
        let found = bucket.wanted(&config);
        (bucket, config, found)
    }

    #[test]
    fn a_bucket_is_named_as_the_protocol_says() {
        let (bucket, ..) = fixture();
        let order = AggregateId::new("receipt", "a.b").unwrap();
        assert_eq!(bucket.stream, "KV_TILL_RECEIPTS_SNAPSHOTS");
        assert_eq!(bucket.subject(&order), "$KV.TILL_RECEIPTS_SNAPSHOTS.receipt.a/2Eb");
    }

    #[test]
    fn what_is_created_has_nothing_to_complain_about_and_each_wrong_field_is_named() {
        let (bucket, config, found) = fixture();
        let wanted = bucket.wanted(&config);
        assert_eq!(compare(&found, &wanted), (vec![], vec![]));
        for (field, value) in [
            ("subjects", json!(["$KV.OTHER.>"])),
            ("retention", json!("workqueue")),
            ("storage", json!("memory")),
            ("discard", json!("old")),
            ("max_age", json!(1_000_000_000)),
            ("max_msgs_per_subject", json!(64)),
            ("allow_direct", json!(false)),
            ("sealed", json!(true)),
            ("no_ack", json!(true)),
            ("mirror", json!({ "name": "OTHER" })),
            ("sources", json!([{ "name": "OTHER" }])),
            ("subject_transform", json!({ "src": "a", "dest": "b" })),
        ] {
            let mut found = found.clone();
            found.insert(field.to_owned(), value);
            let (wrong, other) = compare(&found, &wanted);
            assert_eq!((wrong.len(), other.len(), wrong[0].field), (1, 0, field), "{wrong:?}");
        }
    }

    #[test]
    fn replicas_size_and_placement_may_differ() {
        let (bucket, config, found) = fixture();
        let placement = Placement { cluster: Some("east".into()), tags: vec![] };
        let config = config.replicas(3).max_bytes(1 << 30).placement(placement);
        let (wrong, other) = compare(&found, &bucket.wanted(&config));
        assert_eq!(wrong, []);
        assert_eq!(other.iter().map(|drift| drift.field).collect::<Vec<_>>(), FREE);
        let mut more = bucket.wanted(&config);
        more.insert("num_replicas".to_owned(), json!(5));
        more.insert("placement".to_owned(), json!({ "cluster": "east" }));
        assert_eq!(compare(&more, &bucket.wanted(&config)), (vec![], vec![]));
    }
}
