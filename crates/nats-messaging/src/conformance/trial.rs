//! One run of one case: a transport, a stream nobody else has, and the steps that the cases share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::under_test::{Streams, Transport};
use crate::consume::{ConsumeError, ConsumerConfig, Delivery, Subscription};
use crate::message::Message;
use crate::publish::{PublishError, Published};

/// How long one thing may take that is to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it is waited for what is not to happen.
const QUIET: Duration = Duration::from_millis(300);

/// One run of one case.
pub(super) struct Trial {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) streams: Arc<dyn Streams>,
    name: String,
}

impl Trial {
    pub(super) fn new(transport: Arc<dyn Transport>, streams: Arc<dyn Streams>) -> Self {
        Self { transport, streams, name: format!("t{}", Uuid::new_v4().simple()) }
    }

    /// The name of the run's stream.
    pub(super) fn stream(&self) -> String {
        self.name.to_uppercase()
    }

    /// A subject that only this run uses.
    pub(super) fn subject(&self, rest: &str) -> String {
        format!("{}.{rest}", self.name)
    }

    /// Declares the run's stream, which takes all of its subjects.
    pub(super) async fn declare(&self) {
        self.declare_for(&[">"], Duration::from_secs(120)).await;
    }

    pub(super) async fn declare_for(&self, subjects: &[&str], duplicate_window: Duration) {
        let subjects = subjects.iter().map(|rest| self.subject(rest)).collect();
        self.streams.declare(self.stream(), subjects, duplicate_window).await;
    }

    pub(super) fn message(&self, rest: &str, body: &str) -> Message {
        Message::new(self.subject(rest), body.to_owned())
    }

    pub(super) async fn try_publish(&self, message: Message) -> Result<Published, PublishError> {
        self.transport.send(message, soon()).await?.await
    }

    pub(super) async fn publish(&self, rest: &str, body: &str) -> Published {
        self.try_publish(self.message(rest, body)).await.expect("the stream takes it")
    }

    /// A consumer of the run's stream.
    pub(super) fn consumer(&self, durable: &str) -> ConsumerConfig {
        ConsumerConfig::new(self.stream(), durable)
    }

    pub(super) async fn open(&self, config: ConsumerConfig) -> Subscription {
        self.transport.open(config).await.expect("the consumer can be had")
    }

    pub(super) async fn open_all(&self) -> Subscription {
        self.open(self.consumer("all")).await
    }
}

/// The deadline of what should work at once.
pub(super) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// The next message.
pub(super) async fn next(subscription: &mut Subscription) -> Delivery {
    match try_next(subscription).await {
        Some(Ok(delivery)) => delivery,
        Some(Err(error)) => panic!("a message was to come, not: {error:?}"),
        None => panic!("a message was to come, not the end"),
    }
}

/// The next message, acknowledged.
pub(super) async fn take(subscription: &mut Subscription) -> Delivery {
    let delivery = next(subscription).await;
    delivery.double_ack(PATIENCE).await.expect("the server takes the acknowledgement");
    delivery
}

pub(super) async fn try_next(subscription: &mut Subscription) -> Option<Result<Delivery, ConsumeError>> {
    let in_time = timeout(PATIENCE, subscription.deliveries.next()).await;
    in_time.expect("something was to come from the consumer")
}

/// Nothing comes.
pub(super) async fn expect_nothing(subscription: &mut Subscription) {
    if let Ok(came) = timeout(QUIET, subscription.deliveries.next()).await {
        panic!("nothing was to come, not: {came:?}");
    }
}

/// The body as text.
pub(super) fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.message.body).into_owned()
}
