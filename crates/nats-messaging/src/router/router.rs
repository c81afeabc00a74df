//! Handlers by pattern, put together.

use std::sync::Arc;
use std::time::Duration;

use headwater_nats::telemetry::Telemetry;
use tower::{Layer, Service};

use super::answer::{Answer, IntoOutcome, IntoReply};
use super::context::Context;
use super::endpoint::Endpoint;
use super::function::Handler;
use super::layers::{Next, wrap};
use super::limits::RequestLimits;
use super::naming::{ConsumerOf, Naming};
use super::route::Route;
use super::settings::{Group, Stream};
use super::start::Problem;
use crate::BoxError;
use crate::codec::Codecs;
use crate::family::EventFamily;
use crate::processing::Processing;

/// Handlers of events and requests by subject pattern. `S` is the state that the handlers take and that is still to be
/// [given](Router::with_state).
///
/// An event goes to the handlers of **all** patterns that take it. Each pattern has a durable consumer of its own, unless
/// patterns are put into a [`group`](Self::group): what fails for one is not tried again for the others. A request is
/// answered by the handler of the **most specific** pattern that takes it: token by token a literal comes before `*`, and `*`
/// before `>`.
#[derive(Debug)]
#[must_use]
pub struct Router<S = ()> {
    pub(super) service: Option<String>,
    pub(super) routes: Vec<Route<S>>,
    pub(super) streams: Vec<Stream>,
    pub(super) fallback: Option<Endpoint<S>>,
    pub(super) event_fallback: Option<Endpoint<S>>,
    pub(super) listens: Vec<String>,
    pub(super) settings: Settings,
    pub(super) problems: Vec<Problem>,
}

/// What is set for the router as a whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) naming: Option<Naming>,
    pub(super) codecs: Option<Arc<Codecs>>,
    pub(super) telemetry: Option<Telemetry>,
    pub(super) requests: RequestLimits,
    pub(super) processing: Processing,
}

impl<S: Send + Sync + 'static> Router<S> {
    /// A router without handlers.
    pub fn new() -> Self {
        Self {
            service: None,
            routes: Vec::new(),
            streams: Vec::new(),
            fallback: None,
            event_fallback: None,
            listens: Vec::new(),
            settings: Settings::default(),
            problems: Vec::new(),
        }
    }

    /// The service that the router is part of, in kebab case. Its durable consumers and its queue group are named after it, so
    /// it stays the same as long as the service is to go on where it stopped. It has to be said.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Handles the events that a pattern takes. Several handlers for one pattern share its consumer and all run.
    pub fn on_event<M, H>(self, pattern: impl AsRef<str>, handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoOutcome + 'static,
    {
        self.route(Route::event(pattern, handler))
    }

    /// Answers the requests that a pattern takes, or takes in what is sent there without asking for a reply.
    pub fn on_message<M, H>(self, pattern: impl AsRef<str>, handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoReply + 'static,
    {
        self.route(Route::message(pattern, handler))
    }

    /// Handles all events of a family: `on_family::<AgentEvent, _>(handler)`, where the handler takes an `AgentEvent`. The
    /// handlers of a family share a consumer, so that its events come in order.
    pub fn on_family<E: EventFamily, M>(self, handler: impl Handler<M, S, Output: IntoOutcome + 'static>) -> Self {
        self.route(Route::family::<E, M>(handler))
    }

    /// Handles one variant of a family, by the name of its events: `on_variant::<AgentEvent, _>("agent.started", handler)`.
    pub fn on_variant<E: EventFamily, M>(
        self,
        name: &str,
        handler: impl Handler<M, S, Output: IntoOutcome + 'static>,
    ) -> Self {
        self.route(Route::variant::<E, M>(name, handler))
    }

    /// Adds a handler with settings of its own.
    pub fn route(mut self, route: Route<S>) -> Self {
        self.routes.push(route);
        self
    }

    /// Answers requests that are [listened to](Self::listen) and that no handler's pattern takes. Without it they are answered
    /// with `not-found`.
    pub fn fallback<M, H>(mut self, handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoReply + 'static,
    {
        self.fallback = Some(Endpoint::of_requests(handler));
        self
    }

    /// Handles events that a [group reads](Group::reads) and that no handler's pattern takes. Without it they are done.
    pub fn event_fallback<M, H>(mut self, handler: H) -> Self
    where
        H: Handler<M, S>,
        H::Output: IntoOutcome + 'static,
    {
        self.event_fallback = Some(Endpoint::of_events(handler));
        self
    }

    /// Listens to all requests that this pattern takes, also to those that no handler's pattern takes.
    pub fn listen(mut self, pattern: impl Into<String>) -> Self {
        self.listens.push(pattern.into());
        self
    }

    /// A stream that events come from, with the settings of its consumers. A stream that carries a pattern and is not told of
    /// here is looked up at the start.
    pub fn stream(mut self, stream: impl Into<Stream>) -> Self {
        self.streams.push(stream.into());
        self
    }

    /// Adds the handlers of another router, whose events are read by one consumer on each stream: they come in one order.
    pub fn group(self, group: impl Into<Group>, mut router: Self) -> Self {
        let group = Arc::new(group.into());
        for route in router.routes.iter_mut().filter(|route| route.group.is_none() || route.family) {
            route.group = Some(Arc::clone(&group));
            route.family = false;
        }
        self.merge(router)
    }

    /// Adds the handlers of another router, with all their patterns under a prefix: `on_message("price.*", …)` under `orders`
    /// is for `orders.price.*`. Event families and what streams carry stay as they are.
    pub fn nest(self, prefix: &str, mut router: Self) -> Self {
        let mut groups: Vec<(Arc<Group>, Arc<Group>)> = Vec::new();
        let mut nested = |group: Arc<Group>| match groups.iter().find(|(known, _)| Arc::ptr_eq(known, &group)) {
            Some((_, nested)) => Arc::clone(nested),
            None => {
                let nested = Arc::new(group.under(prefix));
                groups.push((group, Arc::clone(&nested)));
                nested
            }
        };
        let routes = std::mem::take(&mut router.routes).into_iter().map(|mut route| {
            if route.fixed {
                return route;
            }
            route.group = route.group.take().map(&mut nested);
            route.under(prefix)
        });
        router.routes = routes.collect();
        router.listens.iter_mut().for_each(|pattern| *pattern = format!("{prefix}.{pattern}"));
        self.merge(router)
    }

    /// Adds the handlers of another router. What is set for this one as a whole stays as it is.
    pub fn merge(mut self, router: Self) -> Self {
        self.routes.extend(router.routes);
        self.streams.extend(router.streams);
        self.listens.extend(router.listens);
        self.problems.extend(router.problems);
        for (kind, mine, other) in [
            ("fallback", &mut self.fallback, router.fallback),
            ("event_fallback", &mut self.event_fallback, router.event_fallback),
        ] {
            match (mine.is_some(), other) {
                (true, Some(_)) => self.problems.push(Problem::new(kind, "merge", "both routers have one")),
                (_, None) => {}
                (false, other) => *mine = other,
            }
        }
        self
    }

    /// Puts a layer around each handler that was added so far, fallbacks included; the one added last is met first. What a
    /// layer counts, a concurrency limit say, it counts for each handler, unless the layer shares it.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Next> + Send + Sync + 'static,
        L::Service: Service<Context, Response = Answer> + Clone + Send + Sync + 'static,
        <L::Service as Service<Context>>::Error: Into<BoxError>,
        <L::Service as Service<Context>>::Future: Send + 'static,
    {
        let wrap = wrap(layer);
        let fallbacks = self.fallback.iter_mut().chain(&mut self.event_fallback);
        for endpoint in self.routes.iter_mut().map(|route| &mut route.endpoint).chain(fallbacks) {
            endpoint.layer(Arc::clone(&wrap));
        }
        self
    }

    /// Gives the handlers their state. What is returned starts, or takes handlers of another state.
    pub fn with_state<S2: Send + Sync + 'static>(self, state: S) -> Router<S2> {
        let state = Arc::new(state);
        Router {
            routes: self.routes.into_iter().map(|route| route.with_state(&state)).collect(),
            fallback: self.fallback.map(|endpoint| endpoint.with_state(&state)),
            event_fallback: self.event_fallback.map(|endpoint| endpoint.with_state(&state)),
            service: self.service,
            streams: self.streams,
            listens: self.listens,
            settings: self.settings,
            problems: self.problems,
        }
    }

    /// Names the durable consumers another way than [`ConsumerOf::stable_name`] does.
    pub fn naming(mut self, name: impl Fn(&ConsumerOf<'_>) -> String + Send + Sync + 'static) -> Self {
        self.settings.naming = Some(Naming::new(name));
        self
    }

    /// How events are worked on, where stream, group or pattern do not say otherwise: how many at once, in which order, how
    /// often they are tried, what becomes of those that cannot be handled.
    pub fn processing(mut self, processing: Processing) -> Self {
        self.settings.processing = processing;
        self
    }

    /// The formats that payloads may be in, by their content type. JSON unless said.
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.settings.codecs = Some(Arc::new(codecs));
        self
    }

    /// Records a span and a duration for each message, and the numbers and the health of each consumer whose processing does
    /// not say otherwise.
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.settings.telemetry = Some(telemetry);
        self
    }

    /// How many requests are handled at once. 256 by default; more are refused as `unavailable` with the reason `overloaded`.
    pub fn requests_in_flight(mut self, most: std::num::NonZeroU32) -> Self {
        self.settings.requests.in_flight = most;
        self
    }

    /// How long a request may be handled. 30 s by default; then it is given up and answered with `deadline-exceeded`.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.requests.timeout = timeout;
        self
    }
}

impl<S: Send + Sync + 'static> Default for Router<S> {
    fn default() -> Self {
        Self::new()
    }
}
