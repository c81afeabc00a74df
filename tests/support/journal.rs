//! What is stored, read without any code of the toolkit.

use std::collections::BTreeMap;

use async_nats::jetstream::{self, stream::Stream};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;

/// The JetStream stream of the receipts' journal.
pub const STREAM: &str = "RECEIPTS_JOURNAL";

/// Messages read at the same time.
const READ_AT_ONCE: usize = 64;

/// The journal, looked at from outside.
#[derive(Debug, Clone)]
pub struct Journal {
    client: Client,
}

/// One stored message.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where it was published.
    pub subject: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// All headers that are stored with it.
    pub headers: HeaderMap,
    /// The body as JSON.
    pub body: Value,
    /// The body as it is.
    pub raw: Bytes,
}

impl Journal {
    /// The journal as this connection sees it.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The connection, for acting as another program would.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// JetStream's own answer about the stream: its configuration and its state.
    pub async fn info(&self) -> Value {
        self.api("STREAM.INFO", Value::Null).await
    }

    /// A request about the stream to JetStream's API.
    ///
    /// # Panics
    /// When it is answered with an error.
    pub async fn api(&self, verb: &str, body: Value) -> Value {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = self.client.request(format!("$JS.API.{verb}.{STREAM}"), body).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer.get("error").is_none(), "{verb}: {answer:#}");
        answer
    }

    /// Changes some members of the stream's configuration.
    pub async fn reconfigure(&self, change: impl FnOnce(&mut Value)) {
        let mut config = self.info().await["config"].take();
        change(&mut config);
        self.api("STREAM.UPDATE", config).await;
    }

    /// How many messages are stored.
    pub async fn count(&self) -> u64 {
        self.info().await["state"]["messages"].as_u64().unwrap()
    }

    /// Everything that is stored, oldest first.
    pub async fn all(&self) -> Vec<Stored> {
        let stream: Stream = jetstream::new(self.client.clone()).get_stream(STREAM).await.unwrap();
        let state = &stream.cached_info().state;
        let (first, last) = (state.first_sequence.max(1), state.last_sequence);
        let read = futures_util::stream::iter(first..=last).map(|sequence| {
            let stream = stream.clone();
            async move { stream.get_raw_message(sequence).await.map(Stored::of) }
        });
        read.buffered(READ_AT_ONCE).try_collect().await.unwrap()
    }

    /// What is stored under one id token, oldest first.
    pub async fn of(&self, token: &str) -> Vec<Stored> {
        let mut all = self.all().await;
        all.retain(|stored| stored.token() == token);
        all
    }

    /// Everything that is stored, by id token.
    pub async fn by_aggregate(&self) -> BTreeMap<String, Vec<Stored>> {
        let mut by_token: BTreeMap<String, Vec<Stored>> = BTreeMap::new();
        for stored in self.all().await {
            by_token.entry(stored.token().to_owned()).or_default().push(stored);
        }
        by_token
    }
}

impl Stored {
    fn of(message: jetstream::message::StreamMessage) -> Self {
        Self {
            subject: message.subject.to_string(),
            sequence: message.sequence,
            headers: message.headers,
            body: serde_json::from_slice(&message.payload).unwrap_or_default(),
            raw: message.payload,
        }
    }

    /// The token of the aggregate's id.
    #[must_use]
    pub fn token(&self) -> &str {
        self.subject.split('.').nth(3).unwrap_or_default()
    }

    /// A text in the body; empty when it is not there.
    #[must_use]
    pub fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }

    /// The revision of the event.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.body["revision"].as_u64().unwrap()
    }
}
