//! Requests at a steady rate, whatever becomes of those before: callers who do not wait for each other.

use std::time::Duration;

use async_nats::{Client, Message, Subject, Subscriber};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use super::load::Request;
use super::world::settled;
use crate::Fallible;

/// When no answer has come for so long after the last request, no more will.
const SILENCE: Duration = Duration::from_secs(2);

/// How often requests are sent; each time as many as are due.
const TICK: Duration = Duration::from_millis(1);

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// How long those took that were admitted and answered in the measured time.
    pub(crate) admitted: Vec<Duration>,
    /// The numbers of all that were admitted.
    pub(crate) done: Vec<u64>,
    /// How many were turned away as too many.
    pub(crate) refused: u64,
    /// How many got no answer: the client of the service drops what it has no room for before the service sees it.
    pub(crate) unanswered: u64,
    /// How many were sent in a second.
    pub(crate) per_second: f64,
}

/// When requests are sent, and from when on they count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Sends what `request` makes of the numbers from 0 on, and returns when each has its answer, or none comes any more.
pub(crate) async fn offer(
    client: &Client,
    pace: Pace,
    request: impl Fn(u64) -> Request + Send + 'static,
) -> Fallible<Answers> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(format!("{inbox}.*.*")).await?;
    settled(client).await?;
    let begin = Instant::now();
    let mut sending = tokio::spawn(send(client.clone(), inbox, pace, begin, request));
    let (mut sent, mut answered, mut answers) = (None, 0, Answers::default());
    let silence = sleep(SILENCE);
    tokio::pin!(silence);
    while sent != Some(answered) {
        tokio::select! {
            biased;
            reply = next(&mut replies) => {
                answered += 1;
                answers.take(&reply?, pace, begin)?;
                silence.as_mut().reset(Instant::now() + SILENCE);
            }
            all = &mut sending, if sent.is_none() => {
                let all = all??;
                sent = Some(all);
                answers.per_second = all as f64 / begin.elapsed().as_secs_f64();
                silence.as_mut().reset(Instant::now() + SILENCE);
            }
            () = &mut silence, if sent.is_some() => {
                answers.unanswered = sent.unwrap_or_default() - answered;
                break;
            }
        }
    }
    Ok(answers)
}

async fn next(replies: &mut Subscriber) -> Fallible<Message> {
    replies.next().await.ok_or_else(|| "the connection was closed".into())
}

/// How many were sent. The reply subject says which it was, and when it was sent.
async fn send(
    client: Client,
    inbox: String,
    pace: Pace,
    begin: Instant,
    request: impl Fn(u64) -> Request,
) -> Fallible<u64> {
    let (end, mut sent) = (pace.warm_up + pace.measured, 0);
    while begin.elapsed() < end {
        let due = (begin.elapsed().as_secs_f64() * pace.per_second) as u64;
        while sent < due {
            let Request { subject, body, .. } = request(sent);
            let reply = Subject::from(format!("{inbox}.{sent}.{}", begin.elapsed().as_nanos()));
            client.publish_with_reply(subject, reply, body).await?;
            sent += 1;
        }
        sleep(TICK).await;
    }
    Ok(sent)
}

impl Answers {
    fn take(&mut self, reply: &Message, pace: Pace, begin: Instant) -> Fallible<()> {
        let now = begin.elapsed();
        // A success has no headers.
        if reply.headers.is_some() {
            let body: serde_json::Value = serde_json::from_slice(&reply.payload)?;
            if body["error"]["details"]["reason"] != "overloaded" {
                return Err(format!("a request failed: {}", body["error"]).into());
            }
            self.refused += 1;
            return Ok(());
        }
        let (number, at) = numbers(&reply.subject).ok_or("a reply to nothing")?;
        self.done.push(number);
        if (pace.warm_up..pace.warm_up + pace.measured).contains(&now) {
            self.admitted.push(now.saturating_sub(Duration::from_nanos(at)));
        }
        Ok(())
    }
}

/// The last two tokens of a reply subject.
fn numbers(subject: &str) -> Option<(u64, u64)> {
    let mut tokens = subject.rsplit('.');
    let at = tokens.next()?.parse().ok()?;
    Some((tokens.next()?.parse().ok()?, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_subject_tells_which_request_it_was_and_when_it_was_sent() {
        assert_eq!(numbers("_INBOX.abc.17.90210"), Some((17, 90210)));
        assert_eq!(numbers("_INBOX.abc.x.1"), None);
    }
}
