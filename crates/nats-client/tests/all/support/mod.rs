//! A service that does as it is told, on nothing but async-nats: the other end of the wire for the client's tests.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use headwater_core::call::{
    CallOptions, CommandReply, CommandRequest, EntityReply, GetRequest, RequestMetadata, ReturnMode,
};
use headwater_core::{AggregateId, CommandId, Failure, Name, Revision, Sequence};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats::reply::Served;
use headwater_nats::{header, reply};
use headwater_nats_client::{NatsClient, RetryPolicy};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) async fn connect(url: &str) -> Connection {
    Connection::connect(&NatsConfig::new(url)).await.unwrap()
}

pub(crate) fn receipts() -> Name {
    Name::new("receipts").unwrap()
}

pub(crate) fn order() -> AggregateId {
    AggregateId::new("receipt", "order-1").unwrap()
}

/// A client that tries once.
pub(crate) async fn once(url: &str) -> NatsClient {
    NatsClient::builder(connect(url).await, receipts()).retry(RetryPolicy::none()).build().unwrap()
}

/// A client that tries three times with short pauses.
pub(crate) async fn thrice(url: &str) -> NatsClient {
    let retry = RetryPolicy::default().first_pause(10 * MS);
    NatsClient::builder(connect(url).await, receipts()).retry(retry).build().unwrap()
}

pub(crate) fn within(timeout: Duration) -> CallOptions {
    CallOptions { timeout: Some(timeout), ..CallOptions::default() }
}

pub(crate) fn add_item() -> CommandRequest {
    CommandRequest {
        aggregate: order(),
        command: "add-item".into(),
        payload: Bytes::from_static(br#"{"name":"Coffee"}"#),
        expected_revision: None,
        return_mode: ReturnMode::Entity,
        metadata: RequestMetadata::default(),
    }
}

pub(crate) fn get() -> GetRequest {
    GetRequest {
        aggregate: order(),
        at_revision: None,
        at_time: None,
        min_revision: None,
        metadata: RequestMetadata::default(),
    }
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) subject: String,
    pub(crate) reply: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn command_id(&self) -> &str {
        self.body["metadata"]["commandId"].as_str().unwrap()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn of(body: impl Into<Bytes>) -> Self {
        Self { headers: HeaderMap::new(), body: body.into() }
    }

    pub(crate) fn failure(failure: &Failure) -> Self {
        let body = reply::write_failure(failure, &Served::now("fake"));
        Self { headers: header::of_failure(failure), body: body.into() }
    }

    /// The command was done and left the aggregate at `revision`.
    pub(crate) fn done(request: &Received, revision: u64) -> Self {
        let done = CommandReply {
            aggregate: order(),
            revision: Revision::new(revision),
            sequence: Sequence::new(100 + revision),
            events: Vec::new(),
            state: Some(Bytes::from_static(br#"{"status":"open"}"#)),
            command_id: CommandId::new(request.command_id()).unwrap(),
            correlation_id: None,
            replayed: false,
        };
        Self::of(reply::write_command(&done, &Served::now("fake")))
    }

    pub(crate) fn entity(revision: u64) -> Self {
        let entity = EntityReply {
            aggregate: order(),
            revision: Revision::new(revision),
            sequence: Sequence::new(100 + revision),
            state: Bytes::from_static(br#"{"status":"open"}"#),
        };
        Self::of(reply::write_entity(&entity, &Served::now("fake")))
    }
}

/// Answers requests as a closure says; gone when dropped.
pub(crate) struct Fake {
    pub(crate) received: Arc<Mutex<Vec<Received>>>,
    _task: AbortOnDropHandle<()>,
}

impl Fake {
    /// Serves `subject` at `url`. `answer` is handed each request and its number, from 1, and gives the answers to send:
    /// none, one, or several, each with the reply subject it goes to.
    pub(crate) async fn start(
        url: &str,
        subject: &str,
        mut answer: impl FnMut(usize, &Received) -> Vec<(String, Reply)> + Send + 'static,
    ) -> Self {
        let client = async_nats::connect(url).await.unwrap();
        let mut requests = client.subscribe(subject.to_owned()).await.unwrap();
        headwater_testkit::known_to_server(&client).await;
        // The library's flush does not wait for the server; an echo does.
        round_trip(&client).await;
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Some(message) = requests.next().await {
                let request = read(&message);
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len()
                };
                for (to, Reply { headers, body }) in answer(number, &request) {
                    client.publish_with_headers(to, headers, body).await.unwrap();
                }
                client.flush().await.unwrap();
            }
        });
        Self { received, _task: AbortOnDropHandle::new(task) }
    }

    /// The same with one answer or none.
    pub(crate) async fn answering(
        url: &str,
        subject: &str,
        mut answer: impl FnMut(usize, &Received) -> Option<Reply> + Send + 'static,
    ) -> Self {
        Self::start(url, subject, move |number, request| {
            answer(number, request).map(|reply| (request.reply.clone(), reply)).into_iter().collect()
        })
        .await
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

pub(crate) async fn round_trip(client: &Client) {
    let inbox = client.new_inbox();
    let mut echoes = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    echoes.next().await.unwrap();
}

fn read(message: &Message) -> Received {
    Received {
        subject: message.subject.to_string(),
        reply: message.reply.as_ref().map(ToString::to_string).unwrap_or_default(),
        headers: message.headers.clone().unwrap_or_default(),
        body: serde_json::from_slice(&message.payload).unwrap_or_default(),
    }
}
