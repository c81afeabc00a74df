//! A journal written by hand, and handlers that note what they were shown: what the tests of readers share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream;
use chrono::Utc;
use headwater_core::{
    AggregateId, CommandId, EventId, JSON, Metadata, Name, NewEvent, RecordedEvent, Revision, Sequence,
};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats::event::{self, Previous};
use headwater_nats::subject::Subjects;
use headwater_nats_client::RetryPolicy;
use headwater_nats_client::durable::{Delivery, DurableReader, DurableReaderBuilder};
use headwater_testkit::{TestServer, wait_until};
use serde_json::{Value, json};

pub const LONG: Duration = Duration::from_secs(30);
pub const MS: Duration = Duration::from_millis(1);

pub fn name(text: &'static str) -> Name {
    Name::new(text).unwrap()
}

pub fn receipt(id: &str) -> AggregateId {
    AggregateId::new("receipt", id).unwrap()
}

pub async fn connect(url: &str) -> Connection {
    Connection::connect(&NatsConfig::new(url)).await.unwrap()
}

/// A reader that takes over fast, and tries again fast.
pub fn reader(connection: Connection, name: &'static str) -> DurableReaderBuilder {
    DurableReader::builder(connection, self::name("receipts"), self::name(name))
        .takeover_after(1000 * MS)
        .retry(RetryPolicy::default().attempts(50).first_pause(5 * MS).longest_pause(20 * MS))
}

/// A server with a journal.
pub async fn world() -> (TestServer, Journal) {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    (server, journal)
}

/// The journal of the service `receipts`, and who writes it.
pub struct Journal {
    pub client: async_nats::Client,
    jetstream: jetstream::Context,
    subjects: Subjects,
    /// The places of each aggregate's events, newest first.
    places: Mutex<HashMap<AggregateId, Vec<Sequence>>>,
}

impl Journal {
    pub async fn create(url: &str) -> Self {
        let journal = Self::open(url).await;
        journal.make().await;
        journal
    }

    pub async fn open(url: &str) -> Self {
        Self::over(async_nats::connect(url).await.unwrap())
    }

    pub fn over(client: async_nats::Client) -> Self {
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(500 * MS);
        Self { client, jetstream, subjects: Subjects::new(name("receipts")), places: Mutex::default() }
    }

    pub async fn make(&self) {
        let stream = json!({
            "name": "RECEIPTS_JOURNAL", "subjects": ["receipts.journal.>"], "storage": "file", "discard": "new",
            "allow_direct": true, "allow_atomic": true,
        });
        let answer = self.api("STREAM.CREATE.RECEIPTS_JOURNAL", &stream).await;
        assert!(answer.get("error").is_none(), "{answer}");
    }

    /// Deletes the journal, and forgets what was in it.
    pub async fn delete(&self) {
        self.places.lock().unwrap().clear();
        assert_eq!(self.api("STREAM.DELETE.RECEIPTS_JOURNAL", &Value::Null).await["success"], true);
    }

    pub async fn api(&self, rest: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.client.request(format!("$JS.API.{rest}"), body.into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    /// What the server says of a durable.
    pub async fn consumer(&self, reader: &str) -> Value {
        self.api(&format!("CONSUMER.INFO.RECEIPTS_JOURNAL.{reader}"), &Value::Null).await
    }

    pub async fn delete_consumer(&self, reader: &str) {
        let answer = self.api(&format!("CONSUMER.DELETE.RECEIPTS_JOURNAL.{reader}"), &Value::Null).await;
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// Appends an event of the receipt `id`.
    pub async fn append(&self, id: &str, event: &'static str) -> Sequence {
        self.append_to(&receipt(id), event, "{}").await
    }

    pub async fn append_to(&self, aggregate: &AggregateId, event: &'static str, data: &str) -> Sequence {
        let places = self.places.lock().unwrap().get(aggregate).cloned().unwrap_or_default();
        let sequence = self.append_as(aggregate, places.len() as u64 + 1, &places, event, data).await;
        self.places.lock().unwrap().entry(aggregate.clone()).or_default().insert(0, sequence);
        sequence
    }

    /// Appends an event of any revision, right or wrong, that names these places before it.
    pub async fn append_as(
        &self,
        aggregate: &AggregateId,
        revision: u64,
        places: &[Sequence],
        event: &'static str,
        data: &str,
    ) -> Sequence {
        let revision = Revision::new(revision);
        let command = CommandId::generate();
        let event = NewEvent {
            id: EventId::derive(&command, aggregate, 0),
            name: name(event),
            schema_version: 1,
            time: Utc::now(),
            content_type: JSON.into(),
            data: data.to_owned().into(),
            metadata: Arc::new(Metadata::new(command)),
        };
        let previous: Vec<_> = places.iter().map(|place| Previous::At(*place)).collect();
        let body = event::encode(self.subjects.service(), aggregate, revision, &event, &previous);
        self.store(self.subjects.journal(aggregate, &event.name), body, &event.id.to_string()).await
    }

    /// Appends `rounds` events to each of these receipts, in turns.
    pub async fn append_rounds(&self, ids: &[&str], rounds: u64) {
        for _ in 0..rounds {
            for id in ids {
                self.append(id, "item-added").await;
            }
        }
    }

    /// Stores whatever it is given.
    pub async fn publish(&self, subject: &str, body: &'static str) -> Sequence {
        self.store(subject.to_owned(), body.into(), &CommandId::generate().to_string()).await
    }

    /// A server that is away is waited for, and what it has stored already it recognises by the id.
    async fn store(&self, subject: String, body: bytes::Bytes, id: &str) -> Sequence {
        let stored = async || {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", id);
            let publish = self.jetstream.publish_with_headers(subject.clone(), headers, body.clone());
            Some(Sequence::new(publish.await.ok()?.await.ok()?.sequence))
        };
        wait_until(LONG, "an acknowledgement", stored).await
    }

    /// How many events each receipt has.
    pub fn revisions(&self) -> HashMap<String, u64> {
        let places = self.places.lock().unwrap();
        places.iter().map(|(aggregate, places)| (aggregate.id().to_owned(), places.len() as u64)).collect()
    }
}

/// What handlers were shown and handled, in order.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(String, u64)>>>);

impl Log {
    pub fn note(&self, event: &RecordedEvent) {
        self.0.lock().unwrap().push((event.aggregate.id().to_owned(), event.revision.get()));
    }

    pub fn entries(&self) -> Vec<(String, u64)> {
        self.0.lock().unwrap().clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The revisions of one receipt, in the order they were handled in.
    pub fn of(&self, id: &str) -> Vec<u64> {
        self.entries().into_iter().filter(|(noted, _)| noted == id).map(|(_, revision)| revision).collect()
    }

    pub async fn until(&self, count: usize) {
        let what = format!("{count} events to be handled");
        wait_until(LONG, &what, async || (self.len() >= count).then_some(())).await;
    }

    /// Every event of the journal was handled, once, and in the order of its aggregate.
    pub fn assert_whole(&self, journal: &Journal) {
        for (id, revisions) in journal.revisions() {
            assert_eq!(self.of(&id), (1..=revisions).collect::<Vec<_>>(), "{id}");
        }
    }

    /// The same, but for events that came again after they were handled: leaving those out, nothing is missing or out
    /// of order.
    pub fn assert_whole_but_for_repeats(&self, journal: &Journal) {
        for (id, revisions) in journal.revisions() {
            let mut next = 1;
            for revision in self.of(&id) {
                assert!(revision <= next, "{id}: revision {revision} came before {next}: {:?}", self.of(&id));
                next = next.max(revision + 1);
            }
            assert_eq!(next, revisions + 1, "{id}");
        }
    }

    /// A handler that notes what it is shown.
    pub fn handler(
        &self,
    ) -> impl Fn(Delivery<RecordedEvent>) -> std::future::Ready<Result<(), String>> + Send + Sync + 'static {
        let log = self.clone();
        move |delivery| {
            log.note(&delivery.event);
            std::future::ready(Ok(()))
        }
    }
}
