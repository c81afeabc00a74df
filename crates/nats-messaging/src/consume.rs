//! The port that durable consumers deliver messages by.

mod check;

use std::fmt::{self, Debug};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::BoxError;
use crate::message::Message;

pub(crate) use check::name_flaw;

/// Opens durable consumers. Implemented in memory and on JetStream, and held to one conformance suite.
pub trait Consume: Debug + Send + Sync + 'static {
    /// Opens a consumer, which is made when there is none of that name yet, and brought in line when there is one whose
    /// settings differ and may be changed. Where one that is there once [began](ConsumerConfig::deliver) makes no difference.
    fn open(&self, config: ConsumerConfig) -> BoxFuture<'_, Result<Subscription, ConsumeError>>;

    /// The stream that takes messages at these subjects, all of them; none when there is none.
    fn stream_of(&self, subject: String) -> BoxFuture<'_, Result<Option<String>, ConsumeError>>;

    /// When a stream was made: by that one that was deleted and made anew is told from what it was, whose places in it mean
    /// something else. None where that cannot be known.
    fn stream_created(&self, stream: String) -> BoxFuture<'_, Result<Option<DateTime<Utc>>, ConsumeError>> {
        drop(stream);
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// A durable consumer, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// The stream that it reads.
    pub stream: String,
    /// Its name on the stream: whoever opens it again goes on where it stopped, and several who read it share the messages.
    pub durable: String,
    /// The subjects it reads, with wildcards; all of the stream's when empty. They must not overlap.
    pub filter_subjects: Vec<String>,
    /// How many messages are fetched ahead of their handling. 100 by default.
    pub buffer: NonZeroU32,
    /// Where a new consumer begins. One that is there goes on where it stopped.
    pub deliver: Deliver,
    /// As fast as possible by default, or at the pace at which they were stored.
    pub replay: Replay,
    /// How long a message may be handled before it is delivered again. 30 s by default.
    pub ack_wait: Duration,
    /// How many messages may be delivered and not acknowledged, at all who read together. 1 000 by default.
    pub max_ack_pending: u32,
    /// How often a message is delivered at the most; none: as often as it takes.
    pub max_deliver: Option<NonZeroU32>,
    /// How long until a message that nobody acknowledged is delivered again: after the first delivery, the second, …, the
    /// last one for all further ones. Instead of `ack_wait`, when not empty.
    pub backoff: Vec<Duration>,
    /// The consumer goes when nobody has read it for so long; none: it stays.
    pub inactive_threshold: Option<Duration>,
}

impl ConsumerConfig {
    /// A consumer of all messages of a stream, from its first one on.
    pub fn new(stream: impl Into<String>, durable: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            durable: durable.into(),
            filter_subjects: Vec::new(),
            buffer: const { NonZeroU32::new(100).expect("100 is not 0") },
            deliver: Deliver::default(),
            replay: Replay::default(),
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 1_000,
            max_deliver: None,
            backoff: Vec::new(),
            inactive_threshold: None,
        }
    }

    /// Adds a subject to those it reads.
    #[must_use]
    pub fn filter(mut self, subject: impl Into<String>) -> Self {
        self.filter_subjects.push(subject.into());
        self
    }
}

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deliver {
    /// With the first message that the stream still has.
    #[default]
    All,
    /// With the last message.
    Last,
    /// With the last message of each subject.
    LastPerSubject,
    /// With what comes after it was made.
    New,
    /// With this place in the stream.
    FromSequence(u64),
    /// With the first message stored at this time or later.
    FromTime(DateTime<Utc>),
}

/// How fast stored messages come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replay {
    /// As fast as they are taken.
    #[default]
    Instant,
    /// With the pauses with which they were stored.
    Original,
}

/// An open consumer: messages as they come, and what can be known of it. Dropped, it stops fetching; what was fetched and not
/// acknowledged is delivered again after its time.
pub struct Subscription {
    /// Messages as they come. Ends after [`Control::stop`], once what was fetched has been handed out; an error says what
    /// went wrong and whether the stream goes on. One comes whenever the way was interrupted, also when it is open again at
    /// once: what was on its way then comes again after its time, and what is new comes before it.
    pub deliveries: BoxStream<'static, Result<Delivery, ConsumeError>>,
    /// What is beneath.
    pub control: Arc<dyn Control>,
}

impl Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("control", &self.control).finish_non_exhaustive()
    }
}

/// What can be asked of an open consumer, and done to it.
pub trait Control: Debug + Send + Sync + 'static {
    /// Fetches no more.
    fn stop(&self);

    /// What the server says about the consumer.
    fn info(&self) -> BoxFuture<'_, Result<ConsumerInfo, ConsumeError>>;
}

/// What the server says about a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerInfo {
    /// Messages that match and were never delivered.
    pub pending: u64,
    /// Delivered and not acknowledged.
    pub ack_pending: u64,
    /// Of those, how many were delivered more than once.
    pub redelivered: u64,
    /// The place in the stream up to which all is acknowledged.
    pub ack_floor: u64,
}

/// A message handed out, to be answered for.
///
/// Dropped without an answer, it is delivered again after its time.
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Where it is from.
    pub context: DeliveryContext,
    /// By whom it is answered for.
    pub(crate) acknowledge: Arc<dyn Acknowledge>,
    /// By what the consumer knows it.
    pub(crate) token: String,
}

/// Where a message is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryContext {
    /// The stream.
    pub stream: Arc<str>,
    /// The consumer's name.
    pub consumer: Arc<str>,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// How often it was delivered, this time included: from 1.
    pub deliveries: u64,
    /// When it was stored.
    pub timestamp: DateTime<Utc>,
    /// How many that match come after it.
    pub pending: u64,
}

/// What a handler says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Ack,
    /// It is to be delivered again: after this time, or at once.
    Nak(Option<Duration>),
    /// It is never to be delivered again, for this reason.
    Term(String),
    /// It is being worked on: its time begins anew.
    InProgress,
}

/// Tells a consumer what became of a message that it delivered.
pub trait Acknowledge: Send + Sync + 'static {
    /// Hands the verdict over; whether it arrives, nobody tells.
    fn tell(&self, token: &str, verdict: &Verdict) -> BoxFuture<'_, Result<(), AckError>>;

    /// Hands the verdict over and waits until the server has taken it in. When that is not confirmed in time it is
    /// [unknown](AckError::Unknown).
    fn tell_and_wait(&self, token: &str, verdict: &Verdict, timeout: Duration) -> BoxFuture<'_, Result<(), AckError>>;
}

impl Delivery {
    /// A message with whom to answer; for implementations of [`Consume`].
    pub fn new(message: Message, context: DeliveryContext, acknowledge: Arc<dyn Acknowledge>, token: String) -> Self {
        Self { message, context, acknowledge, token }
    }

    /// It is done. Like [`nak`](Self::nak) and [`term`](Self::term) it is handed over without waiting for the server: when it
    /// is lost, the message comes again.
    ///
    /// # Errors
    ///
    /// When it cannot be handed over.
    pub async fn ack(&self) -> Result<(), AckError> {
        self.acknowledge.tell(&self.token, &Verdict::Ack).await
    }

    /// It is done, and the server has taken that in: it does not come again. While the connection is down, it is waited for
    /// and said once more, until the time is up.
    ///
    /// # Errors
    ///
    /// [`AckError::Unknown`] when the server does not confirm it in this time: it may have taken it in nevertheless, and the
    /// message comes again or not as the server has it. [`AckError::NotTold`] when it certainly has not.
    pub async fn double_ack(&self, timeout: Duration) -> Result<(), AckError> {
        self.acknowledge.tell_and_wait(&self.token, &Verdict::Ack, timeout).await
    }

    /// It is to be delivered again: after this time, or at once.
    ///
    /// # Errors
    ///
    /// When it cannot be handed over.
    pub async fn nak(&self, delay: Option<Duration>) -> Result<(), AckError> {
        self.acknowledge.tell(&self.token, &Verdict::Nak(delay)).await
    }

    /// It is never to be delivered again. The reason reaches whoever listens to the server's advisories.
    ///
    /// # Errors
    ///
    /// When it cannot be handed over.
    pub async fn term(&self, reason: impl Into<String>) -> Result<(), AckError> {
        self.acknowledge.tell(&self.token, &Verdict::Term(reason.into())).await
    }

    /// It is being worked on: its time begins anew.
    ///
    /// # Errors
    ///
    /// When it cannot be handed over.
    pub async fn in_progress(&self) -> Result<(), AckError> {
        self.acknowledge.tell(&self.token, &Verdict::InProgress).await
    }
}

impl Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("subject", &self.message.subject)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// What went wrong with a consumer.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// There is no such stream.
    #[error("there is no stream `{stream}`")]
    NoStream {
        /// Its name.
        stream: String,
    },
    /// The settings cannot be had, now or later.
    #[error("consumer `{consumer}` of stream `{stream}` cannot be had: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// What is wrong.
        reason: String,
    },
    /// The consumer was deleted, or its stream, while it was read. Nothing more comes from this subscription.
    #[error("consumer `{consumer}` of stream `{stream}` is gone")]
    Gone {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
    },
    /// Nobody could be asked which stream takes a subject.
    #[error("which stream takes `{subject}` cannot be found out")]
    Lookup {
        /// The subject, or pattern.
        subject: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// It does not work now. A subscription that says so goes on by itself once it can.
    #[error("consumer `{consumer}` of stream `{stream}` cannot be reached")]
    Unavailable {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// A verdict that did not arrive, or of which nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// It was not handed over, or nobody was there to take it: the message comes again after its time.
    #[error("what became of a message could not be told to the server")]
    NotTold(#[source] BoxError),
    /// It was handed over, and nobody has confirmed it in time. The server may have taken it in, and then the message does not
    /// come again; or not, and then it does. A server that was killed may have forgotten that it delivered the message, and
    /// leaves the confirmation of such a delivery unanswered: it delivers the message once more.
    #[error("what became of a message was told to the server, and whether it has taken that in is unknown")]
    Unknown(#[source] BoxError),
}
