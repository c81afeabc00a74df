//! What the tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod measured;
pub mod scripted;
pub mod working;

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_messaging::conformance::Streams;
use headwater_nats_messaging::consume::{Delivery, Subscription};
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::{Publish, PublishError, Published};
use headwater_testkit::NatsServer;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// How long one thing may take that is to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn connect(url: &str) -> Connection {
    Connection::connect(&NatsConfig::new(url)).await.unwrap()
}

pub async fn jetstream(server: &NatsServer) -> JetStream {
    // Quick to notice what goes wrong.
    JetStream::new(connect(&server.url()).await).heartbeat(Duration::from_millis(300))
}

/// What a user of JetStream's own interface sees and does.
#[derive(Debug, Clone)]
pub struct Raw(pub async_nats::Client);

impl Raw {
    pub async fn connect(url: &str) -> Self {
        Self(async_nats::connect(url).await.unwrap())
    }

    /// Asks JetStream's API, and expects it to say yes.
    pub async fn api(&self, rest: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.0.request(format!("$JS.API.{rest}"), body.into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer.get("error").is_none(), "{rest}: {answer}");
        answer
    }

    pub async fn declare(&self, name: &str, subjects: &[&str]) {
        self.declare_as(name, json!({ "subjects": subjects })).await;
    }

    pub async fn declare_as(&self, name: &str, config: Value) {
        let mut wanted = json!({ "name": name, "storage": "file", "num_replicas": 1 });
        wanted.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        self.api(&format!("STREAM.CREATE.{name}"), wanted).await;
    }

    pub async fn messages(&self, stream: &str) -> u64 {
        self.api(&format!("STREAM.INFO.{stream}"), Value::Null).await["state"]["messages"].as_u64().unwrap()
    }
}

impl Streams for Raw {
    fn declare(&self, name: String, subjects: Vec<String>, duplicate_window: Duration) -> BoxFuture<'_, ()> {
        let window = u64::try_from(duplicate_window.as_nanos()).unwrap();
        async move {
            self.declare_as(&name, json!({ "subjects": subjects, "duplicate_window": window, "storage": "memory" }))
                .await;
        }
        .boxed()
    }

    fn delete_consumer(&self, stream: String, consumer: String) -> BoxFuture<'_, ()> {
        async move {
            self.api(&format!("CONSUMER.DELETE.{stream}.{consumer}"), Value::Null).await;
        }
        .boxed()
    }
}

pub async fn publish(to: &impl Publish, message: Message) -> Result<Published, PublishError> {
    to.send(message, Instant::now() + PATIENCE).await?.await
}

/// Publishes these numbers, many under way at once.
pub async fn publish_numbers(to: &impl Publish, subject: &str, numbers: std::ops::Range<u64>) {
    let mut under_way = VecDeque::new();
    for number in numbers {
        let message = Message::new(subject, number.to_string());
        under_way.push_back(to.send(message, Instant::now() + PATIENCE).await.unwrap());
        if under_way.len() > 1_000 {
            under_way.pop_front().unwrap().await.unwrap();
        }
    }
    for acknowledgement in under_way {
        acknowledgement.await.unwrap();
    }
}

/// The next message; trouble on the way there is put up with.
pub async fn next(subscription: &mut Subscription) -> Delivery {
    let coming = async {
        loop {
            match subscription.deliveries.next().await {
                Some(Ok(delivery)) => return delivery,
                Some(Err(headwater_nats_messaging::consume::ConsumeError::Unavailable { .. })) => {}
                other => panic!("a message was to come, not: {other:?}"),
            }
        }
    };
    timeout(PATIENCE, coming).await.expect("a message was to come in time")
}

pub fn number(delivery: &Delivery) -> u64 {
    std::str::from_utf8(&delivery.message.body).unwrap().parse().unwrap()
}
