//! Everything an instance listens to on one client.

use async_nats::{Client, SubscribeError, Subscriber};
use futures_util::stream::SelectAll;

use crate::control::{own_subjects, shared_subjects};
use crate::instance::Instance;
use crate::requests::Requests;

/// Everything an instance listens to on one client.
pub(crate) struct Subscriptions {
    pub(crate) commands: Requests,
    pub(crate) queries: Requests,
    /// Discovery, health, statistics and the contract.
    pub(crate) questions: SelectAll<Subscriber>,
}

impl Subscriptions {
    /// Subscribes to everything. Commands come last: when they can come, the rest is in place.
    pub(crate) async fn make(instance: &Instance, client: &Client) -> Result<Self, SubscribeError> {
        let mut questions = SelectAll::new();
        for subject in own_subjects(instance.name().as_str(), &instance.id) {
            questions.push(client.subscribe(subject).await?);
        }
        for subject in shared_subjects(&instance.subjects) {
            questions.push(subscribe(instance, client, subject).await?);
        }
        let queries = subscribe(instance, client, instance.subjects.queries()).await?;
        let commands = subscribe(instance, client, instance.subjects.commands()).await?;
        let [commands, queries] = [commands, queries].map(|subscriber| Requests::new(subscriber, client));
        Ok(Self { commands, queries, questions })
    }
}

async fn subscribe(instance: &Instance, client: &Client, subject: String) -> Result<Subscriber, SubscribeError> {
    match &instance.queue_group {
        Some(group) => client.queue_subscribe(subject, group.clone()).await,
        None => client.subscribe(subject).await,
    }
}
