//! The door: what is looked at before anybody reads a request, cheapest first.

use std::sync::Arc;

use async_nats::{HeaderMap, Message, Subject};
use bytes::Bytes;
use chrono::Utc;
use headwater_core::Failure;
use headwater_nats::header;
use headwater_nats::subject::{CallKind, CallSubject};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::call::Call;
use crate::counters::Unanswerable;
use crate::endpoint::{Asks, Endpoint};
use crate::instance::{Instance, Phase};
use crate::replies::Reply;
use crate::{command, query};

/// What was learnt at the door.
struct LetIn {
    deadline: Instant,
    traceparent: Option<String>,
    place: OwnedSemaphorePermit,
}

impl Instance {
    /// Takes in one message of the commands' or the queries' subscription. It never waits, so that commands keep the order
    /// in which they arrived.
    pub(crate) fn take(self: &Arc<Self>, message: &Message) {
        let arrived = Instant::now();
        let Some(endpoint) = self.endpoints.at(&message.subject) else {
            return self.take_stray(message, arrived);
        };
        let reply = match self.reply_subject(message) {
            Ok(reply) => reply.clone(),
            Err(why) => return endpoint.counters.unanswerable(why),
        };
        match self.let_in(endpoint, message, arrived) {
            Ok(LetIn { deadline, traceparent, place }) => {
                endpoint.counters.in_flight.add(1);
                let (instance, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
                let call = Call { instance, endpoint, reply, arrived, deadline, traceparent, _place: place };
                begin(call, &message.payload);
            }
            Err(failure) => {
                endpoint.counters.failed(&failure, arrived.elapsed());
                self.turn_away(&reply, &failure, arrived);
            }
        }
    }

    /// Where the answer goes. An answer elsewhere could be stored as an event or reach an API, so there is none.
    pub(crate) fn reply_subject<'a>(&self, message: &'a Message) -> Result<&'a Subject, Unanswerable> {
        match &message.reply {
            None => Err(Unanswerable::NoReply),
            Some(reply) if self.limits.request.allows_reply(reply) => Ok(reply),
            Some(_) => Err(Unanswerable::RefusedReply),
        }
    }

    fn let_in(&self, endpoint: &Endpoint, message: &Message, arrived: Instant) -> Result<LetIn, Failure> {
        if let Some(headers) = &message.headers {
            self.limits.request.check_headers(headers)?;
        }
        self.limits.request.check_body(&message.payload)?;
        let deadline = self.deadline(message.headers.as_ref(), arrived)?;
        let traceparent = match &message.headers {
            None => None,
            Some(headers) => {
                check_content_type(headers)?;
                traceparent(headers)
            }
        };
        if self.phase.get() == Phase::Draining {
            return Err(Failure::unavailable("draining", "this instance is shutting down"));
        }
        let places = match endpoint.asks {
            Asks::Command(_) => &self.commands,
            Asks::Query(_) => &self.queries,
        };
        let place = take_place(places).ok_or_else(|| {
            Failure::unavailable("overloaded", "this instance has as many requests under way as it may")
        })?;
        Ok(LetIn { deadline, traceparent, place })
    }

    /// The moment after which the answer no longer matters.
    fn deadline(&self, headers: Option<&HeaderMap>, arrived: Instant) -> Result<Instant, Failure> {
        let Some(deadline) = headers.map(header::deadline).transpose()?.flatten() else {
            return Ok(arrived + self.limits.default_deadline);
        };
        match (deadline - Utc::now()).to_std() {
            Ok(left) if !left.is_zero() => Ok(arrived + left.min(self.limits.longest_deadline)),
            _ => Err(Failure::deadline_exceeded("the deadline had passed when the request arrived")),
        }
    }

    /// A message for something that the service does not have, or that is not for the service at all.
    fn take_stray(&self, message: &Message, arrived: Instant) {
        let Some(failure) = self.unknown(&message.subject) else {
            return self.strays.foreign.add(1);
        };
        match self.reply_subject(message) {
            Ok(reply) => {
                self.strays.unknown.failed(&failure, arrived.elapsed());
                self.turn_away(reply, &failure, arrived);
            }
            Err(why) => self.strays.unknown.unanswerable(why),
        }
    }

    /// What the service does not have; none when the subject is not the service's.
    fn unknown(&self, subject: &str) -> Option<Failure> {
        let name = self.name();
        let Some(CallSubject { kind, aggregate, name: asked }) = self.subjects.parse_call(subject) else {
            let rest = subject.strip_prefix(name.as_str())?;
            return (rest.starts_with(".command.") || rest.starts_with(".query.")).then(|| {
                Failure::invalid_request(format!(
                    "a request's subject is `{name}.command|query.{{aggregate}}.{{name}}`"
                ))
            });
        };
        let (aggregate, asked) = (short(aggregate), short(asked));
        Some(match (self.dispatcher.aggregate_type(&aggregate), kind) {
            (None, _) => Failure::invalid_request(format!("there is no aggregate type `{aggregate}`")),
            (Some(_), CallKind::Command) => {
                Failure::invalid_request(format!("aggregate `{aggregate}` has no command `{asked}`"))
            }
            (Some(_), CallKind::Query) => Failure::not_found(format!("aggregate `{aggregate}` has no query `{asked}`")),
        })
    }

    /// Answers a request that could not be taken in because of a bug.
    pub(crate) fn apologise(&self, message: &Message) {
        if let Ok(reply) = self.reply_subject(message) {
            self.turn_away(reply, &Failure::internal("taking the request in panicked"), Instant::now());
        }
    }

    fn turn_away(&self, reply: &Subject, failure: &Failure, arrived: Instant) {
        let served = headwater_nats::reply::Served::now(&self.id).took(arrived.elapsed());
        self.answer_now(reply, &Reply::failure(failure, &served, self.max_reply()));
    }
}

fn begin(call: Call, body: &Bytes) {
    // A name or question costs nothing to clone: names of types are literals.
    match call.endpoint.asks.clone() {
        Asks::Command(name) => command::begin(call, &name, body),
        Asks::Query(question) => query::begin(call, question, body.clone()),
    }
}

fn take_place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(places).try_acquire_owned().ok()
}

/// Names come from the caller here, and may be long.
fn short(name: &str) -> String {
    name.chars().take(80).collect()
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(content_type) = header::get(headers, header::CONTENT_TYPE) else { return Ok(()) };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(header::APPLICATION_JSON) {
        return Ok(());
    }
    let (name, expected) = (header::CONTENT_TYPE, header::APPLICATION_JSON);
    Err(Failure::invalid_request(format!("the header `{name}` must be `{expected}`")))
}

/// The caller's trace, if it is one: a broken trace context is ignored, as W3C asks, and never fails a request.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let value = header::get(headers, header::TRACEPARENT)?;
    is_traceparent(value).then(|| value.to_owned())
}

/// `{version}-{trace id}-{parent id}-{flags}`, all lower-case hex; later versions may go on after another dash.
fn is_traceparent(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.len() < 55 || bytes.len() > 128 || value.starts_with("ff") {
        return false;
    }
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let dashes = [2, 35, 52];
    let shape =
        bytes[..55].iter().enumerate().all(|(at, byte)| if dashes.contains(&at) { *byte == b'-' } else { hex(byte) });
    let rest = match bytes.get(55) {
        None => true,
        Some(next) => *next == b'-' && !value.starts_with("00") && bytes.iter().all(u8::is_ascii_graphic),
    };
    let all_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    shape && rest && !all_zero(&bytes[3..35]) && !all_zero(&bytes[36..52])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_taken_only_when_it_is_one() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(good));
        assert!(is_traceparent(&format!("01{}-more", &good[2..])));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &format!("ff{}", &good[2..]),
            &format!("{good}-more"),
            &format!("01{}-\n", &good[2..]),
            &format!("01{}-{}", &good[2..], "x".repeat(100)),
            &good.replace('-', "_"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }

    #[test]
    fn only_json_is_read() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", value);
            check_content_type(&headers)
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", " application/json "] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "text/plain", "application/xml", "application/json2", "application/cloudevents+json"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
