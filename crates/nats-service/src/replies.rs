//! Sending answers: never larger than they may be, never waiting for ever, and by whatever client lives.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::{PublishError, PublishErrorKind};
use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use futures_util::FutureExt;
use headwater_core::Failure;
use headwater_nats::header;
use headwater_nats::reply::{Served, write_failure};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, timeout_at};

use crate::instance::Instance;

/// How long an answer may wait for a connection that takes it. Callers rarely wait longer, and their retry is safe.
const GRACE: Duration = Duration::from_secs(5);

/// An answer ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    body: Bytes,
    headers: Option<Arc<HeaderMap>>,
}

impl Reply {
    /// A body that needs no headers.
    pub(crate) fn result(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), headers: None }
    }

    /// The size of its body, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.body.len()
    }

    /// A failure, with the headers by which a plain NATS client notices. What does not fit into `max` bytes loses its
    /// details, and at worst the end of its message.
    pub(crate) fn failure(failure: &Failure, served: &Served<'_>, max: usize) -> Self {
        let headers = Some(Arc::new(header::of_failure(failure)));
        let body = write_failure(failure, served);
        if body.len() <= max {
            return Self { body: body.into(), headers };
        }
        let message: String = failure.message.chars().take(100).collect();
        let short = Failure::new(failure.code.clone(), message).detail("truncated", true);
        Self { body: write_failure(&short, served).into(), headers }
    }
}

impl Instance {
    /// Answers a request, by the client of the moment or by the next one if that has died.
    pub(crate) async fn answer(&self, to: &Subject, reply: &Reply) {
        // Rare, and large: kept out of every request's future.
        if !self.try_answer(to, reply)
            && let Some(generation) = Box::pin(self.send(to, reply)).await
        {
            self.answered.add(1);
            self.outbox.keep(to, reply, generation);
        }
    }

    /// Answers a request if the client of the moment takes the answer at once. When it does not, nothing has happened.
    pub(crate) fn try_answer(&self, to: &Subject, reply: &Reply) -> bool {
        let link = self.link();
        let taken = matches!(unconstrained(publish(&link.client, to, reply)).now_or_never(), Some(Ok(())));
        if taken {
            self.answered.add(1);
            self.outbox.keep(to, reply, link.generation);
        }
        taken
    }

    /// Answers a request if the client takes the answer at once. It does unless thousands of answers wait before it.
    pub(crate) fn answer_now(&self, to: &Subject, reply: &Reply) {
        if let Some(generation) = self.send_now(to, reply) {
            self.answered.add(1);
            self.outbox.keep(to, reply, generation);
        }
    }

    /// Sends again what may have been lost when the connection broke at `broken`.
    pub(crate) fn answer_again(self: &Arc<Self>, broken: Instant) {
        let lost = self.outbox.lost(broken, self.link().generation);
        if lost.is_empty() {
            return;
        }
        let (service, answers) = (self.name(), lost.len());
        tracing::info!(%service, instance = self.id, answers, "sending the answers of the last moment again");
        let instance = Arc::clone(self);
        self.questions.spawn(async move {
            for (to, reply) in lost {
                instance.send(&to, &reply).await;
            }
        });
    }

    /// Hands a message to the client of the moment, and to the next one if that has died. Tells the generation of the one
    /// that took it.
    pub(crate) async fn send(&self, to: &Subject, reply: &Reply) -> Option<u64> {
        let until = Instant::now() + GRACE;
        let mut link = self.link();
        loop {
            let error = match timeout_at(until, publish(&link.client, to, reply)).await {
                Ok(Ok(())) => return Some(link.generation),
                Ok(Err(error)) if error.kind() == PublishErrorKind::Send => error,
                Ok(Err(error)) => return self.unsent(&error),
                Err(_) => return self.unsent(&"no connection took it in time"),
            };
            self.connection.report_dead(link.generation);
            let mut generations = self.connection.generations();
            let replaced = generations.wait_for(|generation| *generation != link.generation);
            if !matches!(timeout_at(until, replaced).await, Ok(Ok(_))) {
                return self.unsent(&error);
            }
            link = self.relink();
        }
    }

    /// Hands a message to the client of the moment if that takes it at once.
    pub(crate) fn send_now(&self, to: &Subject, reply: &Reply) -> Option<u64> {
        let link = self.link();
        // The loop that takes requests in may have used up its turn; that must not make a free place look taken.
        match unconstrained(publish(&link.client, to, reply)).now_or_never() {
            Some(Ok(())) => Some(link.generation),
            Some(Err(error)) => {
                if error.kind() == PublishErrorKind::Send {
                    self.connection.report_dead(link.generation);
                }
                self.unsent(&error)
            }
            None => self.unsent(&"too many answers wait to be sent"),
        }
    }

    fn unsent(&self, why: &dyn std::fmt::Display) -> Option<u64> {
        self.strays.unsent.add(1);
        tracing::debug!(service = %self.name(), instance = self.id, %why, "an answer could not be sent");
        None
    }
}

async fn publish(client: &Client, to: &Subject, reply: &Reply) -> Result<(), PublishError> {
    let (to, body) = (to.clone(), reply.body.clone());
    match &reply.headers {
        None => client.publish(to, body).await,
        Some(headers) => client.publish_with_headers(to, HeaderMap::clone(headers), body).await,
    }
}
