//! Everything an instance listens to on one client.

use async_nats::{Client, SubscribeError, Subscriber};
use futures_util::stream::SelectAll;

use crate::control::{own_subjects, shared_subjects};
use crate::instance::Instance;
use crate::requests::{Requests, Share};

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

    /// Subscribes to requests, commands last. What has a queue group of its own also comes by the subscriptions of all, and is
    /// passed over there.
    pub(crate) async fn requests(instance: &Instance, client: &Client) -> Result<Vec<Requests>, SubscribeError> {
        let mut requests = Vec::new();
        for endpoint in instance.endpoints.apart() {
            let subscriber = join(client, endpoint.subject.clone(), endpoint.queue_group.as_ref()).await?;
            requests.push(Requests::new(subscriber, client, Share::One));
        }
        for subject in [instance.subjects.queries(), instance.subjects.commands()] {
            let subscriber = subscribe(instance, client, subject).await?;
            requests.push(Requests::new(subscriber, client, Share::Rest));
        }
        Ok(requests)
    }
}

async fn subscribe(instance: &Instance, client: &Client, subject: String) -> Result<Subscriber, SubscribeError> {
    join(client, subject, instance.queue_group.as_ref()).await
}

async fn join(client: &Client, subject: String, group: Option<&String>) -> Result<Subscriber, SubscribeError> {
    match group {
        Some(group) => client.queue_subscribe(subject, group.clone()).await,
        None => client.subscribe(subject).await,
    }
}
