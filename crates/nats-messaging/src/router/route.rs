//! One handler, the patterns it is for, and its own settings.

use std::fmt;
use std::sync::Arc;

use tower::{Layer, Service};

use super::answer::{Answer, IntoOutcome, IntoReply};
use super::context::Context;
use super::endpoint::Endpoint;
use super::function::Handler;
use super::layers::{Next, wrap};
use super::pattern::Pattern;
use super::settings::{Group, Tune};
use super::start::Problem;
use crate::BoxError;
use crate::consume::ConsumerConfig;
use crate::family::{self, EventFamily};
use crate::processing::Processing;

/// A handler with the patterns it is for, and settings of its own. [`Router::on_event`](super::Router::on_event) and its like
/// make one; [`Router::route`](super::Router::route) takes one that is made by hand.
///
/// ```
/// use std::time::Duration;
///
/// use headwater_nats_messaging::router::{Route, Router};
///
/// async fn settle() {}
///
/// let router: Router = Router::new().route(
///     Route::event("clearing.settled", settle)
///         .stream("CLEARING")
///         .consumer(|consumer| consumer.ack_wait = Duration::from_secs(300))
///         .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(120))),
/// );
/// ```
#[must_use]
pub struct Route<S = ()> {
    pub(super) kind: Kind,
    pub(super) patterns: Vec<Pattern>,
    pub(super) problems: Vec<Problem>,
    pub(super) endpoint: Endpoint<S>,
    pub(super) stream: Option<String>,
    pub(super) group: Option<Arc<Group>>,
    /// Whether the group is that of an event family, which another one takes the place of.
    pub(super) family: bool,
    /// Whether the patterns are an event family's, which no prefix changes.
    pub(super) fixed: bool,
    pub(super) tune: Vec<Tune>,
    pub(super) processing: Option<Processing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Request,
}

impl<S: Send + Sync + 'static> Route<S> {
    /// A handler of the events that a pattern takes.
    pub fn event<M, H>(pattern: impl AsRef<str>, handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoOutcome + 'static,
    {
        Self::new(Kind::Event, [pattern.as_ref()], Endpoint::of_events(handler))
    }

    /// A handler of the requests that a pattern takes.
    pub fn message<M, H>(pattern: impl AsRef<str>, handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoReply + 'static,
    {
        Self::new(Kind::Request, [pattern.as_ref()], Endpoint::of_requests(handler))
    }

    /// A handler of all events of a family. Events in its subjects that the family does not know are done, unread.
    pub fn family<E: EventFamily, M>(handler: impl Handler<M, S, Output: IntoOutcome + 'static>) -> Self {
        let wanted = |context: &Context| family::type_of::<E>(context).map(|name| name.is_some());
        Self::new(Kind::Event, E::patterns().iter().copied(), Endpoint::of_events(handler).only(wanted))
            .grouped_by_family::<E>()
    }

    /// A handler of one variant of a family, by the name of its events.
    pub fn variant<E: EventFamily, M>(name: &str, handler: impl Handler<M, S, Output: IntoOutcome + 'static>) -> Self {
        let Some(known) = E::types().iter().find(|known| known.name == name) else {
            let mut route = Self::new(Kind::Event, [], Endpoint::of_events(handler));
            let known = E::types().iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
            let what = format!("the family `{}` has no event of this name; it has {known}", E::NAME);
            route.problems.push(Problem::new("variant", name, what));
            return route;
        };
        let wanted = |context: &Context| Ok(family::type_of::<E>(context)? == Some(known.name));
        Self::new(Kind::Event, [known.pattern], Endpoint::of_events(handler).only(wanted)).grouped_by_family::<E>()
    }

    fn new<'a>(kind: Kind, patterns: impl IntoIterator<Item = &'a str>, endpoint: Endpoint<S>) -> Self {
        let mut route = Self {
            kind,
            patterns: Vec::new(),
            problems: Vec::new(),
            endpoint,
            stream: None,
            group: None,
            family: false,
            fixed: false,
            tune: Vec::new(),
            processing: None,
        };
        for pattern in patterns {
            match Pattern::new(pattern) {
                Ok(pattern) => route.patterns.push(pattern),
                Err(error) => route.problems.push(Problem::new("pattern", &error.pattern, error.reason)),
            }
        }
        route
    }

    /// The events of a family share a consumer, so that they come in order, unless they are put into another group.
    fn grouped_by_family<E: EventFamily>(self) -> Self {
        Self { group: Some(Arc::new(Group::new(E::NAME))), family: true, fixed: true, ..self }
    }

    /// The stream that carries the events, where it is not to be looked up.
    pub fn stream(self, stream: impl Into<String>) -> Self {
        Self { stream: Some(stream.into()), ..self }
    }

    /// Changes the settings of the consumer, after those of the stream and of the group. Its name, stream and subjects are the
    /// router's to set.
    pub fn consumer(mut self, tune: impl Fn(&mut ConsumerConfig) + Send + Sync + 'static) -> Self {
        self.tune.push(Arc::new(tune));
        self
    }

    /// How the events are worked on: how many at once, in which order, how often they are tried. Within a group the group's
    /// settings go before it.
    pub fn processing(self, processing: Processing) -> Self {
        Self { processing: Some(processing), ..self }
    }

    /// Puts a layer around the handler; the one added last is met first.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Next> + Send + Sync + 'static,
        L::Service: Service<Context, Response = Answer> + Clone + Send + Sync + 'static,
        <L::Service as Service<Context>>::Error: Into<BoxError>,
        <L::Service as Service<Context>>::Future: Send + 'static,
    {
        self.endpoint.layer(wrap(layer));
        self
    }

    pub(super) fn with_state<S2>(self, state: &Arc<S>) -> Route<S2> {
        Route {
            endpoint: self.endpoint.with_state(state),
            kind: self.kind,
            patterns: self.patterns,
            problems: self.problems,
            stream: self.stream,
            group: self.group,
            family: self.family,
            fixed: self.fixed,
            tune: self.tune,
            processing: self.processing,
        }
    }

    /// The same with all patterns under a prefix.
    pub(super) fn under(mut self, prefix: &str) -> Self {
        for pattern in std::mem::take(&mut self.patterns) {
            match pattern.under(prefix) {
                Ok(pattern) => self.patterns.push(pattern),
                Err(error) => self.problems.push(Problem::new("nest", prefix, error.reason)),
            }
        }
        self
    }
}

impl<S> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("kind", &self.kind)
            .field("patterns", &self.patterns)
            .field("stream", &self.stream)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
