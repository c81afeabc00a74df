//! A line to a pull consumer: the inbox it delivers to, and the requests that keep it delivering, up to the first sign
//! that something may have been missed. Then another line has to be opened.

use std::time::Duration;

use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use headwater_nats::connect::{Connection, ConnectionStatus, PermissionViolation};
use serde_json::json;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::api::{Api, Trouble, nanoseconds};
use super::place::Place;

/// The one group of a durable's readers: the server gives messages to one of them at a time.
pub(super) const GROUP: &str = "readers";

/// The header that tells a reader that it is the one.
const PIN: &str = "Nats-Pin-Id";

/// How often the server says that it is there while it has no messages, at most; never more often than a request ends.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long one publish may wait for room in the client.
const SEND_WITHIN: Duration = Duration::from_secs(2);

/// What a line is to.
#[derive(Debug, Clone)]
pub(super) struct LineSettings {
    pub(super) stream: String,
    pub(super) consumer: String,
    /// Whether the consumer serves one reader of several at a time.
    pub(super) pinned: bool,
    /// Messages asked for at once.
    pub(super) batch: u64,
    /// How long the server keeps a request.
    pub(super) expires: Duration,
}

/// A line at work. Its inbox is forgotten when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    connection: Connection,
    generation: u64,
    statuses: watch::Receiver<ConnectionStatus>,
    violations: broadcast::Receiver<PermissionViolation>,
    client: async_nats::Client,
    settings: LineSettings,
    inbox: String,
    messages: Subscriber,
    next_subject: String,
    /// Part of the subjects that acknowledgements are sent on.
    acks: String,
    heartbeat: Duration,
    /// What the server calls the reader that it gives messages to, when that is this one.
    pin: Option<String>,
    /// Messages asked for that have not come.
    outstanding: u64,
    /// No more are asked for.
    closing: bool,
    heard: Instant,
}

/// What comes over a line.
#[derive(Debug)]
pub(super) enum Arrival {
    Message(Box<Arrived>),
    /// The server has taken the acknowledgement of this sequence.
    Confirmed(u64),
    /// From now on the server gives messages to another reader.
    Unpinned,
    /// Something may have been missed: another line has to be opened.
    Broken(&'static str),
    /// The server does not permit us this subject.
    Forbidden(String),
    /// The line was closed, and nothing is on its way any more.
    Over,
}

/// A message of the journal.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) place: Place,
    /// Whether it is the first since the server chose this reader to give messages to.
    pub(super) newly_pinned: bool,
    pub(super) message: Message,
}

impl Line {
    /// Opens a line; `pin` is what the server called this reader before.
    pub(super) async fn open(api: &Api, settings: LineSettings, pin: Option<String>) -> Result<Self, Trouble> {
        let connection = api.connection.clone();
        let mut statuses = connection.statuses();
        let violations = connection.permission_violations();
        statuses.mark_unchanged();
        let (generation, client) = connection.current();
        let inbox = client.new_inbox();
        let subscribing = timeout(SEND_WITHIN, connection.guard(client.subscribe(format!("{inbox}.*")))).await;
        let messages = match subscribing {
            Ok(Ok(Ok(messages))) => messages,
            Ok(Ok(Err(error))) => {
                connection.report_dead(generation);
                return Err(Trouble::ForNow(error.into()));
            }
            Ok(Err(down)) => return Err(Trouble::ForNow(down.into())),
            Err(late) => return Err(Trouble::ForNow(late.into())),
        };
        let next_subject = api.subject(&format!("CONSUMER.MSG.NEXT.{}.{}", settings.stream, settings.consumer));
        let mut line = Self {
            // The server wants two heartbeats in the life of a request.
            heartbeat: HEARTBEAT.min(settings.expires / 2),
            acks: format!(".{}.{}.", settings.stream, settings.consumer),
            connection,
            generation,
            statuses,
            violations,
            client,
            settings,
            inbox,
            messages,
            next_subject,
            pin,
            outstanding: 0,
            closing: false,
            heard: Instant::now(),
        };
        if line.pull().await { Ok(line) } else { Err(Trouble::ForNow("the client cannot send".into())) }
    }

    /// What comes next. A cancelled call loses nothing.
    pub(super) async fn next(&mut self) -> Arrival {
        loop {
            if self.wants_more() && !self.pull().await {
                return Arrival::Broken("the client cannot send");
            }
            // What has come is whole, also when the connection has dropped since.
            let message = match self.messages.next().now_or_never() {
                Some(Some(message)) => message,
                _ if self.closing && self.outstanding == 0 => return Arrival::Over,
                _ => match self.wait().await {
                    Ok(message) => message,
                    Err(end) => return end,
                },
            };
            self.heard = Instant::now();
            if let Some(arrival) = self.look_at(message) {
                return arrival;
            }
        }
    }

    async fn wait(&mut self) -> Result<Message, Arrival> {
        if let Some(why) = self.broken() {
            return Err(Arrival::Broken(why));
        }
        let silence = self.heard + 2 * self.heartbeat + Duration::from_secs(2);
        let refused = refused(&mut self.violations, &self.next_subject, &self.inbox, &self.acks);
        tokio::select! {
            biased;
            next = self.connection.guard(self.messages.next()) => match next {
                Ok(Some(message)) => Ok(message),
                Ok(None) => {
                    self.connection.report_dead(self.generation);
                    Err(Arrival::Broken("the subscription ended"))
                }
                Err(_) => Err(Arrival::Broken("the connection dropped")),
            },
            subject = refused => Err(Arrival::Forbidden(subject)),
            () = sleep_until(silence) => Err(Arrival::Broken("the server has gone silent")),
        }
    }

    /// A message that has come already, after the line broke or while it is closed.
    pub(super) fn next_that_came(&mut self) -> Option<Arrived> {
        loop {
            let message = self.messages.next().now_or_never()??;
            if let Some(Arrival::Message(arrived)) = self.look_at(message) {
                return Some(*arrived);
            }
        }
    }

    /// Publishes, as long as the connection holds; whether that was possible.
    pub(super) async fn send(&self, subject: &Subject, payload: Bytes) -> bool {
        let publish = self.client.publish(subject.clone(), payload);
        matches!(timeout(SEND_WITHIN, self.connection.guard(publish)).await, Ok(Ok(Ok(()))))
    }

    /// Publishes if there is room in the client at this moment, for those who cannot wait.
    pub(super) fn send_at_once(&self, subject: String) {
        _ = self.client.publish(subject, Bytes::new()).now_or_never();
    }

    /// The same as [`send`](Self::send), and the server says [`Confirmed`](Arrival::Confirmed) when it has taken it.
    pub(super) async fn send_confirmed(&self, subject: &Subject, payload: Bytes, sequence: u64) -> bool {
        let reply = format!("{}.{sequence}", self.inbox);
        let publish = self.client.publish_with_reply(subject.clone(), reply, payload);
        matches!(timeout(SEND_WITHIN, self.connection.guard(publish)).await, Ok(Ok(Ok(()))))
    }

    /// Asks for no more messages. The line is [`Over`](Arrival::Over) when what was asked for has come, or will not:
    /// what the server sends to an inbox that is gone is somebody's only after the time to acknowledge it.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// What the server calls this reader, if it is the one that gets messages.
    pub(super) fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    fn broken(&self) -> Option<&'static str> {
        if self.connection.generation() != self.generation {
            return Some("the client was replaced");
        }
        // Messages under way when the connection dropped are lost, also if it is back by now.
        self.statuses.has_changed().unwrap_or(true).then_some("the connection dropped")
    }

    fn wants_more(&self) -> bool {
        if self.closing {
            return false;
        }
        // Until the server has chosen this reader, a second request would only wait beside the first.
        let chosen = self.pin.is_some() || !self.settings.pinned;
        if chosen { self.outstanding <= self.settings.batch / 2 } else { self.outstanding == 0 }
    }

    async fn pull(&mut self) -> bool {
        let batch = self.settings.batch.saturating_sub(self.outstanding).max(1);
        let mut request = json!({
            "batch": batch,
            "expires": nanoseconds(self.settings.expires),
            "idle_heartbeat": nanoseconds(self.heartbeat),
        });
        if self.settings.pinned {
            request["group"] = json!(GROUP);
        }
        if let Some(pin) = &self.pin {
            request["id"] = json!(pin);
        }
        let (subject, reply) = (self.next_subject.clone(), format!("{}.m", self.inbox));
        let publish = self.client.publish_with_reply(subject, reply, request.to_string().into());
        let sent = timeout(SEND_WITHIN, self.connection.guard(publish)).await;
        self.outstanding += batch;
        matches!(sent, Ok(Ok(Ok(()))))
    }

    fn look_at(&mut self, message: Message) -> Option<Arrival> {
        if let Some(token) = message.subject.strip_prefix(self.inbox.as_str())
            && let Ok(sequence) = token.trim_start_matches('.').parse()
        {
            return Some(Arrival::Confirmed(sequence));
        }
        match message.status.map(|status| status.as_u16()) {
            Some(100) => None,
            Some(404 | 408) => {
                self.outstanding = self.outstanding.saturating_sub(self.undelivered(&message));
                None
            }
            // It comes for each request that is open, and the first says it all.
            Some(423) => self.pin.take().map(|_| {
                self.outstanding = 0;
                Arrival::Unpinned
            }),
            Some(503) => Some(Arrival::Broken("nobody serves the consumer")),
            Some(_) => Some(Arrival::Broken("the consumer has come to its end")),
            None => {
                let Some(place) = Place::of(&message) else {
                    return Some(Arrival::Broken("a message came that the consumer did not send"));
                };
                self.outstanding = self.outstanding.saturating_sub(1);
                let newly_pinned = self.note_pin(&message);
                Some(Arrival::Message(Box::new(Arrived { place, newly_pinned, message })))
            }
        }
    }

    /// Notes what the server calls this reader; whether that is new.
    fn note_pin(&mut self, message: &Message) -> bool {
        let pin = message.headers.as_ref().and_then(|headers| headers.get(PIN)).map(async_nats::HeaderValue::as_str);
        match pin {
            Some(pin) if self.pin.as_deref() != Some(pin) => {
                self.pin = Some(pin.to_owned());
                true
            }
            _ => false,
        }
    }

    /// How many messages of a request that is over did not come.
    fn undelivered(&self, message: &Message) -> u64 {
        let pending = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
        pending.and_then(|value| value.as_str().parse().ok()).unwrap_or(self.settings.batch)
    }
}

/// Waits until the server refuses one of a line's subjects.
async fn refused(
    violations: &mut broadcast::Receiver<PermissionViolation>,
    next_subject: &str,
    inbox: &str,
    acks: &str,
) -> String {
    loop {
        match violations.recv().await {
            Ok(PermissionViolation { subject, .. })
                if subject == next_subject
                    || subject.starts_with(inbox)
                    || (subject.starts_with("$JS.ACK.") && subject.contains(acks)) =>
            {
                return subject;
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // Nobody will tell.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
