//! From a message to the handlers of its subject.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_nats::telemetry::LabelSets;
use headwater_nats::telemetry::opentelemetry::context::FutureExt as _;

use super::answer::{Answer, outcome_of_failure};
use super::context::Context;
use super::endpoint::Way;
use super::handler::{EventHandler, Outcome};
use super::pattern::Pattern;
use super::telemetry::{RouterTelemetry, end_event};
use super::tree::Tree;
use crate::codec::Codecs;
use crate::consume::Delivery;

/// A handler and the pattern it was registered for; none for a fallback.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) pattern: Option<Pattern>,
    pub(super) way: Way,
    pub(super) labels: LabelSets,
}

impl Target {
    pub(super) fn new(pattern: Option<Pattern>, way: Way) -> Arc<Self> {
        Arc::new(Self { pattern, way, labels: LabelSets::default() })
    }

    /// What stands for the subject where the subject itself would be too many different ones.
    pub(super) fn template(&self) -> &str {
        self.pattern.as_ref().map_or("fallback", Pattern::as_str)
    }

    pub(super) fn call(&self, context: &Context) -> BoxFuture<'static, Answer> {
        self.way.call(match &self.pattern {
            Some(pattern) => context.at(pattern),
            None => context.clone(),
        })
    }
}

/// What all handlers of a router share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) codecs: Arc<Codecs>,
    pub(super) telemetry: Option<RouterTelemetry>,
}

/// Hands the messages of one consumer to the handlers of their subjects.
pub(super) struct Dispatcher {
    pub(super) targets: Tree<Arc<Target>>,
    pub(super) fallback: Option<Arc<Target>>,
    pub(super) common: Arc<Common>,
}

impl EventHandler for Dispatcher {
    fn handle(&self, delivery: Arc<Delivery>) -> BoxFuture<'static, Outcome> {
        let context = Context::event(delivery, &self.common.codecs);
        // Nearly always one handler has the message: no list is made for it.
        let (mut first, mut others) = (None, Vec::new());
        self.targets.each(context.subject(), &mut |target: &Arc<Target>| match &first {
            None => first = Some(Arc::clone(target)),
            Some(_) => others.push(Arc::clone(target)),
        });
        let Some(first) = first.or_else(|| self.fallback.clone()) else {
            tracing::debug!(subject = context.subject(), "an event that no handler takes is done");
            return std::future::ready(Outcome::Done).boxed();
        };
        let span = self.common.telemetry.as_ref().and_then(|telemetry| telemetry.event(&context, first.template()));
        let handling = run(first, others, context);
        match span {
            None => handling.boxed(),
            Some(span) => {
                let handling = handling.with_context(span.clone());
                handling.inspect(move |outcome| end_event(&span, outcome)).boxed()
            }
        }
    }
}

/// Runs all handlers of a message, one after the other. What one of them says does not keep the others from it.
async fn run(first: Arc<Target>, others: Vec<Arc<Target>>, context: Context) -> Outcome {
    let mut outcome = outcome_of(first.call(&context).await);
    for target in others {
        outcome = outcome.and(outcome_of(target.call(&context).await));
    }
    outcome
}

fn outcome_of(answer: Answer) -> Outcome {
    match answer {
        Answer::Event(outcome) => outcome,
        // A layer may answer an event so.
        Answer::Reply(Ok(_)) => Outcome::Done,
        Answer::Reply(Err(failure)) => outcome_of_failure(failure),
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("common", &self.common).finish_non_exhaustive()
    }
}
