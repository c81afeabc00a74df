//! Everything an instance listens to on one client.

use async_nats::{Client, SubscribeError, Subscriber};
use futures_util::stream::SelectAll;

use crate::control::{own_subjects, shared_subjects};
use crate::instance::Instance;
use crate::requests::Requests;

/// Everything an instance listens to on one client.
pub(crate) struct Subscriptions {
    /// Commands and queries; none for an instance that has left its queue group.
    pub(crate) requests: Vec<Requests>,
    /// Discovery, health, statistics and the contract.
    pub(crate) questions: SelectAll<Subscriber>,
}

impl Subscriptions {
    /// Subscribes to everything, requests only when `listening`. They come last: when they can come, the rest is in place.
    pub(crate) async fn make(instance: &Instance, client: &Client, listening: bool) -> Result<Self, SubscribeError> {
        let mut questions = SelectAll::new();
        for subject in own_subjects(instance.name().as_str(), &instance.id) {
            questions.push(client.subscribe(subject).await?);
        }
        for subject in shared_subjects(&instance.subjects) {
            questions.push(subscribe(instance, client, subject).await?);
        }
        let requests = if listening { Self::requests(instance, client).await? } else { Vec::new() };
        Ok(Self { requests, questions })
    }

    /// Subscribes to requests, commands last.
    pub(crate) async fn requests(instance: &Instance, client: &Client) -> Result<Vec<Requests>, SubscribeError> {
        let queries = subscribe(instance, client, instance.subjects.queries()).await?;
        let commands = subscribe(instance, client, instance.subjects.commands()).await?;
        Ok([commands, queries].map(|subscriber| Requests::new(subscriber, client)).into())
    }
}

async fn subscribe(instance: &Instance, client: &Client, subject: String) -> Result<Subscriber, SubscribeError> {
    match &instance.queue_group {
        Some(group) => client.queue_subscribe(subject, group.clone()).await,
        None => client.subscribe(subject).await,
    }
}
