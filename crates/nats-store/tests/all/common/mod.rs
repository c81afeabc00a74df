//! What the tests of the store share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{SubsecRound, Utc};
use headwater_core::store::{Append, AppendError, Appended, EventStore, Head, History, ReadOptions};
use headwater_core::{AggregateId, CommandId, EventId, JSON, Metadata, Name, NewEvent};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_store::{JetStreamStore, StoreConfig};
use headwater_testkit::NatsServer;

pub async fn connect(url: &str) -> Connection {
    Connection::connect(&NatsConfig::new(url)).await.unwrap()
}

pub fn config() -> StoreConfig {
    StoreConfig::new(Name::new("receipts").unwrap())
}

pub async fn store(server: &NatsServer) -> JetStreamStore {
    store_at(&server.url(), config()).await
}

pub async fn store_at(url: &str, config: StoreConfig) -> JetStreamStore {
    JetStreamStore::open(connect(url).await, config).await.unwrap()
}

/// Quick to notice what goes wrong.
pub fn hasty() -> StoreConfig {
    config().ack_timeout(Duration::from_millis(300)).lookup_timeout(Duration::from_millis(500))
}

pub fn receipt(id: &str) -> AggregateId {
    AggregateId::new("receipt", id).unwrap()
}

/// The events of a new command.
pub fn events(aggregate: &AggregateId, count: usize) -> Vec<NewEvent> {
    events_with(aggregate, count, "{}")
}

pub fn events_with(aggregate: &AggregateId, count: usize, data: &str) -> Vec<NewEvent> {
    let command = CommandId::generate();
    let metadata = Arc::new(Metadata::new(command.clone()));
    let event = |place| NewEvent {
        id: EventId::derive(&command, aggregate, place),
        name: Name::new(["item-added", "item-removed"][place % 2]).unwrap(),
        schema_version: 1,
        time: Utc::now().trunc_subsecs(6),
        content_type: JSON.into(),
        data: Bytes::copy_from_slice(data.as_bytes()),
        metadata: Arc::clone(&metadata),
    };
    (0..count).map(event).collect()
}

pub async fn try_append(
    store: &JetStreamStore,
    aggregate: &AggregateId,
    head: &Head,
    events: &[NewEvent],
) -> Result<Appended, AppendError> {
    let append = Append { aggregate: aggregate.clone(), head: head.clone(), events: events.to_vec() };
    store.append(append).await
}

pub async fn append(store: &JetStreamStore, aggregate: &AggregateId, head: &Head, count: usize) -> Head {
    try_append(store, aggregate, head, &events(aggregate, count)).await.unwrap().head
}

pub async fn history(store: &JetStreamStore, aggregate: &AggregateId) -> History {
    store.read(aggregate, ReadOptions::all()).await.unwrap()
}

/// The ids of what is stored, in order.
pub async fn stored_ids(store: &JetStreamStore, aggregate: &AggregateId) -> Vec<EventId> {
    history(store, aggregate).await.events.iter().map(|event| event.event.id).collect()
}

pub fn ids(events: &[NewEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

/// The error with its causes.
pub fn story(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
