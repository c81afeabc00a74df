//! Many answers to one request, gathered.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use headwater_core::call::{CallError, LostReply};
use headwater_nats::connect::{Connection, Disconnected};
use tokio::time::{Instant, timeout, timeout_at};

/// What came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers<T> {
    /// One answer of each instance, in the order they came.
    pub answers: Vec<T>,
    /// How long each of them took to come, from the sending of the question; in the same order.
    pub took: Vec<Duration>,
    /// How many further answers were none: not JSON, not of the asked type, or without a name or id.
    pub malformed: usize,
}

/// One request under way, and the inbox for its answers.
pub(super) struct Gathering {
    connection: Connection,
    inbox: Subscriber,
    sent: Instant,
    until: Instant,
    no_responders: bool,
}

impl Gathering {
    /// Sends the request; answers count until `within` has passed.
    pub(super) async fn start(
        connection: &Connection,
        subject: String,
        body: Bytes,
        within: Duration,
    ) -> Result<Self, CallError> {
        let until = Instant::now() + within;
        let client = connection.ready(within).await.map_err(|down| CallError::Disconnected(down.to_string()))?;
        let sending = async {
            let inbox = client.new_inbox();
            let answers = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
            let sent = Instant::now();
            client.publish_with_reply(subject, inbox, body).await.map_err(|error| error.to_string())?;
            Ok((answers, sent))
        };
        let sending = timeout(within, sending).await.unwrap_or_else(|_| Err("it takes no more messages".to_owned()));
        let (inbox, sent) = sending.map_err(CallError::Disconnected)?;
        Ok(Self { connection: connection.clone(), inbox, sent, until, no_responders: false })
    }

    /// How long ago the request was sent.
    pub(super) fn elapsed(&self) -> Duration {
        self.sent.elapsed()
    }

    /// The next answer that comes within `patience`, and before the time is up.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Option<Message>, CallError> {
        let until = self.until.min(Instant::now() + patience);
        let connection = self.connection.clone();
        let lost = |_: Disconnected| CallError::Unanswered(LostReply::ConnectionLost);
        match timeout_at(until, connection.guard(self.inbox.next())).await {
            Err(_) => Ok(None),
            Ok(Err(down)) => Err(lost(down)),
            Ok(Ok(None)) => Err(CallError::Unanswered(LostReply::ConnectionLost)),
            Ok(Ok(Some(message))) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                self.no_responders = true;
                Ok(None)
            }
            Ok(Ok(message)) => Ok(message),
        }
    }

    /// Whether the server said that nobody listens.
    pub(super) fn no_responders(&self) -> bool {
        self.no_responders
    }
}
