//! A line to a consumer: the inbox that it delivers to, and the requests that keep it delivering, up to the first sign that
//! something may have been missed. Then another line has to be opened.

use std::pin::Pin;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use headwater_nats::connect::{Connection, ConnectionStatus, PermissionViolation};
use serde_json::json;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::api::nanoseconds;
use super::consumer::Pulling;
use crate::BoxError;

/// How long one request may wait for room in the client.
const SEND_WITHIN: Duration = Duration::from_secs(2);

/// How late a heartbeat may be.
const GRACE: Duration = Duration::from_secs(1);

/// A line at work. Its inbox is forgotten when it is dropped.
pub(super) struct Line {
    connection: Connection,
    generation: u64,
    statuses: watch::Receiver<ConnectionStatus>,
    violations: broadcast::Receiver<PermissionViolation>,
    client: async_nats::Client,
    inbox: String,
    messages: Subscriber,
    next_subject: String,
    pulling: Pulling,
    /// How many messages are fetched ahead.
    buffer: u64,
    /// Messages asked for that have not come.
    outstanding: u64,
    heard: Instant,
    /// Whether something was heard since, at a time that nobody has looked at.
    fresh: bool,
    alarm: Pin<Box<Sleep>>,
}

/// What comes over a line.
pub(super) enum Arrival {
    Message(Message),
    /// Something may have been missed: another line has to be opened.
    Broken(&'static str),
    /// The consumer was deleted.
    Deleted,
    /// The server does not permit us this subject.
    Forbidden(String),
}

impl Line {
    pub(super) async fn open(
        connection: &Connection,
        next_subject: String,
        buffer: u64,
        pulling: Pulling,
    ) -> Result<Self, BoxError> {
        let mut statuses = connection.statuses();
        let violations = connection.permission_violations();
        statuses.mark_unchanged();
        let (generation, client) = connection.current();
        let inbox = client.new_inbox();
        let subscribing = timeout(SEND_WITHIN, connection.guard(client.subscribe(inbox.clone()))).await??;
        let messages = subscribing.inspect_err(|_| connection.report_dead(generation))?;
        let heard = Instant::now();
        let mut line = Self {
            connection: connection.clone(),
            generation,
            statuses,
            violations,
            client,
            inbox,
            messages,
            next_subject,
            pulling,
            buffer,
            outstanding: 0,
            heard,
            fresh: false,
            alarm: Box::pin(sleep_until(heard + silence(pulling))),
        };
        line.pull().await?;
        Ok(line)
    }

    /// What comes next. A cancelled call loses nothing.
    pub(super) async fn next(&mut self) -> Arrival {
        loop {
            if self.outstanding <= self.buffer / 2 && self.pull().await.is_err() {
                return Arrival::Broken("the client cannot send");
            }
            // What has come is whole, also when the connection has dropped since.
            let message = match self.messages.next().now_or_never() {
                Some(Some(message)) => {
                    self.fresh = true;
                    message
                }
                _ => match self.wait().await {
                    Ok(message) => message,
                    Err(end) => return end,
                },
            };
            if let Some(arrival) = self.look_at(message) {
                return arrival;
            }
        }
    }

    /// A message that has come already, or one that comes within `patience`, without asking for more.
    pub(super) async fn next_within(&mut self, patience: Duration) -> Option<Message> {
        let deadline = Instant::now() + patience;
        while self.outstanding > 0 || patience.is_zero() {
            let message = match self.messages.next().now_or_never() {
                Some(message) => message?,
                None if patience.is_zero() || self.statuses.has_changed().unwrap_or(true) => return None,
                None => tokio::time::timeout_at(deadline, self.messages.next()).await.ok()??,
            };
            match self.look_at(message) {
                Some(Arrival::Message(message)) => return Some(message),
                Some(_) => return None,
                None => {}
            }
        }
        None
    }

    /// Gives the inbox up; what the server has sent by then still comes.
    pub(super) async fn hang_up(&mut self) {
        // Without a client there is nothing to give up.
        let _ = timeout(SEND_WITHIN, self.messages.drain()).await;
        self.outstanding = 0;
    }

    /// What had come when the inbox was given up.
    pub(super) async fn rest(&mut self) -> Option<Message> {
        loop {
            let message = timeout(SEND_WITHIN, self.messages.next()).await.ok()??;
            if let Some(Arrival::Message(message)) = self.look_at(message) {
                return Some(message);
            }
        }
    }

    async fn wait(&mut self) -> Result<Message, Arrival> {
        if self.connection.generation() != self.generation {
            return Err(Arrival::Broken("the client was replaced"));
        }
        if std::mem::take(&mut self.fresh) {
            self.heard = Instant::now();
        }
        loop {
            tokio::select! {
                biased;
                next = self.messages.next() => {
                    self.heard = Instant::now();
                    return next.ok_or_else(|| {
                        self.connection.report_dead(self.generation);
                        Arrival::Broken("the subscription ended")
                    });
                }
                // Messages under way when the connection dropped are lost, also if it is back by now.
                _ = self.statuses.changed() => return Err(Arrival::Broken("the connection dropped")),
                subject = refused(&mut self.violations, &self.next_subject, &self.inbox) => {
                    return Err(Arrival::Forbidden(subject));
                }
                () = &mut self.alarm => {
                    let due = self.heard + silence(self.pulling);
                    if due <= Instant::now() {
                        return Err(Arrival::Broken("the server has gone silent"));
                    }
                    self.alarm.as_mut().reset(due);
                }
            }
        }
    }

    async fn pull(&mut self) -> Result<(), BoxError> {
        let batch = self.buffer.saturating_sub(self.outstanding).max(1);
        let request = json!({
            "batch": batch,
            "expires": nanoseconds(self.pulling.expires),
            "idle_heartbeat": nanoseconds(self.pulling.heartbeat),
        });
        let (subject, reply) = (self.next_subject.clone(), self.inbox.clone());
        let publish = self.client.publish_with_reply(subject, reply, request.to_string().into());
        timeout(SEND_WITHIN, publish).await??;
        if self.outstanding == 0 {
            self.heard = Instant::now();
        }
        self.outstanding += batch;
        Ok(())
    }

    fn look_at(&mut self, message: Message) -> Option<Arrival> {
        let Some(status) = message.status else {
            self.outstanding = self.outstanding.saturating_sub(1);
            return Some(Arrival::Message(message));
        };
        match status.as_u16() {
            100 => None,
            404 | 408 => {
                self.outstanding = self.outstanding.saturating_sub(undelivered(&message, self.buffer));
                None
            }
            409 if says(&message, "consumer deleted") => Some(Arrival::Deleted),
            409 if says(&message, "exceeded") => Some(Arrival::Broken("the server refuses the request")),
            409 => Some(Arrival::Broken("the server has another task, or shuts down")),
            503 => Some(Arrival::Broken("nobody serves the consumer")),
            _ => Some(Arrival::Broken("the server does not serve the request")),
        }
    }
}

/// How long the server may say nothing.
fn silence(pulling: Pulling) -> Duration {
    2 * pulling.heartbeat + GRACE
}

fn says(message: &Message, text: &str) -> bool {
    message.description.as_deref().is_some_and(|description| description.to_ascii_lowercase().contains(text))
}

/// How many messages of a request that is over did not come.
fn undelivered(message: &Message, most: u64) -> u64 {
    let pending = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
    pending.and_then(|value| value.as_str().parse().ok()).unwrap_or(most)
}

/// Waits until the server refuses one of a line's subjects.
async fn refused(violations: &mut broadcast::Receiver<PermissionViolation>, next: &str, inbox: &str) -> String {
    loop {
        match violations.recv().await {
            Ok(PermissionViolation { subject, .. }) if subject == next || subject.starts_with(inbox) => return subject,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // Nobody will tell.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
