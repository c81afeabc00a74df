//! One request that was let in, and its answer.

use std::any::Any;
use std::sync::Arc;

use async_nats::Subject;
use headwater_core::call::RequestMetadata;
use headwater_core::{CommandId, Failure};
use headwater_nats::reply::Served;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::instance::Instance;
use crate::replies::Reply;

/// A request that was let in. It occupies a place until it is dropped.
pub(crate) struct Call {
    pub(crate) instance: Arc<Instance>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) reply: Subject,
    pub(crate) arrived: Instant,
    pub(crate) deadline: Instant,
    /// The trace the caller is in.
    pub(crate) traceparent: Option<String>,
    pub(crate) _place: OwnedSemaphorePermit,
}

impl Call {
    /// How the request was served, up to now.
    pub(crate) fn served<'a>(&'a self, said: Option<&'a RequestMetadata>) -> Served<'a> {
        let served = Served::now(&self.instance.id).took(self.arrived.elapsed());
        match said {
            Some(said) => served.request(said),
            None => served,
        }
    }

    /// Sends the answer and counts it.
    pub(crate) async fn answer(&self, outcome: Result<Vec<u8>, Failure>, said: Option<&RequestMetadata>) {
        let counters = &self.endpoint.counters;
        let reply = match outcome {
            Ok(body) => {
                counters.succeeded(self.arrived.elapsed());
                Reply::result(body)
            }
            Err(failure) => {
                counters.failed(&failure, self.arrived.elapsed());
                Reply::failure(&failure, &self.served(said), self.instance.max_reply())
            }
        };
        self.instance.answer(&self.reply, &reply).await;
    }

    /// Sends a result and counts it, if the client takes it at once.
    pub(crate) fn answer_now(&self, body: Vec<u8>) -> bool {
        let sent = self.instance.try_answer(&self.reply, &Reply::result(body));
        if sent {
            self.endpoint.counters.succeeded(self.arrived.elapsed());
        }
        sent
    }

    /// Sends a failure without waiting for anything: for the loop that takes requests in.
    pub(crate) fn refuse(&self, failure: &Failure) {
        self.endpoint.counters.failed(failure, self.arrived.elapsed());
        let reply = Reply::failure(failure, &self.served(None), self.instance.max_reply());
        self.instance.answer_now(&self.reply, &reply);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.endpoint.counters.in_flight.sub(1);
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
