//! Snapshots in a key-value bucket, beside the journal.
//!
//! A load is one direct get, which any replica answers; a save is one publish. There is no consumer, no listing, and
//! nothing is asked about the stream once the bucket is open. Everything here may fail without harm: the dispatcher
//! reads the journal instead.

mod bucket;
mod config;
mod key;

use std::time::Duration;

use async_nats::Message;
use async_trait::async_trait;
use bytes::Bytes;
use headwater_core::AggregateId;
use headwater_core::store::{SnapshotStore, StoreError};
use headwater_nats::connect::{Connection, Interrupted};
use headwater_nats::subject::Subjects;
use serde::Deserialize;

use crate::api::{self, Api};
use crate::error::OpenError;
use crate::store::require_server;
use bucket::Bucket;
pub use config::SnapshotConfig;

/// The header by which key-value tools mark a deleted key.
const KV_OPERATION: &str = "KV-Operation";

/// Keeps the newest snapshot of each aggregate in the key-value bucket of its service, `RECEIPTS_SNAPSHOTS` for the
/// service `receipts`. Clones share the same connection.
///
/// The key is `{aggregate type}.{id}`. The bytes of an id that a key cannot hold are written as `/XX`, in hexadecimal,
/// so that any key-value client can show a snapshot: `nats kv get RECEIPTS_SNAPSHOTS receipt.order-1`.
///
/// ```no_run
/// use headwater_core::Name;
/// use headwater_nats::connect::{Connection, NatsConfig};
/// use headwater_nats_store::{JetStreamSnapshots, JetStreamStore, SnapshotConfig, StoreConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?;
/// let config = StoreConfig::new(Name::new("receipts")?).replicas(3);
/// let snapshots = JetStreamSnapshots::open(connection.clone(), SnapshotConfig::beside(&config)).await?;
/// let store = JetStreamStore::open(connection, config).await?;
/// // Dispatcher::builder(store).snapshots(snapshots) …
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct JetStreamSnapshots {
    api: Api,
    bucket: Bucket,
    /// `…DIRECT.GET.{stream}.`, to be followed by the subject of a key.
    direct_get: String,
    config: SnapshotConfig,
}

impl std::fmt::Debug for JetStreamSnapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStreamSnapshots")
            .field("bucket", &self.bucket.name)
            .field("connection", &self.api.connection.name())
            .finish_non_exhaustive()
    }
}

impl JetStreamSnapshots {
    /// Opens the bucket of a service, and creates it as the settings say. Several instances may do so at once.
    ///
    /// # Errors
    /// See [`OpenErrorKind`](crate::OpenErrorKind). A bucket that is not what this would have created is refused with
    /// every field that differs.
    pub async fn open(connection: Connection, config: SnapshotConfig) -> Result<Self, OpenError> {
        config.validate()?;
        require_server(&connection)?;
        let api = Api::new(connection);
        let bucket = Bucket::new(&Subjects::new(config.service.clone()));
        bucket::ensure(&api, &bucket, &config).await?;
        let direct_get = api.subject(&format!("DIRECT.GET.{}.", bucket.stream));
        Ok(Self { api, bucket, direct_get, config })
    }

    /// The connection it uses.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.api.connection
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn config(&self) -> &SnapshotConfig {
        &self.config
    }

    /// The key a snapshot of `aggregate` is kept under.
    #[must_use]
    pub fn key(aggregate: &AggregateId) -> String {
        key::of(aggregate)
    }

    /// Asks once, and fails at once where the user lacks the right to ask.
    async fn ask(&self, subject: String, payload: Bytes, limit: Duration) -> Result<Message, StoreError> {
        let request = self.api.request(subject.clone(), None, payload, limit);
        match self.api.connection.guard_to(&subject, request).await {
            Ok(answer) => Ok(answer?),
            Err(interrupted @ Interrupted::Forbidden { .. }) => {
                Err(StoreError::new("this NATS user has no right to the snapshots").caused_by(interrupted))
            }
            Err(interrupted) => Err(StoreError::new("the connection to NATS is down").caused_by(interrupted)),
        }
    }

    /// Where a snapshot is sent. Behind a JetStream domain or prefix, as key-value clients do it: the servers pass it on.
    fn put_subject(&self, aggregate: &AggregateId) -> String {
        let subject = self.bucket.subject(aggregate);
        let prefix = self.api.connection.jetstream_prefix();
        if prefix == "$JS.API" { subject } else { format!("{prefix}.{subject}") }
    }

    fn check_size(&self, aggregate: &AggregateId, snapshot: &Bytes) -> Result<(), StoreError> {
        let most = self.api.connection.client().max_payload();
        if snapshot.len() <= most {
            return Ok(());
        }
        Err(StoreError::new(format!(
            "the snapshot of {aggregate} has {} bytes, and the server takes {most} in a message (max_payload)",
            snapshot.len()
        )))
    }
}

#[async_trait]
impl SnapshotStore for JetStreamSnapshots {
    async fn load(&self, aggregate: &AggregateId) -> Result<Option<Bytes>, StoreError> {
        let subject = format!("{}{}", self.direct_get, self.bucket.subject(aggregate));
        let answer = self.ask(subject, Bytes::new(), self.config.load_timeout.get()).await?;
        match answer.status.map(|status| status.as_u16()) {
            None => {
                let deleted = answer.headers.is_some_and(|headers| headers.get(KV_OPERATION).is_some());
                Ok((!deleted).then_some(answer.payload))
            }
            Some(404) => Ok(None),
            Some(status) => Err(StoreError::new(format!(
                "the look-up of a snapshot of {aggregate} was answered with status {status}"
            ))),
        }
    }

    async fn save(&self, aggregate: &AggregateId, snapshot: Bytes) -> Result<(), StoreError> {
        self.check_size(aggregate, &snapshot)?;
        let answer = self.ask(self.put_subject(aggregate), snapshot, self.config.save_timeout.get()).await?;
        let stored = api::parse::<Stored>(&answer.payload)?
            .map_err(|error| StoreError::new(format!("the snapshot of {aggregate} was not taken")).caused_by(error))?;
        if stored.stream == self.bucket.stream {
            return Ok(());
        }
        Err(StoreError::new(format!("the snapshot of {aggregate} went to the stream {}", stored.stream)))
    }
}

#[derive(Deserialize)]
struct Stored {
    stream: String,
}
