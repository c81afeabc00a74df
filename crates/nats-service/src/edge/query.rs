//! Queries: `get`, `history` and the further queries of an aggregate type.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_core::Failure;
use headwater_core::call::{EntityReply, HistoryReply, QueryReply, RequestMetadata};
use headwater_nats::{reply, request};
use opentelemetry::context::FutureExt as _;

use super::ticket::{ids, panicked};
use super::{Answer, Request};
use crate::auth::{attribute, try_attribute};
use crate::endpoint::Question;

/// What a query found.
enum Found {
    Entity(EntityReply),
    History(HistoryReply),
    Answer(QueryReply),
}

/// Reads and answers a query: at once what is in memory and fresh enough, and anything else on a task of its own; queries
/// have no order to keep.
pub(super) fn begin(mut request: Request, question: Question) {
    if matches!(question, Question::Get)
        && let Some(written) = get_at_once(&request)
        && request.ticket.answer_now(written)
    {
        return;
    }
    let body = take_body(&mut request);
    let (tasks, span) = (request.ticket.instance.tasks.clone(), request.ticket.span.clone());
    let answered = async move {
        let mut said = None;
        let outcome = outcome(&request, &question, &body, &mut said).await;
        request.ticket.answer(outcome, said.as_ref()).await;
    };
    match span {
        None => tasks.spawn(answered),
        Some(span) => tasks.spawn(answered.with_context(span)),
    };
}

/// The same for whoever waits for the answer.
pub(super) async fn run(mut request: Request, question: Question) -> Answer {
    if matches!(question, Question::Get)
        && let Some(written) = get_at_once(&request)
    {
        return Answer { outcome: Ok(written) };
    }
    let body = take_body(&mut request);
    let mut said = None;
    let outcome = outcome(&request, &question, &body, &mut said).await;
    if let Some(said) = said {
        request.ticket.note(&said);
    }
    Answer { outcome }
}

/// The answer may take long; the message need not stay in memory for it.
fn take_body(request: &mut Request) -> Bytes {
    request.headers = None;
    std::mem::take(&mut request.body)
}

/// The answer to a `get` from memory, if that will do. What is odd in any way is left to the long way.
fn get_at_once(request: &Request) -> Option<Bytes> {
    let (ticket, body) = (&request.ticket, &request.body);
    ticket.instance.accepts.check_depth(body).ok()?;
    let mut get = request::read_get(body, ticket.endpoint.aggregate.clone()).ok()?;
    try_attribute(request, &mut get.aggregate, &mut get.metadata).ok()?;
    let entity = ticket.instance.dispatcher.get_now(&get)?;
    let said = ids(&get.metadata);
    let written = reply::write_entity(&entity, &ticket.served(Some(&said)));
    (written.len() <= ticket.instance.max_reply()).then(|| written.into())
}

async fn outcome(
    request: &Request,
    question: &Question,
    body: &Bytes,
    said: &mut Option<RequestMetadata>,
) -> Result<Bytes, Failure> {
    let ticket = &request.ticket;
    tokio::select! {
        biased;
        done = AssertUnwindSafe(answer(request, question, body, said)).catch_unwind() => {
            done.unwrap_or_else(|panic| Err(panicked(&ticket.endpoint, &*panic)))
        }
        () = ticket.instance.give_up.cancelled() => Err(ticket.given_up_query()),
    }
}

async fn answer(
    request: &Request,
    question: &Question,
    body: &Bytes,
    said: &mut Option<RequestMetadata>,
) -> Result<Bytes, Failure> {
    let found = find(request, question, body, said).await?;
    let ticket = &request.ticket;
    let served = ticket.served(said.as_ref());
    let limit = ticket.instance.max_reply();
    let written = match &found {
        Found::Entity(entity) => reply::write_entity(entity, &served),
        Found::Answer(answer) => reply::write_query(answer, &served),
        Found::History(page) => reply::write_history(page, ticket.instance.name(), &served, limit)?,
    };
    if written.len() <= limit {
        return Ok(written.into());
    }
    let size = written.len();
    Err(Failure::payload_too_large(format!("the reply would have {size} bytes; at most {limit} may be sent"))
        .detail("limit", limit))
}

async fn find(
    request: &Request,
    question: &Question,
    body: &Bytes,
    said: &mut Option<RequestMetadata>,
) -> Result<Found, Failure> {
    let (ticket, deadline) = (&request.ticket, request.deadline);
    let dispatcher = &ticket.instance.dispatcher;
    let kind = ticket.endpoint.aggregate.clone();
    ticket.instance.accepts.check_depth(body)?;
    match question {
        Question::Get => {
            let mut query = request::read_get(body, kind)?;
            *said = Some(ids(&query.metadata));
            attribute(request, &mut query.aggregate, &mut query.metadata)?;
            dispatcher.get(query, deadline).await.map(Found::Entity)
        }
        Question::History => {
            let mut query = request::read_history(body, kind)?;
            *said = Some(ids(&query.metadata));
            attribute(request, &mut query.aggregate, &mut query.metadata)?;
            dispatcher.history(query, deadline).await.map(Found::History)
        }
        Question::Further(name) => {
            let mut query = request::read_query(body, kind, name.as_str())?;
            *said = Some(ids(&query.metadata));
            attribute(request, &mut query.aggregate, &mut query.metadata)?;
            dispatcher.query(query, deadline).await.map(Found::Answer)
        }
    }
}
