//! Messages that want an answer, many under way at once.
//!
//! The client has requests of its own, but it keeps whoever was not answered for ever, leaves requests hanging when the
//! connection drops, and sends only once somebody waits. Here one subscription takes all answers in, a message is handed over
//! at once, and what is under way is told when nobody will answer any more.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_nats::{HeaderMap, PublishErrorKind, Subject};
use bytes::Bytes;
use headwater_nats::connect::Connection;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::desk::{Answer, Desk, Waiting};
use crate::BoxError;
use crate::deadline::until;

/// How many may be under way at once, if the subscription can hold as many answers.
const MOST_UNDER_WAY: usize = 16_384;

/// How long a line may take to be opened beyond what its user waits: others may wait for it too.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// What is sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) subject: Subject,
    pub(super) headers: Option<HeaderMap>,
    pub(super) payload: Bytes,
}

/// Why something was not sent. It has no effect then.
#[derive(Debug)]
pub(super) enum NotSent {
    /// It cannot be sent as it is.
    Refused(String),
    /// Not now.
    Unavailable(BoxError),
}

/// Why there is no answer. What was sent may have had its effect, unless it is said otherwise.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The server says that nobody takes it: it has no effect.
    NobodyThere,
    /// We may not send there: it has no effect.
    Forbidden,
    /// The deadline passed.
    TimedOut,
    /// The connection dropped.
    Disconnected,
}

/// Takes the answers of one connection in.
#[derive(Debug)]
pub(super) struct Replies {
    connection: Connection,
    under_way: Arc<Semaphore>,
    line: RwLock<Option<Arc<Line>>>,
    opening: Mutex<()>,
}

/// A subscription for answers, over one client.
#[derive(Debug)]
struct Line {
    generation: u64,
    /// Where answers come to, up to the number.
    inbox: String,
    desk: Arc<Desk>,
}

/// Something that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    waiting: Waiting,
    _room: OwnedSemaphorePermit,
}

impl Replies {
    pub(super) fn new(connection: Connection) -> Self {
        let most = connection.subscription_capacity().clamp(1, MOST_UNDER_WAY);
        Self {
            connection,
            under_way: Arc::new(Semaphore::new(most)),
            line: RwLock::default(),
            opening: Mutex::default(),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Hands something over to the client, as soon as the connection works and there is room. Cancelled, it is not sent.
    pub(super) async fn send(&self, outgoing: Outgoing, deadline: Instant) -> Result<Sent, NotSent> {
        match until(deadline, self.send_when_possible(outgoing)).await {
            Ok(sent) => sent,
            Err(_) => Err(NotSent::Unavailable(match self.connection.is_up() {
                true => "too much is under way, or the client is stuck: it could not be sent in time".into(),
                false => format!("not connected to NATS: {}", self.connection.status()).into(),
            })),
        }
    }

    async fn send_when_possible(&self, outgoing: Outgoing) -> Result<Sent, NotSent> {
        let (room, current) = loop {
            if !self.connection.is_up() {
                // Until its deadline, which its caller sets.
                let ready = Box::pin(self.connection.ready(Duration::from_secs(3_600))).await;
                ready.map_err(|down| NotSent::Unavailable(down.into()))?;
            }
            let room = Arc::clone(&self.under_way).acquire_owned().await;
            let room = room.map_err(|closed| NotSent::Unavailable(closed.into()))?;
            if self.connection.is_up() {
                break (room, self.connection.borrowed());
            }
        };
        let line = match self.line_of(current.0) {
            Some(line) => line,
            None => Box::pin(self.open()).await?,
        };
        let waiting = line.desk.expect(outgoing.subject.clone());
        let reply = line.reply(waiting.number());
        let Outgoing { subject, headers, payload } = outgoing;
        let sending = match headers {
            Some(headers) => current.1.publish_with_reply_and_headers(subject, reply, headers, payload).await,
            None => current.1.publish_with_reply(subject, reply, payload).await,
        };
        match sending {
            Ok(()) => Ok(Sent { waiting, _room: room }),
            Err(error) => Err(self.not_sent(current.0, error)),
        }
    }

    fn not_sent(&self, generation: u64, error: async_nats::PublishError) -> NotSent {
        match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => NotSent::Refused("it is larger than the server allows".to_owned()),
            PublishErrorKind::InvalidSubject => NotSent::Refused("the subject is not allowed".to_owned()),
            PublishErrorKind::Send => {
                self.connection.report_dead(generation);
                NotSent::Unavailable(error.into())
            }
        }
    }

    fn line_of(&self, generation: u64) -> Option<Arc<Line>> {
        let line = self.line.read().unwrap_or_else(PoisonError::into_inner);
        line.as_ref().filter(|line| line.generation == generation && line.desk.is_served()).map(Arc::clone)
    }

    async fn open(&self) -> Result<Arc<Line>, NotSent> {
        let _one_at_a_time = self.opening.lock().await;
        let (generation, client) = self.connection.current();
        if let Some(line) = self.line_of(generation) {
            return Ok(line);
        }
        let inbox = format!("{}.", client.new_inbox());
        let subscribing = self.connection.guard(client.subscribe(format!("{inbox}*")));
        let answers = match tokio::time::timeout(OPEN_WITHIN, subscribing).await {
            Ok(Ok(Ok(answers))) => answers,
            Ok(Ok(Err(error))) => {
                self.connection.report_dead(generation);
                return Err(NotSent::Unavailable(error.into()));
            }
            Ok(Err(down)) => return Err(NotSent::Unavailable(down.into())),
            Err(late) => return Err(NotSent::Unavailable(late.into())),
        };
        let desk = Desk::open(self.connection.clone(), answers, inbox.len());
        let line = Arc::new(Line { generation, inbox, desk });
        *self.line.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&line));
        Ok(line)
    }
}

impl Line {
    fn reply(&self, number: u64) -> Subject {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number);
        let mut reply = String::with_capacity(self.inbox.len() + digits.len());
        reply.push_str(&self.inbox);
        reply.push_str(digits);
        Subject::from(reply)
    }
}

impl Sent {
    /// Waits for the answer.
    pub(super) async fn answer(mut self, deadline: Instant) -> Result<async_nats::Message, NoAnswer> {
        match until(deadline, &mut self.waiting).await {
            Ok(Answer::Message(message)) if message.status.is_some_and(|status| status.as_u16() == 503) => {
                Err(NoAnswer::NobodyThere)
            }
            Ok(Answer::Message(message)) => Ok(message),
            Ok(Answer::Forbidden) => Err(NoAnswer::Forbidden),
            Ok(Answer::Lost) => Err(NoAnswer::Disconnected),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NobodyThere => "nobody answers there",
            Self::Forbidden => "the NATS user may not publish there",
            Self::TimedOut => "there was no answer in time",
            Self::Disconnected => "the connection to NATS dropped while an answer was waited for",
        })
    }
}

impl std::error::Error for NoAnswer {}
