//! Commands: read in the order of arrival, run side by side, answered one by one.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_core::call::{CommandReply, RequestMetadata};
use headwater_core::dispatch::PendingCommand;
use headwater_core::{Failure, Name};
use headwater_nats::{reply, request};

use crate::call::{Call, identify, ids, panicked};

/// Reads a command and takes its place in the aggregate's lane; a task of its own sees it through.
pub(crate) fn begin(call: Call, name: &Name, body: &Bytes) {
    let read = call
        .instance
        .limits
        .request
        .check_depth(body)
        .and_then(|()| request::read_command(body, call.endpoint.aggregate.clone(), name.as_str()));
    let mut request = match read {
        Ok(request) => request,
        Err(failure) => return call.refuse(&failure),
    };
    request.metadata.traceparent.clone_from(&call.traceparent);
    identify(&mut request.metadata);
    let said = ids(&request.metadata);
    let pending = call.instance.dispatcher.submit(request, call.deadline);
    let tasks = call.instance.tasks.clone();
    tasks.spawn(see_through(call, said, pending));
}

async fn see_through(call: Call, said: RequestMetadata, pending: PendingCommand) {
    let outcome = tokio::select! {
        biased;
        done = AssertUnwindSafe(pending).catch_unwind() => {
            done.unwrap_or_else(|panic| Err(panicked(&call.endpoint, &*panic)))
        }
        () = call.instance.give_up.cancelled() => {
            call.instance.given_up.add(1);
            let message = "this instance stopped before the command was done; send the same commandId again";
            Err(Failure::outcome_unknown(message).detail("reason", "draining"))
        }
    };
    let written = outcome.and_then(|done| write(&call, &done));
    call.answer(written, Some(&said)).await;
}

/// The reply to a command that was done. When its state does not fit, the caller has to learn that it was done all the same.
fn write(call: &Call, done: &CommandReply) -> Result<Vec<u8>, Failure> {
    let body = reply::write_command(done, &call.served(None));
    let limit = call.instance.max_reply();
    if body.len() <= limit {
        return Ok(body);
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
