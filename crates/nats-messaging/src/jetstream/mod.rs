//! All three ports on NATS: streams and durable consumers of JetStream, requests and replies beside them.

mod acknowledge;
mod api;
mod archive;
mod bucket;
mod consumer;
mod desk;
mod exchange;
mod line;
mod lookup;
mod place;
mod publish;
mod reader;
mod replies;
mod translate;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_nats::connect::{Connection, Connections};

pub use bucket::JetStreamBucket;

use crate::consume::{Consume, ConsumeError, ConsumerConfig, Subscription};
use consumer::Pulling;
use replies::Replies;

/// How long it is tried to open a consumer, or to learn something of one, while the server says that it cannot at the moment.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// Streams, consumers, requests and replies on NATS. Clones share what is under way.
///
/// It stands on a [`Connection`], which is watched and replaced when it dies: what is published meanwhile waits until its
/// deadline, and subscriptions go on. At most 16 384 messages are published and not acknowledged at once; whoever publishes
/// another waits.
///
/// ```no_run
/// use std::time::Duration;
///
/// use headwater_nats::connect::{Connection, NatsConfig};
/// use headwater_nats_messaging::jetstream::JetStream;
/// use headwater_nats_messaging::message::Message;
/// use headwater_nats_messaging::publish::Publish;
/// use tokio::time::Instant;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?;
/// let jetstream = JetStream::new(connection);
/// let deadline = Instant::now() + Duration::from_secs(2);
/// let acknowledgement = jetstream.send(Message::new("orders.placed", "7").id("order-7"), deadline).await?;
/// let stored = acknowledgement.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JetStream {
    replies: Arc<Replies>,
    exchange: Arc<Replies>,
    pulling: Pulling,
}

impl JetStream {
    /// Everything over one connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        let replies = Arc::new(Replies::new(connection));
        let pulling = Pulling { expires: Duration::from_secs(30), heartbeat: Duration::from_secs(5) };
        Self { exchange: Arc::clone(&replies), replies, pulling }
    }

    /// Requests and replies over the callers' connection, streams and consumers over the other: a message from outside can
    /// break the connection it arrives on, and must not stop what is stored.
    #[must_use]
    pub fn over(connections: Connections) -> Self {
        let Connections { callers, jetstream } = connections;
        let shared = callers.is_same(&jetstream);
        let over_one = Self::new(jetstream);
        if shared { over_one } else { Self { exchange: Arc::new(Replies::new(callers)), ..over_one } }
    }

    /// How often the server says that it is there while it has no messages: 5 s by default, 100 ms to 30 s. A consumer is opened
    /// anew when nothing came for twice as long and a second.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        let heartbeat = heartbeat.clamp(Duration::from_millis(100), Duration::from_secs(30));
        // The server wants two heartbeats in the life of a request.
        self.pulling = Pulling { expires: Duration::from_secs(30).max(2 * heartbeat), heartbeat };
        self
    }

    /// The connection that streams and consumers are reached over.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.replies.connection()
    }
}

impl Consume for JetStream {
    fn open(&self, config: ConsumerConfig) -> BoxFuture<'_, Result<Subscription, ConsumeError>> {
        async move {
            config.check()?;
            consumer::ensure(&self.replies, &config).await?;
            reader::open(&self.replies, &config, self.pulling).await
        }
        .boxed()
    }

    fn stream_of(&self, subject: String) -> BoxFuture<'_, Result<Option<String>, ConsumeError>> {
        async move {
            let found = lookup::stream_of(&self.replies, &subject).await;
            found.map_err(|source| ConsumeError::Lookup { subject, source })
        }
        .boxed()
    }

    fn stream_created(&self, stream: String) -> BoxFuture<'_, Result<Option<DateTime<Utc>>, ConsumeError>> {
        async move {
            match lookup::created(&self.replies, &stream).await {
                Ok(Some(created)) => Ok(Some(created)),
                Ok(None) => Err(ConsumeError::NoStream { stream }),
                Err(trouble) => {
                    let source = trouble.into_source();
                    Err(ConsumeError::Unavailable { stream, consumer: String::new(), source })
                }
            }
        }
        .boxed()
    }
}
