//! The way of a request through stages and layers, where there are layers.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_core::Failure;
use headwater_core::call::RequestMetadata;
use headwater_nats::subject::CallKind;
use opentelemetry::context::FutureExt as _;
use tokio::task::unconstrained;
use tokio::time::sleep_until;
use tower::{BoxError, Service, ServiceExt};

use super::layers::Next;
use super::stages::overloaded;
use super::ticket::panicked;
use super::{Answer, Passage, Request, Stage, Ticket, command, known, query};
use crate::endpoint::Asks;

/// Whatever ends at its deadline has ended so long after the last deadline there can be; what has not is stuck in a layer.
const GRACE: Duration = Duration::from_secs(1);

/// The way of a request through stages and layers.
#[derive(Clone)]
pub(crate) struct Stack(Next);

impl Stack {
    pub(super) fn new(outermost: Next) -> Self {
        Self(outermost)
    }

    /// Takes a request through. It never waits.
    pub(super) fn enter(self, mut request: Request) {
        let Ok(waiting) = Arc::clone(&request.ticket.instance.waiting).try_acquire_owned() else {
            return request.ticket.refuse(&overloaded("waiting", "as many requests wait in layers as may"));
        };
        let (said, kind) = (Arc::new(OnceLock::new()), request.kind());
        request.ticket.said = Some(Arc::clone(&said));
        let ticket = request.ticket.clone();
        let way = AssertUnwindSafe(self.0.oneshot(request)).catch_unwind();
        let mut way = match ticket.span.clone() {
            None => way.boxed(),
            Some(span) => way.with_context(span).boxed(),
        };
        // As far as it goes, here: requests that no layer holds up reach their lanes in the order in which they arrived.
        match unconstrained(&mut way).now_or_never().map(|done| judge(&ticket, done)) {
            Some(Err(failure)) => ticket.refuse(&failure),
            Some(Ok(body)) if !ticket.answer_now(body.clone()) => {
                let tasks = ticket.instance.tasks.clone();
                tasks.spawn(async move { ticket.answer(Ok(body), said.get()).await });
            }
            Some(Ok(_)) => {}
            None => {
                let tasks = ticket.instance.tasks.clone();
                tasks.spawn(async move {
                    let _waiting = waiting;
                    let outcome = tokio::select! {
                        biased;
                        done = way => judge(&ticket, done),
                        () = ticket.instance.give_up.cancelled() => Err(given_up(&ticket, kind, &said)),
                        () = sleep_until(ticket.arrived + ticket.instance.limits.longest_deadline.get() + GRACE) => {
                            Err(Failure::deadline_exceeded("a layer of the service held the request up for too long"))
                        }
                    };
                    ticket.answer(outcome, said.get()).await;
                });
            }
        }
    }
}

fn given_up(ticket: &Ticket, kind: CallKind, said: &OnceLock<RequestMetadata>) -> Failure {
    match kind {
        // It has reached its aggregate, and may have taken effect.
        CallKind::Command if said.get().is_some() => ticket.given_up_command(),
        _ => ticket.given_up_query(),
    }
}

/// What is told of how the way ended.
fn judge(ticket: &Ticket, done: std::thread::Result<Result<Answer, BoxError>>) -> Result<Bytes, Failure> {
    match done {
        Ok(Ok(answer)) => answer.outcome,
        Ok(Err(error)) => Err(failure_of(ticket, error)),
        Err(panic) => Err(panicked(&ticket.endpoint, &*panic)),
    }
}

/// The failure that an error of a layer stands for.
fn failure_of(ticket: &Ticket, error: BoxError) -> Failure {
    let error = match error.downcast::<Failure>() {
        Ok(failure) => return *failure,
        Err(error) => error,
    };
    if error.is::<tower::timeout::error::Elapsed>() {
        return Failure::deadline_exceeded("the service allows this request less time than it took");
    }
    if error.is::<tower::load_shed::error::Overloaded>() {
        return overloaded("layer", "the service has as many requests of this kind under way as it may");
    }
    tracing::error!(endpoint = ticket.endpoint.name, error, "a layer of the service failed");
    Failure::internal("a layer of the service failed")
}

/// The innermost: the aggregate.
#[derive(Clone)]
pub(super) struct Dispatch;

impl Service<Request> for Dispatch {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match &request.ticket.endpoint.asks {
            Asks::Command(_) => command::run(request).map(Ok).boxed(),
            Asks::Query(question) => {
                let question = question.clone();
                query::run(request, question).map(Ok).boxed()
            }
        }
    }
}

/// Stages that follow one another, and what follows them.
#[derive(Clone)]
pub(super) struct Stages {
    pub(super) stages: &'static [Stage],
    pub(super) next: Next,
}

impl Service<Request> for Stages {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        through(request, self.stages, self.next.clone()).boxed()
    }
}

async fn through(mut request: Request, stages: &'static [Stage], next: Next) -> Result<Answer, BoxError> {
    for stage in stages {
        match stage.pass(&mut request) {
            Passage::On => {}
            Passage::Refused(failure) => return Ok(failure.into()),
            Passage::Asking(asking) => match known(request, asking).await {
                Ok(known) => request = known,
                Err((_, failure)) => return Ok(failure.into()),
            },
        }
    }
    next.oneshot(request).await
}

/// A layer for the requests of one endpoint; others pass it by.
#[derive(Clone)]
pub(super) struct OnlyFor {
    pub(super) endpoint: String,
    pub(super) layered: Next,
    pub(super) next: Next,
}

impl Service<Request> for OnlyFor {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let next = if request.ticket.endpoint.name == self.endpoint { &self.layered } else { &self.next };
        next.clone().oneshot(request).boxed()
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}
