//! One JetStream consumer of a subscription, from its creation to the first sign that it is no longer whole.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use headwater_core::store::StoreError;
use headwater_nats::connect::ConnectionStatus;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use super::position::Position;
use crate::api::{self, ApiError};
use crate::journal::Journal;

/// The most messages asked for at once; half as many are asked for again when half have come. Each request costs both ends
/// as much as fifty messages, so that with 500 a journal is read at four fifths of the rate (2.15.1).
const MOST_PULLED: u64 = 5000;

/// The most bytes of messages asked for at once: whatever the size of events, a subscription holds little more than twice
/// that. It is larger than any one message.
const MOST_BYTES: u64 = 64 << 20;

/// How long the server keeps a request for messages.
const PULL_EXPIRES: Duration = Duration::from_secs(30);

/// How often the server says that it is there while it has no messages.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// After how long without a sign of life the server is taken for gone.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a consumer outlives its last request, when nobody deletes it.
const ABANDONED_AFTER: Duration = Duration::from_secs(120);

/// A consumer, and the inbox it delivers to.
pub(super) struct Consumer {
    generation: u64,
    client: async_nats::Client,
    /// Every change since the consumer was made counts, also one while nobody asked for messages.
    connection: watch::Receiver<ConnectionStatus>,
    inbox: String,
    messages: Subscriber,
    next_subject: String,
    delete_subject: String,
    /// Deliveries so far.
    delivered: u64,
    /// Messages asked for that have not come.
    outstanding: u64,
    /// Messages asked for at once.
    batch: u64,
}

/// Why a consumer was not made.
pub(super) enum Unmade {
    /// Trying again may help.
    ForNow(StoreError),
    /// Nothing will help.
    ForGood(StoreError),
}

impl Unmade {
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::ForNow(error) | Self::ForGood(error) => error,
        }
    }
}

/// What comes out of a consumer.
pub(super) enum Delivery {
    Message(Delivered),
    /// It has come to its end, or something was missed: another one has to be made.
    Broken(&'static str),
}

/// A message of the journal.
pub(super) struct Delivered {
    pub(super) sequence: u64,
    pub(super) message: Message,
}

impl Consumer {
    pub(super) async fn create(journal: &Journal, filter: &[String], position: &Position) -> Result<Self, Unmade> {
        let name = format!("headwater-{}", Uuid::new_v4().simple());
        let (stream, api) = (&journal.stream, &journal.api);
        let connection = api.connection.statuses();
        let (generation, client) = api.connection.current();
        let inbox = client.new_inbox();
        let failed = |error| Unmade::ForNow(StoreError::new("the client cannot subscribe").caused_by(error));
        let messages = client.subscribe(inbox.clone()).await.map_err(failed)?;
        let mut consumer = Self {
            generation,
            client,
            connection,
            inbox,
            messages,
            next_subject: api.subject(&format!("CONSUMER.MSG.NEXT.{stream}.{name}")),
            delete_subject: api.subject(&format!("CONSUMER.DELETE.{stream}.{name}")),
            delivered: 0,
            outstanding: 0,
            batch: batch(api.connection.subscription_capacity()),
        };
        let mut subject = api.subject(&format!("CONSUMER.CREATE.{stream}.{name}"));
        // With the filter in the subject a user can be held to it by permissions.
        if let [only] = filter {
            subject = format!("{subject}.{only}");
        }
        let request = json!({ "stream_name": stream, "config": settings(&name, filter, position) });
        let limit = journal.config.lookup_timeout.get();
        let answer = api.request(subject, None, Bytes::from(request.to_string()), limit).await;
        let answer = answer.map_err(|none| Unmade::ForNow(none.into()))?;
        match api::parse::<Created>(&answer.payload).map_err(Unmade::ForNow)? {
            Ok(_) => consumer.pull(consumer.batch).await?,
            Err(error) => return Err(refused(error)),
        }
        Ok(consumer)
    }

    /// The next message.
    pub(super) async fn next(&mut self, journal: &Journal) -> Delivery {
        loop {
            let message = match self.arrival().await {
                Ok(Some(message)) => message,
                Ok(None) => {
                    journal.api.connection.report_dead(self.generation);
                    return Delivery::Broken("the subscription ended");
                }
                Err(why) => return Delivery::Broken(why),
            };
            match self.look_at(message) {
                Seen::Message(delivered) => {
                    if self.outstanding <= self.batch / 2 && self.pull(self.batch.div_ceil(2)).await.is_err() {
                        return Delivery::Broken("the client is gone");
                    }
                    return Delivery::Message(delivered);
                }
                Seen::StillThere => {}
                Seen::PullOver => {
                    if self.outstanding <= self.batch / 2 && self.pull(self.batch).await.is_err() {
                        return Delivery::Broken("the client is gone");
                    }
                }
                Seen::Broken(why) => return Delivery::Broken(why),
            }
        }
    }

    /// The next message at the inbox, or why none will come.
    async fn arrival(&mut self) -> Result<Option<Message>, &'static str> {
        // Messages under way when the connection dropped are lost, and nobody delivers them again.
        if self.connection.has_changed().unwrap_or(true) {
            return Err("the connection dropped");
        }
        // While messages are there, a timer for each would be a good part of its cost.
        if let Some(message) = self.messages.next().now_or_never() {
            return Ok(message);
        }
        tokio::select! {
            biased;
            _ = self.connection.changed() => Err("the connection dropped"),
            next = timeout(SILENCE, self.messages.next()) => next.map_err(|_| "the server has gone silent"),
        }
    }

    fn look_at(&mut self, message: Message) -> Seen {
        match message.status.map(|status| status.as_u16()) {
            Some(100) => Seen::StillThere,
            Some(404 | 408) => self.pull_over(&message),
            Some(409) if is_full(&message) => self.pull_over(&message),
            Some(503) => Seen::Broken("nobody serves the consumer"),
            Some(_) => Seen::Broken("the consumer has come to its end"),
            None => match place(&message) {
                Some((sequence, delivered)) if delivered == self.delivered + 1 => {
                    self.delivered = delivered;
                    self.outstanding = self.outstanding.saturating_sub(1);
                    Seen::Message(Delivered { sequence, message })
                }
                Some(_) => Seen::Broken("a message was missed"),
                None => Seen::Broken("a message came that the consumer did not send"),
            },
        }
    }

    fn pull_over(&mut self, message: &Message) -> Seen {
        self.outstanding = self.outstanding.saturating_sub(undelivered(message).unwrap_or(self.batch));
        Seen::PullOver
    }

    async fn pull(&mut self, batch: u64) -> Result<(), Unmade> {
        let request = json!({
            "batch": batch,
            "max_bytes": MOST_BYTES,
            "expires": nanoseconds(PULL_EXPIRES),
            "idle_heartbeat": nanoseconds(HEARTBEAT),
        });
        let request = Bytes::from(request.to_string());
        let sent = self.client.publish_with_reply(self.next_subject.clone(), self.inbox.clone(), request).await;
        self.outstanding += batch;
        sent.map_err(|error| Unmade::ForNow(StoreError::new("the client cannot send").caused_by(error)))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Only if there is room in the client's queue; otherwise the server forgets the consumer by itself.
        let deleted = self.client.publish(std::mem::take(&mut self.delete_subject), Bytes::new());
        let _ = deleted.now_or_never();
    }
}

/// What a message at the inbox is.
enum Seen {
    Message(Delivered),
    StillThere,
    PullOver,
    Broken(&'static str),
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "name")]
    _name: String,
}

fn settings(name: &str, filter: &[String], position: &Position) -> Value {
    let mut settings = json!({
        "name": name,
        "ack_policy": "none",
        "replay_policy": "instant",
        "max_deliver": 1,
        "mem_storage": true,
        "num_replicas": 1,
        "inactive_threshold": nanoseconds(ABANDONED_AFTER),
    });
    match filter {
        [only] => settings["filter_subject"] = json!(only),
        several => settings["filter_subjects"] = json!(several),
    }
    if let (Value::Object(settings), Value::Object(start)) = (&mut settings, position.to_json()) {
        settings.extend(start);
    }
    settings
}

/// A refusal of JetStream's on the way to a consumer.
pub(super) fn refused(error: ApiError) -> Unmade {
    let transient = error.is_transient();
    let error = StoreError::new("JetStream does not serve the subscription").caused_by(error);
    if transient { Unmade::ForNow(error) } else { Unmade::ForGood(error) }
}

/// The stream sequence of a message and the number of its delivery, from the reply subject that JetStream gave it:
/// `$JS.ACK.{stream}.{consumer}.{tries}.{sequence}.{delivery}.{time}.{pending}`, with `{domain}.{account}` before the
/// stream and a token after the rest in its newer form.
fn place(message: &Message) -> Option<(u64, u64)> {
    let mut tokens = message.reply.as_ref()?.strip_prefix("$JS.ACK.")?.split('.');
    let mut rest = [""; 9];
    let mut count = 0;
    for (place, token) in rest.iter_mut().zip(&mut tokens) {
        *place = token;
        count += 1;
    }
    let (sequence, delivery) = match count {
        7 => (rest[3], rest[4]),
        9 => (rest[5], rest[6]),
        _ => return None,
    };
    Some((sequence.parse().ok()?, delivery.parse().ok()?))
}

/// How many messages to ask for at once, so that with half as many again there is room for all and for a sign of life.
fn batch(capacity: usize) -> u64 {
    (capacity as u64 * 5 / 8).clamp(1, MOST_PULLED)
}

/// Whether a request is over because of its limit of bytes.
fn is_full(message: &Message) -> bool {
    message.description.as_deref().is_some_and(|why| why.contains("MaxBytes") || why.contains("Batch Completed"))
}

/// How many messages of a request that is over did not come.
fn undelivered(message: &Message) -> Option<u64> {
    message.headers.as_ref()?.get("Nats-Pending-Messages")?.as_str().parse().ok()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
