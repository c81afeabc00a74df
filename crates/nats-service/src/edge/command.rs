//! Commands: read in the order of arrival, run side by side, answered one by one.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_core::Failure;
use headwater_core::call::{CommandReply, RequestMetadata};
use headwater_core::dispatch::PendingCommand;
use headwater_nats::telemetry::context::is_traceparent;
use headwater_nats::{header, reply, request};
use opentelemetry::context::FutureExt as _;

use super::ticket::{Ticket, identify, ids, panicked};
use super::{Answer, Request};
use crate::auth::attribute;
use crate::telemetry::traceparent;

/// Reads a command and takes its place in the aggregate's lane; a task of its own sees it through.
pub(super) fn begin(mut request: Request) {
    let (said, pending) = match submit(&mut request) {
        Ok(submitted) => submitted,
        Err(failure) => return request.ticket.refuse(&failure),
    };
    let (tasks, span) = (request.ticket.instance.tasks.clone(), request.ticket.span.clone());
    let seen_through = async move {
        let outcome = outcome(&request.ticket, pending).await;
        request.ticket.answer(outcome, Some(&said)).await;
    };
    match span {
        None => tasks.spawn(seen_through),
        Some(span) => tasks.spawn(seen_through.with_context(span)),
    };
}

/// The same for whoever waits for the answer. The place in the lane is taken before this returns.
pub(super) fn run(mut request: Request) -> impl Future<Output = Answer> + Send + 'static {
    let submitted = submit(&mut request);
    async move {
        let outcome = match submitted {
            Ok((_, pending)) => outcome(&request.ticket, pending).await,
            Err(failure) => Err(failure),
        };
        Answer { outcome }
    }
}

fn submit(request: &mut Request) -> Result<(RequestMetadata, PendingCommand), Failure> {
    // What follows may take long; the message need not stay in memory for it.
    let (headers, body) = (request.headers.take(), std::mem::take(&mut request.body));
    let ticket = &request.ticket;
    let (instance, endpoint) = (&ticket.instance, &ticket.endpoint);
    instance.accepts.check_depth(&body)?;
    let mut command = request::read_command(&body, endpoint.aggregate.clone(), endpoint.asks.name())?;
    let sent = headers.as_ref().and_then(|headers| header::get(headers, header::TRACEPARENT));
    command.metadata.traceparent = sent.filter(|value| is_traceparent(value)).map(str::to_owned);
    attribute(request, &mut command.aggregate, &mut command.metadata)?;
    identify(&mut command.metadata);
    if let (Some(telemetry), Some(span)) = (&instance.telemetry, &ticket.span) {
        command.metadata.traceparent = traceparent(span).or(command.metadata.traceparent);
        telemetry.identify(span, &command.aggregate, &command.metadata);
    }
    let said = ids(&command.metadata);
    ticket.note(&said);
    Ok((said, instance.dispatcher.submit(command, request.deadline)))
}

async fn outcome(ticket: &Ticket, pending: PendingCommand) -> Result<Bytes, Failure> {
    let outcome = tokio::select! {
        biased;
        done = AssertUnwindSafe(pending).catch_unwind() => {
            done.unwrap_or_else(|panic| Err(panicked(&ticket.endpoint, &*panic)))
        }
        () = ticket.instance.give_up.cancelled() => Err(ticket.given_up_command()),
    };
    outcome.and_then(|done| write(ticket, &done))
}

/// The reply to a command that was done. When its state does not fit, the caller has to learn that it was done all the same.
fn write(ticket: &Ticket, done: &CommandReply) -> Result<Bytes, Failure> {
    let body = reply::write_command(done, &ticket.served(None));
    let limit = ticket.instance.max_reply();
    if body.len() <= limit {
        return Ok(body.into());
    }
    let message = format!(
        "the command was carried out, at revision {}, but the reply would have {} bytes and at most {limit} may be sent; \
         ask with `return`: `revision` for a reply without the state",
        done.revision,
        body.len()
    );
    Err(Failure::payload_too_large(message)
        .detail("executed", true)
        .detail("revision", done.revision.get())
        .detail("sequence", done.sequence.get())
        .detail("replayed", done.replayed)
        .detail("limit", limit))
}
