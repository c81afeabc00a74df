//! Reading so many messages of a stream through a durable consumer, each decoded and acknowledged by itself, and then ending:
//! by a subscription, by a router's handler, or by a bare pull consumer.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, consumer};
use futures_util::StreamExt;
use headwater::nats::connect::{Connection, NatsConfig};
use headwater_nats_messaging::consume::{Consume, ConsumerConfig};
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::router::{Payload, Route, Router, Shutdown, State};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::Fallible;
use crate::harness::meter::{Mark, Meter};
use crate::harness::world::connect;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How long it may take until the server has taken the last acknowledgements.
const LAST_ONES: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Consuming {
    pub(crate) url: String,
    pub(crate) stream: String,
    /// The consumer's name.
    pub(crate) durable: String,
    pub(crate) messages: u64,
    /// How many are fetched ahead.
    pub(crate) buffer: u32,
    pub(crate) by: By,
}

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    /// A subscription of the port, one message after the other.
    Subscription,
    /// A router's handler that takes the payload as its type, with everything about it as it is by default.
    Router,
    /// A bare pull consumer, one message after the other.
    Hand,
}

/// What a consuming program says at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConsumingSaid {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
}

/// 200 bytes of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) order: u64,
    pub(crate) text: String,
}

impl Consuming {
    pub(super) async fn run(self) -> Fallible<ConsumingSaid> {
        let meter = Meter::new(vec![std::process::id()], Vec::new());
        let consuming = async {
            match self.by {
                By::Subscription => self.by_subscription(&meter).await,
                By::Router => self.by_router(&meter).await,
                By::Hand => self.by_hand(&meter).await,
            }
        };
        let first = timeout(LIMIT, consuming).await.map_err(|_| "the messages were not read in time")??;
        let last = meter.mark()?;
        let seconds = (last.at() - first.at()).as_secs_f64();
        Ok(ConsumingSaid { seconds, cpu_seconds: last.since(&first).programs.as_secs_f64() })
    }

    async fn by_subscription(&self, meter: &Meter) -> Fallible<Mark> {
        let connection = Connection::connect(&NatsConfig::new(&self.url).name("subscription")).await?;
        let mut config = ConsumerConfig::new(&self.stream, &self.durable);
        config.buffer = NonZeroU32::new(self.buffer).ok_or("a buffer of 0")?;
        let first = meter.mark()?;
        let mut subscription = JetStream::new(connection).open(config).await?;
        for number in 0..self.messages {
            let delivery = subscription.deliveries.next().await.ok_or("the subscription ended")??;
            self.check(number, &delivery.message.body)?;
            if number + 1 == self.messages {
                delivery.double_ack(LAST_ONES).await?;
            } else {
                delivery.ack().await?;
            }
        }
        Ok(first)
    }

    async fn by_router(&self, meter: &Meter) -> Fallible<Mark> {
        let connection = Connection::connect(&NatsConfig::new(&self.url).name("router")).await?;
        let buffer = NonZeroU32::new(self.buffer).ok_or("a buffer of 0")?;
        let (durable, read) = (self.durable.clone(), Arc::new(Read::of(self.messages)));
        let route = Route::event("notes.>", take).stream(&self.stream);
        let router = Router::new()
            .service("reader")
            .naming(move |_| durable.clone())
            .route(route.consumer(move |consumer| consumer.buffer = buffer))
            .with_state(Arc::clone(&read));
        let first = meter.mark()?;
        let running = router.start(JetStream::new(connection)).await?;
        read.all.notified().await;
        let ended = running.shutdown(LAST_ONES).await;
        let (count, sum) = (read.count.load(Ordering::Relaxed), read.sum.load(Ordering::Relaxed));
        if ended != Shutdown::Finished || (count, sum) != (self.messages, (0..self.messages).sum()) {
            return Err(format!("{count} messages were handled and not each of {} once", self.messages).into());
        }
        Ok(first)
    }

    async fn by_hand(&self, meter: &Meter) -> Fallible<Mark> {
        let context = jetstream::new(connect(&self.url).await?);
        let config = consumer::pull::Config { durable_name: Some(self.durable.clone()), ..Default::default() };
        let first = meter.mark()?;
        let consumer = context.get_stream(&self.stream).await?.create_consumer(config).await?;
        let mut messages = consumer.stream().max_messages_per_batch(self.buffer as usize).messages().await?;
        for number in 0..self.messages {
            let message = messages.next().await.ok_or("the consumer ended")??;
            self.check(number, &message.payload)?;
            if number + 1 == self.messages {
                message.double_ack().await?;
            } else {
                message.ack().await?;
            }
        }
        Ok(first)
    }

    fn check(&self, number: u64, body: &[u8]) -> Fallible<()> {
        let note: Note = serde_json::from_slice(body)?;
        if note.order % self.messages == number {
            return Ok(());
        }
        Err(format!("message {number} is that of order {}", note.order).into())
    }
}

/// What a router's handler has read.
#[derive(Debug)]
struct Read {
    messages: u64,
    count: AtomicU64,
    /// Of the messages' numbers.
    sum: AtomicU64,
    all: Notify,
}

impl Read {
    fn of(messages: u64) -> Self {
        Self { messages, count: AtomicU64::new(0), sum: AtomicU64::new(0), all: Notify::new() }
    }
}

async fn take(State(read): State<Arc<Read>>, Payload(note): Payload<Note>) {
    read.sum.fetch_add(note.order % read.messages, Ordering::Relaxed);
    if read.count.fetch_add(1, Ordering::Relaxed) + 1 == read.messages {
        read.all.notify_one();
    }
}
