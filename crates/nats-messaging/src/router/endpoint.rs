//! A handler with its layers, first waiting for the router's state, then ready to be called.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_core::Failure;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt as _, service_fn};

use super::answer::{Answer, IntoOutcome, IntoReply, failure_of_error, outcome_of_error, outcome_of_failure};
use super::context::Context;
use super::function::Handler;
use super::layers::{Next, Wrap};
use crate::BoxError;

/// A handler, whatever it takes and returns.
type Erased<S> = Arc<dyn Fn(&Context, &S) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A handler that has its state.
type Ready = Arc<dyn Fn(&Context) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A handler with its layers.
pub(super) struct Endpoint<S> {
    handler: Waiting<S>,
    layers: Vec<Wrap>,
}

enum Waiting<S> {
    ForState(Erased<S>),
    ForNothing(Ready),
}

impl<S: 'static> Endpoint<S> {
    pub(super) fn of_events<M, H>(handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoOutcome + 'static,
    {
        Self::new(Arc::new(move |context, state| match handler.call(context, state) {
            Ok(handling) => handling.map(|returned| Answer::Event(returned.into_outcome())).boxed(),
            Err(unfit) => std::future::ready(failed(context, unfit)).boxed(),
        }))
    }

    pub(super) fn of_requests<M, H>(handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoReply + 'static,
    {
        Self::new(Arc::new(move |context, state| match handler.call(context, state) {
            Ok(handling) => {
                let context = context.clone();
                handling.map(move |returned| Answer::Reply(returned.into_reply(&context))).boxed()
            }
            Err(unfit) => std::future::ready(failed(context, unfit)).boxed(),
        }))
    }

    fn new(handler: Erased<S>) -> Self {
        Self { handler: Waiting::ForState(handler), layers: Vec::new() }
    }

    /// Puts one more layer around it.
    pub(super) fn layer(&mut self, wrap: Wrap) {
        self.layers.push(wrap);
    }

    /// The same, called only for messages that `wanted` says yes to; others pass as done.
    pub(super) fn only(self, wanted: impl Fn(&Context) -> Result<bool, Failure> + Send + Sync + 'static) -> Self
    where
        S: Send + Sync,
    {
        let Waiting::ForState(handler) = self.handler else { return self };
        let handler: Erased<S> = Arc::new(move |context, state| match wanted(context) {
            Ok(true) => handler(context, state),
            Ok(false) => std::future::ready(Answer::Event(super::Outcome::Done)).boxed(),
            Err(unfit) => std::future::ready(failed(context, unfit)).boxed(),
        });
        Self { handler: Waiting::ForState(handler), layers: self.layers }
    }

    /// Gives it its state, if it waits for one.
    pub(super) fn with_state<S2>(self, state: &Arc<S>) -> Endpoint<S2>
    where
        S: Send + Sync,
    {
        let ready = match self.handler {
            Waiting::ForNothing(ready) => ready,
            Waiting::ForState(handler) => {
                let state = Arc::clone(state);
                Arc::new(move |context: &Context| handler(context, &state))
            }
        };
        Endpoint { handler: Waiting::ForNothing(ready), layers: self.layers }
    }
}

impl Endpoint<()> {
    /// Ready to be called.
    pub(super) fn finish(self) -> Way {
        let ready = match self.handler {
            Waiting::ForNothing(ready) => ready,
            Waiting::ForState(handler) => Arc::new(move |context: &Context| handler(context, &())),
        };
        if self.layers.is_empty() {
            return Way::Plain(ready);
        }
        let innermost = service_fn(move |context: Context| ready(&context).map(Ok::<_, BoxError>));
        let wrapped = self.layers.iter().fold(BoxCloneSyncService::new(innermost), |next, wrap| wrap(next));
        Way::Layered(wrapped)
    }
}

/// The way of a message through layers to its handler.
#[derive(Clone)]
pub(super) enum Way {
    Plain(Ready),
    Layered(Next),
}

impl Way {
    pub(super) fn call(&self, context: Context) -> BoxFuture<'static, Answer> {
        match self {
            Self::Plain(ready) => ready(&context),
            Self::Layered(next) => {
                let (next, is_request) = (next.clone(), context.is_request());
                next.oneshot(context)
                    .map(move |done| done.unwrap_or_else(|error| Answer::of_error(error, is_request)))
                    .boxed()
            }
        }
    }
}

impl Answer {
    /// What an error of a layer means.
    pub(crate) fn of_error(error: BoxError, is_request: bool) -> Self {
        if is_request { Self::Reply(Err(failure_of_error(error))) } else { Self::Event(outcome_of_error(error)) }
    }
}

/// What came of a message that does not fit its handler.
fn failed(context: &Context, failure: Failure) -> Answer {
    if context.is_request() { Answer::Reply(Err(failure)) } else { Answer::Event(outcome_of_failure(failure)) }
}

impl<S> fmt::Debug for Endpoint<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Layered(_) => "Layered",
        })
    }
}
