//! One try of a call: sent, and answered or not.

use std::time::Duration;

use async_nats::{Message, PublishErrorKind, StatusCode};
use headwater_core::call::LostReply;
use headwater_nats::connect::Connection;
use tokio::time::{Instant, timeout_at};

use crate::mailbox::{Mailboxes, Seat};
use crate::outgoing::Outgoing;

/// How a try ended without an answer from the service.
#[derive(Debug)]
pub(crate) enum Setback {
    /// It cannot be sent, now or later: nothing happened.
    Unsendable(String),
    /// There is no connection: nothing was sent.
    Disconnected {
        /// What is wrong with it.
        why: String,
        /// Whether the grace for its return has passed.
        waited: bool,
    },
    /// The server says that nobody listens: nothing happened.
    NoResponders,
    /// It was sent and no answer came.
    Lost(LostReply),
}

impl Setback {
    /// The connection was there when the try began, and then it was not; it may be back soon.
    fn dropped(why: impl Into<String>) -> Self {
        Self::Disconnected { why: why.into(), waited: false }
    }
}

/// What tries are made with.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) connection: Connection,
    mailboxes: Mailboxes,
    /// How long a try waits for a connection that is down.
    reconnect_grace: Duration,
}

impl Wire {
    pub(crate) fn new(connection: Connection, reconnect_grace: Duration) -> Self {
        Self { mailboxes: Mailboxes::new(connection.clone()), connection, reconnect_grace }
    }

    /// Sends the request and waits for an answer, together for `share` at most. `seat` is the call's place in the
    /// mailbox, kept from one try to the next. A connection that is down is waited for first.
    pub(crate) async fn attempt(
        &self,
        outgoing: &Outgoing,
        seat: &mut Option<Seat>,
        share: Duration,
    ) -> Result<Message, Setback> {
        let until = Instant::now() + share;
        let mut waited = false;
        loop {
            let mut sent = false;
            let exchange = self.exchange(outgoing, seat, &mut sent);
            // The library leaves requests hanging when the connection drops; the guard ends them.
            let ended = timeout_at(until, self.connection.guard(exchange)).await;
            return match ended {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) if sent => Err(Setback::Lost(LostReply::ConnectionLost)),
                Ok(Err(down)) if waited => Err(Setback::dropped(down.to_string())),
                Ok(Err(_)) => {
                    // Asked for only now, because nearly always the connection is there.
                    let ready = self.connection.ready(self.reconnect_grace.min(until - Instant::now())).await;
                    ready.map_err(|down| Setback::Disconnected { why: down.to_string(), waited: true })?;
                    waited = true;
                    continue;
                }
                Err(_) if sent => Err(Setback::Lost(LostReply::Timeout(share))),
                Err(_) => Err(Setback::dropped("it takes no more messages")),
            };
        }
    }

    /// `sent` turns true as soon as the request may reach the server.
    async fn exchange(
        &self,
        outgoing: &Outgoing,
        seat: &mut Option<Seat>,
        sent: &mut bool,
    ) -> Result<Message, Setback> {
        let dead = || Setback::dropped("the client has died and is being replaced");
        let kept = self.mailboxes.seat(seat.take()).await.map_err(|_| dead())?;
        let seat = seat.insert(kept);
        let Outgoing { subject, headers, body } = outgoing;
        let publishing = seat.client().publish_with_reply_and_headers(
            subject.clone(),
            seat.reply_subject(),
            headers.clone(),
            body.clone(),
        );
        if let Err(error) = publishing.await {
            return Err(match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => Setback::Unsendable(format!(
                    "its body has {} bytes; with its headers that is more than the {} the server takes",
                    body.len(),
                    seat.client().max_payload()
                )),
                PublishErrorKind::InvalidSubject => Setback::Unsendable(format!("`{subject}` is not a subject")),
                PublishErrorKind::Send => {
                    self.connection.report_dead(seat.generation());
                    dead()
                }
            });
        }
        *sent = true;
        match seat.answer().await {
            Some(message) if message.status == Some(StatusCode::NO_RESPONDERS) => Err(Setback::NoResponders),
            Some(message) => Ok(message),
            None => Err(Setback::Lost(LostReply::ConnectionLost)),
        }
    }
}
