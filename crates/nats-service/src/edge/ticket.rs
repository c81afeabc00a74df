//! Where the answer to a request goes, and how it is counted.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use async_nats::Subject;
use bytes::Bytes;
use headwater_core::call::RequestMetadata;
use headwater_core::{CommandId, Failure};
use headwater_nats::reply::Served;
use opentelemetry::Context;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::instance::Instance;
use crate::replies::Reply;

/// Where the answer to a request goes, and how it is counted.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) instance: Arc<Instance>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) reply: Subject,
    pub(crate) arrived: Instant,
    /// What the request says of itself, once it is read; for those that answer before it comes to an end.
    pub(crate) said: Option<Arc<OnceLock<RequestMetadata>>>,
    /// The span of the call, with telemetry on.
    pub(crate) span: Option<Context>,
}

impl Ticket {
    /// How the request was served, up to now.
    pub(crate) fn served<'a>(&'a self, said: Option<&'a RequestMetadata>) -> Served<'a> {
        let served = Served::now(&self.instance.id).took(self.arrived.elapsed());
        match said {
            Some(said) => served.request(said),
            None => served,
        }
    }

    /// Sends the answer and counts it.
    pub(crate) async fn answer(&self, outcome: Result<Bytes, Failure>, said: Option<&RequestMetadata>) {
        let counters = &self.endpoint.counters;
        let reply = match outcome {
            Ok(body) => {
                counters.succeeded(self.arrived.elapsed());
                self.record(None);
                Reply::result(body)
            }
            Err(failure) => {
                counters.failed(&failure, self.arrived.elapsed());
                self.record(Some(&failure));
                Reply::failure(&failure, &self.served(said), self.instance.max_reply())
            }
        };
        self.instance.answer(&self.reply, &reply).await;
    }

    /// Sends a result and counts it, if the client takes it at once.
    pub(crate) fn answer_now(&self, body: Bytes) -> bool {
        let sent = self.instance.try_answer(&self.reply, &Reply::result(body));
        if sent {
            self.endpoint.counters.succeeded(self.arrived.elapsed());
            self.record(None);
        }
        sent
    }

    /// Ends the call in traces and metrics.
    fn record(&self, failure: Option<&Failure>) {
        if let Some(telemetry) = &self.instance.telemetry {
            telemetry.answered(&self.endpoint.method, self.span.as_ref(), self.arrived, failure);
        }
    }

    /// Notes what the request says of itself, for an answer that does not come from its end.
    pub(crate) fn note(&self, said: &RequestMetadata) {
        if let Some(noted) = &self.said {
            // A request is read once.
            let _ = noted.set(ids(said));
        }
    }

    /// What the caller of a command is told when the instance stops before it is done.
    pub(crate) fn given_up_command(&self) -> Failure {
        self.instance.given_up.add(1);
        let message = "this instance stopped before the command was done; send the same commandId again";
        Failure::outcome_unknown(message).detail("reason", "draining")
    }

    /// What the caller of a query is told when the instance stops before it is done.
    pub(crate) fn given_up_query(&self) -> Failure {
        self.instance.given_up.add(1);
        Failure::unavailable("draining", "this instance is shutting down")
    }

    /// Sends a failure without waiting for anything: for the loop that takes requests in.
    pub(crate) fn refuse(&self, failure: &Failure) {
        self.endpoint.counters.failed(failure, self.arrived.elapsed());
        self.record(Some(failure));
        let said = self.said.as_ref().and_then(|said| said.get());
        let reply = Reply::failure(failure, &self.served(said), self.instance.max_reply());
        self.instance.answer_now(&self.reply, &reply);
    }
}

/// What a failure's reply repeats of what the caller said.
pub(crate) fn ids(said: &RequestMetadata) -> RequestMetadata {
    RequestMetadata {
        command_id: said.command_id.clone(),
        correlation_id: said.correlation_id.clone(),
        ..RequestMetadata::default()
    }
}

/// Gives the command an id if the caller did not: an answer that says "send it again" must name it.
pub(crate) fn identify(said: &mut RequestMetadata) {
    said.command_id.get_or_insert_with(CommandId::generate);
}

/// What a caller gets for a panic that got as far as the edge.
pub(crate) fn panicked(endpoint: &Endpoint, panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(endpoint = endpoint.name, panic = text.unwrap_or("no text"), "serving a request panicked");
    Failure::internal("serving the request panicked")
}
