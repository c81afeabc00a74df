//! Queries: `get`, `history` and the further queries of an aggregate type.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_core::Failure;
use headwater_core::call::{EntityReply, HistoryReply, QueryReply, RequestMetadata};
use headwater_nats::{reply, request};

use crate::call::{Call, ids, panicked};
use crate::endpoint::Question;

/// What a query found.
enum Found {
    Entity(EntityReply),
    History(HistoryReply),
    Answer(QueryReply),
}

/// Reads and answers a query: at once what is in memory and fresh enough, and anything else on a task of its own; queries
/// have no order to keep.
pub(crate) fn begin(call: Call, question: Question, body: Bytes) {
    if matches!(question, Question::Get) && answered_at_once(&call, &body) {
        return;
    }
    let tasks = call.instance.tasks.clone();
    tasks.spawn(see_through(call, question, body));
}

/// Answers a `get` from memory, if that will do. What is odd in any way is left to the long way.
fn answered_at_once(call: &Call, body: &Bytes) -> bool {
    if call.instance.limits.request.check_depth(body).is_err() {
        return false;
    }
    let Ok(request) = request::read_get(body, call.endpoint.aggregate.clone()) else { return false };
    let Some(entity) = call.instance.dispatcher.get_now(&request) else { return false };
    let said = ids(&request.metadata);
    let written = reply::write_entity(&entity, &call.served(Some(&said)));
    written.len() <= call.instance.max_reply() && call.answer_now(written)
}

async fn see_through(call: Call, question: Question, body: Bytes) {
    let mut said = None;
    let outcome = tokio::select! {
        biased;
        done = AssertUnwindSafe(answer(&call, &question, &body, &mut said)).catch_unwind() => {
            done.unwrap_or_else(|panic| Err(panicked(&call.endpoint, &*panic)))
        }
        () = call.instance.give_up.cancelled() => {
            call.instance.given_up.add(1);
            Err(Failure::unavailable("draining", "this instance is shutting down"))
        }
    };
    call.answer(outcome, said.as_ref()).await;
}

async fn answer(
    call: &Call,
    question: &Question,
    body: &Bytes,
    said: &mut Option<RequestMetadata>,
) -> Result<Vec<u8>, Failure> {
    let found = find(call, question, body, said).await?;
    let served = call.served(said.as_ref());
    let limit = call.instance.max_reply();
    let written = match &found {
        Found::Entity(entity) => reply::write_entity(entity, &served),
        Found::Answer(answer) => reply::write_query(answer, &served),
        Found::History(page) => reply::write_history(page, call.instance.name(), &served, limit)?,
    };
    if written.len() <= limit {
        return Ok(written);
    }
    let size = written.len();
    Err(Failure::payload_too_large(format!("the reply would have {size} bytes; at most {limit} may be sent"))
        .detail("limit", limit))
}

async fn find(
    call: &Call,
    question: &Question,
    body: &Bytes,
    said: &mut Option<RequestMetadata>,
) -> Result<Found, Failure> {
    let (dispatcher, deadline) = (&call.instance.dispatcher, call.deadline);
    let kind = call.endpoint.aggregate.clone();
    call.instance.limits.request.check_depth(body)?;
    match question {
        Question::Get => {
            let request = request::read_get(body, kind)?;
            *said = Some(ids(&request.metadata));
            dispatcher.get(request, deadline).await.map(Found::Entity)
        }
        Question::History => {
            let request = request::read_history(body, kind)?;
            *said = Some(ids(&request.metadata));
            dispatcher.history(request, deadline).await.map(Found::History)
        }
        Question::Further(name) => {
            let request = request::read_query(body, kind, name.as_str())?;
            *said = Some(ids(&request.metadata));
            dispatcher.query(request, deadline).await.map(Found::Answer)
        }
    }
}
