//! Sending answers: never larger than they may be, never waiting for ever, and by whatever client lives.

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
    headers: Option<HeaderMap>,
}

impl Reply {
    /// A body that needs no headers.
    pub(crate) fn result(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), headers: None }
    }

    /// A failure, with the headers by which a plain NATS client notices. What does not fit into `max` bytes loses its
    /// details, and at worst the end of its message.
    pub(crate) fn failure(failure: &Failure, served: &Served<'_>, max: usize) -> Self {
        let headers = Some(header::of_failure(failure));
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
    /// Hands an answer to the client of the moment, and to the next one if that has died. Says whether one took it.
    pub(crate) async fn send(&self, to: &Subject, reply: &Reply) -> bool {
        let until = Instant::now() + GRACE;
        let mut link = self.link();
        loop {
            let error = match timeout_at(until, publish(&link.client, to, reply)).await {
                Ok(Ok(())) => return true,
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

    /// Hands an answer to the client if that takes it at once, and says whether. It does unless thousands of answers wait
    /// before it.
    pub(crate) fn send_now(&self, to: &Subject, reply: &Reply) -> bool {
        let link = self.link();
        // The loop that takes requests in may have used up its turn; that must not make a free place look taken.
        match unconstrained(publish(&link.client, to, reply)).now_or_never() {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                if error.kind() == PublishErrorKind::Send {
                    self.connection.report_dead(link.generation);
                }
                self.unsent(&error)
            }
            None => self.unsent(&"too many answers wait to be sent"),
        }
    }

    fn unsent(&self, why: &dyn std::fmt::Display) -> bool {
        self.strays.unsent.add(1);
        tracing::debug!(service = %self.name(), instance = self.id, %why, "an answer could not be sent");
        false
    }
}

async fn publish(client: &Client, to: &Subject, reply: &Reply) -> Result<(), PublishError> {
    let (to, body) = (to.clone(), reply.body.clone());
    match &reply.headers {
        None => client.publish(to, body).await,
        Some(headers) => client.publish_with_headers(to, headers.clone(), body).await,
    }
}
