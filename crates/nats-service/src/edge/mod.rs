//! The edge: what is looked at before anybody reads a request, cheapest first, and the layers of yours between.
//!
//! Every request passes the [stages](Stage) in their order; what fails first is the answer. They run one after the other in
//! the loop that takes messages in, so that commands keep the order in which they arrived. Only what has to wait (a caller to
//! be asked about, a layer that waits) goes on on a task of its own, and a request that need not wait may pass it.
//!
//! A [`tower::Layer`] stands before or after a stage, for the whole service or for one command or query. It sees the
//! [`Request`] before and the [`Answer`] after; `tower`'s own timeout, concurrency limit and load shed work too:
//!
//! ```
//! use std::time::Duration;
//!
//! use headwater_core::{Failure, FailureCode};
//! use headwater_nats_service::Service;
//! use headwater_nats_service::edge::{Answer, At, Next, Request, Stage};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! // Nobody adds items on behalf of the old till.
//! let no_old_till = tower::layer::layer_fn(|next: Next| {
//!     tower::service_fn(move |request: Request| {
//!         let next = next.clone();
//!         async move {
//!             if request.header("Till-Version") == Some("1") {
//!                 return Ok(Answer::refusal(Failure::new(FailureCode::Forbidden, "this till is too old")));
//!             }
//!             next.oneshot(request).await
//!         }
//!     })
//! });
//! let service = Service::builder("receipts", "1.0.0")
//!     .layer(At::after(Stage::Deadline).command("receipt", "add-item"), no_old_till)
//!     .layer(
//!         At::before(Stage::Admission),
//!         ServiceBuilder::new().load_shed().concurrency_limit(500).timeout(Duration::from_secs(2)).into_inner(),
//!     );
//! # let _ = service;
//! ```
//!
//! - An error of a layer is an answer: a [`Failure`] is told as it is, tower's elapsed time as 504 `deadline-exceeded`, its
//!   overload as 503 `unavailable` with the reason `overloaded`, and anything else as 500 `internal` and in the log. So is a
//!   panic.
//! - A layer that gives a command up after it has reached its aggregate does not undo it: its 504 says, as every 504, that the
//!   same `commandId` may be sent again.
//! - At most four times as many requests as [may be under way](crate::Limits::in_flight) wait in layers; more are refused as
//!   `overloaded`. What a layer holds for a second longer than the longest deadline there can be is answered 504.
//! - Without layers there is no stack, and a request costs what it cost before.

mod answer;
mod at;
mod command;
mod layers;
mod query;
mod request;
mod stack;
mod stage;
mod stages;
mod ticket;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_core::Failure;
use tokio::time::timeout_at;

use crate::endpoint::Asks;

pub use answer::Answer;
pub use at::At;
pub use headwater_nats::auth::Caller;
pub(crate) use layers::Layers;
pub use layers::Next;
pub use request::Request;
pub(crate) use stack::Stack;
pub use stage::Stage;
pub(crate) use stages::Passage;
pub(crate) use ticket::Ticket;

/// Takes a request through the edge. It never waits.
pub(crate) fn enter(request: Request) {
    match &request.ticket.instance.stack {
        None => pass(request, &Stage::ALL),
        Some(stack) => stack.clone().enter(request),
    }
}

/// Takes a request through these stages, the last there are.
fn pass(mut request: Request, stages: &'static [Stage]) {
    for (number, stage) in stages.iter().enumerate() {
        match stage.pass(&mut request) {
            Passage::On => {}
            Passage::Refused(failure) => return request.ticket.refuse(&failure),
            Passage::Asking(asking) => return pass_later(request, asking, &stages[number + 1..]),
        }
    }
    // A name or question costs nothing to clone: names of types are literals.
    match &request.ticket.endpoint.asks {
        Asks::Command(_) => command::begin(request),
        Asks::Query(question) => {
            let question = question.clone();
            query::begin(request, question);
        }
    }
}

/// Goes on when the caller is known.
fn pass_later(request: Request, asking: Asking, rest: &'static [Stage]) {
    let tasks = request.ticket.instance.tasks.clone();
    tasks.spawn(async move {
        match known(request, asking).await {
            Ok(request) => pass(request, rest),
            Err((ticket, failure)) => ticket.refuse(&failure),
        }
    });
}

type Asking = BoxFuture<'static, Result<Arc<Caller>, Failure>>;

/// The request with its caller, or what its caller is told.
async fn known(mut request: Request, asking: Asking) -> Result<Request, (Ticket, Failure)> {
    let ticket = &request.ticket;
    let asked = tokio::select! {
        biased;
        asked = timeout_at(request.deadline, AssertUnwindSafe(asking).catch_unwind()) => match asked {
            Ok(Ok(asked)) => asked,
            Ok(Err(panic)) => Err(ticket::panicked(&ticket.endpoint, &*panic)),
            Err(_) => {
                Err(Failure::deadline_exceeded("the deadline passed before it was known who is calling"))
            }
        },
        // Nothing was begun.
        () = ticket.instance.give_up.cancelled() => Err(ticket.given_up_query()),
    };
    match asked {
        Ok(caller) => {
            request.caller = Some(caller);
            Ok(request)
        }
        Err(failure) => Err((request.ticket.clone(), failure)),
    }
}
