//! A journal of wallets with events put into it as older programs wrote them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use headwater_core::client::AggregateClient;
use headwater_core::dispatch::{Dispatcher, DispatcherBuilder};
use headwater_core::store::{Append, EventStore, Freshness, MemorySnapshots, MemoryStore};
use headwater_core::{AggregateId, CommandId, EventId, JSON, Metadata, Name, NewEvent};
use serde::Deserialize;
use serde_json::Value;

use crate::wallet::Wallet;

/// An event as the journal holds it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredData {
    pub name: String,
    pub schema_version: u32,
    pub data: Value,
}

#[derive(Debug, Clone, Default)]
pub struct Journal {
    store: MemoryStore,
    snapshots: MemorySnapshots,
}

impl Journal {
    /// Appends the events to the wallet `w-1`, in appends of these sizes, over and over.
    pub async fn store(&self, events: &[StoredData], sizes: &[usize]) {
        let aggregate = AggregateId::new("wallet", "w-1").unwrap();
        let mut sizes = sizes.iter().copied().cycle();
        let mut left = events;
        while !left.is_empty() {
            let (now, later) = left.split_at(sizes.next().unwrap().clamp(1, left.len()));
            let command = CommandId::generate();
            let metadata = Arc::new(Metadata::new(command.clone()));
            let events = now.iter().enumerate().map(|(place, event)| NewEvent {
                id: EventId::derive(&command, &aggregate, place),
                name: Name::new(event.name.clone()).unwrap(),
                schema_version: event.schema_version,
                time: Utc::now(),
                content_type: JSON.into(),
                data: Bytes::from(serde_json::to_vec(&event.data).unwrap()),
                metadata: Arc::clone(&metadata),
            });
            let head = self.store.head(&aggregate, Freshness::Leader).await.unwrap();
            let append = Append { aggregate: aggregate.clone(), head, events: events.collect() };
            self.store.append(append).await.unwrap();
            left = later;
        }
    }

    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// An instance that has nothing in memory and knows no snapshots.
    pub fn wallets(&self) -> AggregateClient<Wallet> {
        AggregateClient::new(self.builder().build().unwrap())
    }

    /// An instance that has nothing in memory and uses snapshots.
    pub fn with_snapshots(&self) -> (Dispatcher, AggregateClient<Wallet>) {
        let dispatcher = self.builder().snapshots(self.snapshots.clone()).build().unwrap();
        (dispatcher.clone(), AggregateClient::new(dispatcher))
    }

    fn builder(&self) -> DispatcherBuilder {
        Dispatcher::builder(self.store.clone()).aggregate::<Wallet>()
    }
}
