//! The subscriptions of one client, and the tasks that read them.

use std::sync::Arc;

use async_nats::{Client, Message, SubscribeError, Subscriber};
use futures_util::stream::{SelectAll, Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::control::{own_subjects, shared_subjects};
use crate::instance::Instance;

/// Everything an instance listens to on one client.
pub(crate) struct Subscriptions {
    pub(crate) commands: Subscriber,
    pub(crate) queries: Subscriber,
    /// Discovery, health, statistics and the contract.
    pub(crate) questions: SelectAll<Subscriber>,
}

impl Subscriptions {
    /// Subscribes to everything. Commands come last: when they can come, the rest is in place.
    pub(crate) async fn make(instance: &Instance, client: &Client) -> Result<Self, SubscribeError> {
        let mut questions = SelectAll::new();
        let own = own_subjects(instance.name().as_str(), &instance.id).unwrap_or_default();
        for subject in own {
            questions.push(client.subscribe(subject).await?);
        }
        for subject in shared_subjects(&instance.subjects) {
            questions.push(subscribe(instance, client, subject).await?);
        }
        let queries = subscribe(instance, client, instance.subjects.queries()).await?;
        let commands = subscribe(instance, client, instance.subjects.commands()).await?;
        Ok(Self { commands, queries, questions })
    }
}

async fn subscribe(instance: &Instance, client: &Client, subject: String) -> Result<Subscriber, SubscribeError> {
    match &instance.queue_group {
        Some(group) => client.queue_subscribe(subject, group.clone()).await,
        None => client.subscribe(subject).await,
    }
}

/// Something that brings messages and can be told to bring no new ones.
pub(crate) trait Source: Stream<Item = Message> + Unpin + Send + 'static {
    /// Unsubscribes; what has been sent already still comes, then the stream ends.
    fn leave(&mut self) -> impl Future<Output = ()> + Send;
}

impl Source for Subscriber {
    async fn leave(&mut self) {
        if self.drain().await.is_err() {
            tracing::debug!("the client of a subscription is gone; what it had delivered is still read");
        }
    }
}

impl Source for SelectAll<Subscriber> {
    async fn leave(&mut self) {
        for subscriber in self.iter_mut() {
            subscriber.leave().await;
        }
    }
}

/// Reads `source` until it ends, and tells it to when `leave` says so.
pub(crate) async fn read(
    instance: Arc<Instance>,
    mut source: impl Source,
    leave: CancellationToken,
    take: impl Fn(&Arc<Instance>, &Message) + Send + 'static,
) {
    let mut left = std::pin::pin!(leave.cancelled());
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            message = source.next() => match message {
                Some(message) => guarded(&instance, || take(&instance, &message)),
                None => return,
            },
            () = &mut left, if !leaving => {
                leaving = true;
                source.leave().await;
            }
        }
    }
}

/// Whatever happens with one message must not keep the next from being taken in.
fn guarded(instance: &Instance, take: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(take)).is_err() {
        tracing::error!(service = %instance.name(), instance = instance.id, "taking a request in panicked");
    }
}
