//! Verdicts on deliveries.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_nats::backoff::Backoff;
use tokio::time::{Instant, sleep};

use super::api::nanoseconds;
use super::replies::{NoAnswer, NotSent, Outgoing, Replies};
use crate::BoxError;
use crate::consume::{AckError, Acknowledge, Verdict};
use crate::deadline::within;

/// How long a verdict may wait for room in the client.
const SEND_WITHIN: Duration = Duration::from_secs(2);

/// Tells the server what became of messages.
pub(super) struct Teller {
    replies: Arc<Replies>,
}

impl Teller {
    pub(super) fn new(replies: Arc<Replies>) -> Self {
        Self { replies }
    }

    async fn say(&self, subject: Subject, words: Bytes) -> Result<(), AckError> {
        let connection = self.replies.connection();
        let current = connection.borrowed();
        // While the connection is down the client keeps it, and sends it when it is back.
        let publish = current.1.publish(subject, words);
        match within(SEND_WITHIN, publish).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                connection.report_dead(current.0);
                Err(AckError::NotTold(error.into()))
            }
            Err(late) => Err(AckError::NotTold(late.into())),
        }
    }

    async fn say_and_wait(&self, token: &str, words: Bytes, limit: Duration) -> Result<(), AckError> {
        let deadline = Instant::now() + limit;
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));
        // Once it may have arrived, nothing that is heard later says that it has not.
        let mut unconfirmed = None;
        loop {
            let outgoing = Outgoing { subject: Subject::from(token), headers: None, payload: words.clone() };
            match self.ask(outgoing, deadline).await {
                Ok(()) => return Ok(()),
                Err(AckError::NotTold(source)) if unconfirmed.is_none() => return Err(AckError::NotTold(source)),
                Err(AckError::NotTold(source) | AckError::Unknown(source)) => unconfirmed = Some(source),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(source) = unconfirmed.take_if(|_| left.is_zero()) {
                return Err(AckError::Unknown(source));
            }
            // The connection dropped, or the consumer has no leader yet. The same said twice does no harm.
            sleep(backoff.next_pause().min(left)).await;
        }
    }

    async fn ask(&self, outgoing: Outgoing, deadline: Instant) -> Result<(), AckError> {
        let sent = self.replies.send(outgoing, deadline).await.map_err(|not_sent| match not_sent {
            NotSent::Refused(reason) => AckError::NotTold(reason.into()),
            NotSent::Unavailable(source) => AckError::NotTold(source),
        })?;
        sent.answer(deadline).await.map(drop).map_err(|none| {
            let is_told = matches!(none, NoAnswer::TimedOut | NoAnswer::Disconnected);
            let source = BoxError::from(none);
            if is_told { AckError::Unknown(source) } else { AckError::NotTold(source) }
        })
    }
}

impl Acknowledge for Teller {
    fn tell(&self, token: &str, verdict: &Verdict) -> BoxFuture<'_, Result<(), AckError>> {
        // Borrowed no longer than this call.
        self.say(Subject::from(token), words(verdict)).boxed()
    }

    fn tell_and_wait(&self, token: &str, verdict: &Verdict, timeout: Duration) -> BoxFuture<'_, Result<(), AckError>> {
        let (token, words) = (token.to_owned(), words(verdict));
        async move { self.say_and_wait(&token, words, timeout).await }.boxed()
    }
}

/// A verdict as JetStream reads it.
fn words(verdict: &Verdict) -> Bytes {
    match verdict {
        Verdict::Ack => Bytes::from_static(b"+ACK"),
        Verdict::Nak(None) => Bytes::from_static(b"-NAK"),
        Verdict::Nak(Some(delay)) => format!("-NAK {{\"delay\":{}}}", nanoseconds(*delay)).into(),
        Verdict::Term(reason) if reason.is_empty() => Bytes::from_static(b"+TERM"),
        Verdict::Term(reason) => format!("+TERM {reason}").into(),
        Verdict::InProgress => Bytes::from_static(b"+WPI"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_said_in_jetstreams_words() {
        for (verdict, said) in [
            (Verdict::Ack, "+ACK"),
            (Verdict::Nak(None), "-NAK"),
            (Verdict::Nak(Some(Duration::from_millis(5))), "-NAK {\"delay\":5000000}"),
            (Verdict::Term("no such order".into()), "+TERM no such order"),
            (Verdict::Term(String::new()), "+TERM"),
            (Verdict::InProgress, "+WPI"),
        ] {
            assert_eq!(words(&verdict), said.as_bytes());
        }
    }
}
