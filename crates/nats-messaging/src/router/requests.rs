//! Requests taken in, handed to the handler of their subject, and answered.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{FutureExt as _, StreamExt as _};
use headwater_core::{Failure, JSON};
use headwater_nats::header;
use headwater_nats::telemetry::opentelemetry::context::FutureExt as _;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, failure_of_error};
use super::context::Context;
use super::dispatch::{Common, Target};
use super::handler::Outcome;
use super::limits::RequestLimits;
use super::pattern::Pattern;
use super::telemetry::end_request;
use super::tree::Tree;
use crate::exchange::{Reply, Request, Requests};
use crate::message::Message;

/// How long a reply may take to be handed over.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// How many refusals may be on their way out at once. Where the client takes no more, whoever asks beyond that hears nothing.
const MOST_REFUSALS: usize = 1_024;

/// How long requests that were on their way when the router stopped may take to arrive.
const REST_WITHIN: Duration = Duration::from_secs(5);

/// Ways out for as many refusals as there may be at once.
pub(super) fn refusals() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_REFUSALS))
}

/// Answers the requests of a router.
pub(super) struct Answerer {
    pub(super) targets: Tree<Arc<Target>>,
    pub(super) fallback: Option<Arc<Target>>,
    pub(super) common: Arc<Common>,
    pub(super) limits: RequestLimits,
    pub(super) places: Arc<Semaphore>,
    pub(super) refusals: Arc<Semaphore>,
    pub(super) tasks: TaskTracker,
    /// Cancelled when what is under way is to be given up.
    pub(super) give_up: CancellationToken,
}

/// The patterns to listen to, so that every request comes. All are listened to in one queue group, which gets a request once,
/// also where two of them take it.
pub(super) fn to_listen(patterns: &[&Pattern]) -> Vec<Pattern> {
    let covered = |pattern: &Pattern| patterns.iter().any(|other| *other != pattern && other.covers(pattern));
    let mut widest: Vec<Pattern> =
        patterns.iter().filter(|pattern| !covered(pattern)).map(|pattern| Pattern::clone(pattern)).collect();
    widest.sort();
    widest.dedup();
    widest
}

impl Answerer {
    /// Takes requests in until it is told to stop, and after that those that were on their way.
    pub(super) async fn listen(self: Arc<Self>, pattern: Pattern, mut requests: Requests, stop: CancellationToken) {
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = requests.next() => next,
            };
            match next {
                Some(request) => self.take(request),
                None => return tracing::error!(%pattern, "requests are no longer listened to: the transport has ended"),
            }
        }
        requests.leave();
        let rest = async {
            while let Some(request) = requests.next().await {
                self.take(request);
            }
        };
        tokio::select! {
            _in_time = timeout(REST_WITHIN, rest) => {}
            () = self.give_up.cancelled() => {}
        }
    }

    /// Begins to answer a request, or refuses it. Never waits.
    fn take(self: &Arc<Self>, request: Request) {
        let Request { message, reply } = request;
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return self.refuse(&message, reply);
        };
        let answerer = Arc::clone(self);
        self.tasks.spawn(async move {
            let answer = answerer.answer(message).await;
            send(reply, answer.unwrap_or_else(|failure| of_failure(&failure))).await;
            drop(place);
        });
    }

    fn refuse(&self, message: &Message, reply: Option<Box<dyn Reply>>) {
        let way_out = Arc::clone(&self.refusals).try_acquire_owned().ok();
        let is_told = way_out.is_some();
        tracing::warn!(subject = message.subject, is_told, "a request was refused: as many are under way as may");
        let Some(way_out) = way_out else { return };
        let failure = Failure::unavailable("overloaded", "the service has as many requests under way as it may");
        self.tasks.spawn(async move {
            send(reply, of_failure(&failure)).await;
            drop(way_out);
        });
    }

    async fn answer(&self, message: Message) -> Result<Message, Failure> {
        let Some(target) = self.targets.first(&message.subject).or(self.fallback.as_ref()) else {
            return Err(Failure::not_found("the service does not answer requests of this subject"));
        };
        let limit = self.time_for(&message)?;
        let context = Context::request(message, &self.common.codecs);
        let began = Instant::now();
        let telemetry = self.common.telemetry.as_ref();
        let span = telemetry.and_then(|telemetry| telemetry.request(&context, target.template()));
        let handling = self.handle(target, context, limit);
        let answer = match &span {
            None => handling.await,
            Some(span) => handling.with_context(span.clone()).await,
        };
        let failure = answer.as_ref().err();
        if let Some(span) = &span {
            end_request(span, failure);
        }
        if let Some(telemetry) = telemetry {
            telemetry.answered(target.template(), &target.labels, began.elapsed(), failure);
        }
        answer
    }

    async fn handle(&self, target: &Target, context: Context, limit: Duration) -> Result<Message, Failure> {
        // The handler is called in here too, since what makes its future may panic as well.
        let handling = AssertUnwindSafe(async { target.call(&context).await }).catch_unwind();
        let done = tokio::select! {
            biased;
            done = timeout(limit, handling) => done,
            () = self.give_up.cancelled() => {
                return Err(Failure::unavailable("draining", "the service is leaving and gave the request up"));
            }
        };
        match done {
            Ok(Ok(answer)) => reply_of(answer),
            Ok(Err(_)) => {
                tracing::error!(pattern = target.template(), "a handler of requests panicked");
                Err(Failure::internal("the service failed on this request"))
            }
            Err(_) => Err(Failure::deadline_exceeded("the request took longer than it may")),
        }
    }

    /// How long a request may take: as long as the service allows, and as the caller waits.
    fn time_for(&self, message: &Message) -> Result<Duration, Failure> {
        let Some(text) = message.headers.get(header::DEADLINE) else { return Ok(self.limits.timeout) };
        let deadline = DateTime::parse_from_rfc3339(text).map_err(|_| {
            Failure::invalid_request(format!("the header `{}` must be an RFC 3339 time", header::DEADLINE))
        })?;
        let left = deadline.to_utc().signed_duration_since(Utc::now()).to_std().unwrap_or_default();
        if left.is_zero() {
            return Err(Failure::deadline_exceeded("the caller's deadline has passed"));
        }
        Ok(left.min(self.limits.timeout))
    }
}

fn reply_of(answer: Answer) -> Result<Message, Failure> {
    match answer {
        Answer::Reply(reply) => reply,
        // A layer may answer a request so.
        Answer::Event(Outcome::Done) => Ok(Message::new("", "")),
        Answer::Event(Outcome::Retry { error, .. } | Outcome::Postpone { error, .. }) => Err(failure_of_error(error)),
        Answer::Event(Outcome::Poison { reason }) => Err(Failure::invalid_request(reason)),
    }
}

/// A failure as it is told: the protocol's error object, and the headers by which a plain client notices.
pub(super) fn of_failure(failure: &Failure) -> Message {
    let body = json!({
        "success": false,
        "error": failure,
        "metadata": { "timestamp": header::format_time(Utc::now()) },
    });
    let mut message = Message::new("", body.to_string()).header(header::CONTENT_TYPE, JSON);
    for (name, values) in header::of_failure(failure).iter() {
        let name: &str = name.as_ref();
        values.iter().for_each(|value| message.headers.set(name, value.as_str()));
    }
    message
}

async fn send(reply: Option<Box<dyn Reply>>, message: Message) {
    let Some(reply) = reply else { return };
    match timeout(SEND_WITHIN, reply.send(message)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a reply could not be sent");
        }
        Err(_) => tracing::warn!("a reply could not be sent in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_is_not_listened_to_twice() {
        let patterns = ["a.b", "a.*", "a.*", "c.*.x", "c.d.*", "e"].map(|text| Pattern::new(text).unwrap());
        let listened = to_listen(&patterns.iter().collect::<Vec<_>>());
        let listened: Vec<_> = listened.iter().map(Pattern::as_str).collect();
        assert_eq!(listened, ["a.*", "c.d.*", "c.*.x", "e"]);
    }

    #[test]
    fn a_failure_is_told_as_the_protocol_has_it() {
        let failure = Failure::invalid_request("no\r\nsuch field").detail("field", "a.b");
        let message = of_failure(&failure);
        assert_eq!(message.headers.get("nats-service-error-code"), Some("400"));
        assert_eq!(message.headers.get("Nats-Service-Error"), Some("no  such field"));
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(body["success"], false);
        assert_eq!(
            (&body["error"]["code"], &body["error"]["details"]["field"]),
            (&json!("invalid-request"), &json!("a.b"))
        );
        assert!(body["metadata"]["timestamp"].is_string());
    }
}
