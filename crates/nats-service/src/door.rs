//! The door: what becomes of a message that a subscription for requests delivered.

use std::sync::Arc;

use async_nats::{Message, Subject};
use headwater_core::Failure;
use headwater_nats::subject::{CallKind, CallSubject};
use tokio::time::Instant;

use crate::counters::Unanswerable;
use crate::edge::{self, Request, Ticket};
use crate::instance::Instance;
use crate::replies::Reply;
use crate::requests::Share;

impl Instance {
    /// Takes in one message of the commands' or the queries' subscription. It never waits, so that commands keep the order
    /// in which they arrived.
    pub(crate) fn take(self: &Arc<Self>, message: Message, share: Share) {
        let arrived = Instant::now();
        let Some(endpoint) = self.endpoints.at(&message.subject) else {
            return self.take_stray(&message, arrived);
        };
        if endpoint.is_apart != (share == Share::One) {
            // It comes by the other subscription too, to whomever its queue group picks.
            return;
        }
        let reply = match self.reply_subject(&message) {
            Ok(reply) => reply.clone(),
            Err(why) => return endpoint.counters.unanswerable(why),
        };
        let headers = message.headers.as_ref();
        let span = self.telemetry.as_ref().and_then(|telemetry| telemetry.arrived(&endpoint.method, headers));
        let (instance, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
        edge::enter(Request {
            deadline: arrived + self.limits.default_deadline.get(),
            ticket: Ticket { instance, endpoint, reply, arrived, said: None, span },
            headers: message.headers,
            body: message.payload,
            caller: None,
            place: None,
        });
    }

    /// Where the answer goes. An answer elsewhere could be stored as an event or reach an API, so there is none.
    pub(crate) fn reply_subject<'a>(&self, message: &'a Message) -> Result<&'a Subject, Unanswerable> {
        match &message.reply {
            None => Err(Unanswerable::NoReply),
            Some(reply) if self.accepts.allows_reply(reply) => Ok(reply),
            Some(_) => Err(Unanswerable::RefusedReply),
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
    pub(crate) fn apologise(&self, reply: Option<&Subject>) {
        if let Some(reply) = reply.filter(|reply| self.accepts.allows_reply(reply)) {
            self.turn_away(reply, &Failure::internal("taking the request in panicked"), Instant::now());
        }
    }

    fn turn_away(&self, reply: &Subject, failure: &Failure, arrived: Instant) {
        let served = headwater_nats::reply::Served::now(&self.id).took(arrived.elapsed());
        self.answer_now(reply, &Reply::failure(failure, &served, self.max_reply()));
    }
}

/// Names come from the caller here, and may be long.
fn short(name: &str) -> String {
    name.chars().take(80).collect()
}
