//! The store as its users see it.

use std::sync::Arc;

use async_trait::async_trait;
use headwater_core::AggregateId;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, ReadError,
    ReadOptions, StartFrom, StoreError,
};
use headwater_nats::connect::{ConnectError, ConnectErrorKind, Connection};
use headwater_nats::subject::Subjects;

use crate::MINIMUM_SERVER;
use crate::api::Api;
use crate::config::StoreConfig;
use crate::error::{OpenError, OpenErrorKind};
use crate::journal::Journal;
use crate::stats::StoreStats;
use crate::stream;

/// The event store on JetStream: one stream for each service, one message for each event.
///
/// Clones share the same connection and counters. Use a connection of its own, apart from callers' traffic.
///
/// A confirmed append is on the disks of the stream's replicas as JetStream has it: with the server's default
/// `sync_interval` a loss of power may take the last two minutes of a single server with it.
#[derive(Clone)]
pub struct JetStreamStore {
    journal: Arc<Journal>,
}

impl std::fmt::Debug for JetStreamStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Journal { api, stream, .. } = &*self.journal;
        f.debug_struct("JetStreamStore")
            .field("stream", stream)
            .field("connection", &api.connection.name())
            .finish_non_exhaustive()
    }
}

impl JetStreamStore {
    /// Opens the journal of a service: checks the server and the stream, and creates the stream as the settings say.
    /// Several instances may do so at once.
    ///
    /// # Errors
    /// See [`OpenErrorKind`]. A stream that would not keep the guarantees is refused with every field that is wrong,
    /// what it is and what it must be.
    pub async fn open(connection: Connection, config: StoreConfig) -> Result<Self, OpenError> {
        config.validate()?;
        require_server(&connection)?;
        let api = Api::new(connection);
        let subjects = Subjects::new(config.service.clone());
        let replicas = stream::ensure(&api, &subjects, &config).await?;
        Ok(Self { journal: Journal::new(api, subjects, config, replicas) })
    }

    /// What the store has done since it was opened.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.journal.counters.snapshot(self.journal.group.stats())
    }

    /// The connection it uses.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.journal.api.connection
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn config(&self) -> &StoreConfig {
        &self.journal.config
    }
}

#[async_trait]
impl EventStore for JetStreamStore {
    fn name(&self) -> &'static str {
        "jetstream"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.journal.append(append).await
    }

    fn prefers_one_append(&self, waiting: usize) -> bool {
        self.journal.prefers_one_append(waiting)
    }

    fn stats(&self) -> serde_json::Value {
        serde_json::to_value(Self::stats(self)).unwrap_or_default()
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        self.journal.read(aggregate, read).await
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        self.journal.head(aggregate, freshness).await
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.journal.subscribe(&filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        stream::check(&self.journal).await
    }
}

/// Refuses a server that is too old.
pub(crate) fn require_server(connection: &Connection) -> Result<(), OpenError> {
    let refused = |error: ConnectError| {
        let kind = match error.kind() {
            ConnectErrorKind::UnsupportedServer => OpenErrorKind::UnsupportedServer,
            _ => OpenErrorKind::Unavailable,
        };
        OpenError::new(kind, error.to_string()).caused_by(error)
    };
    connection.require_version(MINIMUM_SERVER).map(drop).map_err(refused)
}
