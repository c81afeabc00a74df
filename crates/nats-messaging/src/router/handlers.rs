//! A router's handlers, ready to be put to work on consumers and requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::dispatch::{Common, Dispatcher, Target};
use super::endpoint::Way;
use super::limits::RequestLimits;
use super::pattern::Pattern;
use super::plan::Reader;
use super::requests::{Answerer, refusals, to_listen};
use super::route::Kind;
use super::router::Router;
use super::running::Running;
use super::start::StartError;
use super::telemetry::RouterTelemetry;
use super::tree::Tree;
use crate::consume::Consume;
use crate::exchange::Exchange;
use crate::processing::Processor;

/// How long one consumer may take to be opened, and one pattern to be listened to.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// A router's handlers, ready to be called.
pub(super) struct Handlers {
    service: String,
    /// In the order in which they were added.
    handlers: Vec<(Kind, Vec<Pattern>, Way)>,
    fallback: Option<Arc<Target>>,
    event_fallback: Option<Arc<Target>>,
    listens: Vec<Pattern>,
    limits: RequestLimits,
    common: Arc<Common>,
}

impl Handlers {
    /// Those of a router that was checked.
    pub(super) fn of(router: Router<()>) -> Self {
        let service = router.service.unwrap_or_default();
        let said: Vec<_> = router.listens.iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect();
        let requests = router.routes.iter().filter(|route| route.kind == Kind::Request);
        let listens = to_listen(&requests.flat_map(|route| &route.patterns).chain(&said).collect::<Vec<_>>());
        let telemetry = router.settings.telemetry.as_ref();
        let common = Arc::new(Common {
            codecs: router.settings.codecs.unwrap_or_default(),
            telemetry: telemetry.map(|telemetry| RouterTelemetry::new(telemetry, &service)),
        });
        let handlers = router.routes.into_iter().map(|route| (route.kind, route.patterns, route.endpoint.finish()));
        Self {
            service,
            handlers: handlers.collect(),
            fallback: router.fallback.map(|endpoint| Target::new(None, endpoint.finish())),
            event_fallback: router.event_fallback.map(|endpoint| Target::new(None, endpoint.finish())),
            listens,
            limits: router.settings.requests,
            common,
        }
    }

    /// Opens a consumer and hands its messages to those handlers that it is for.
    pub(super) async fn read(
        &self,
        consume: Arc<dyn Consume>,
        reader: Reader,
        running: &mut Running,
    ) -> Result<(), StartError> {
        let Reader { config, processing, routes } = reader;
        let way = |place: usize| self.handlers[place].2.clone();
        let dispatcher = self.dispatcher(routes.map(|(pattern, place)| Target::new(Some(pattern), way(place))));
        let processor = Processor::over(consume, config.clone(), Arc::new(dispatcher)).settings(processing);
        let late = |_| late(format!("to open the consumer `{}`", config.durable));
        let processor = timeout(OPEN_WITHIN, processor.start()).await.map_err(late)??;
        running.reads(config, processor);
        Ok(())
    }

    /// Listens to the requests of all handlers, and answers them.
    pub(super) async fn listen(&self, exchange: &dyn Exchange, running: &Running) -> Result<(), StartError> {
        let answerer = Arc::new(Answerer {
            targets: self.targets(Kind::Request),
            fallback: self.fallback.clone(),
            common: Arc::clone(&self.common),
            limits: self.limits,
            places: Arc::new(Semaphore::new(self.limits.in_flight.get() as usize)),
            refusals: refusals(),
            tasks: running.tasks.clone(),
            give_up: running.give_up.clone(),
        });
        for pattern in &self.listens {
            let listening = exchange.listen(pattern.as_str().to_owned(), Some(self.service.clone()));
            let late = |_| late(format!("to listen to `{pattern}`"));
            let requests = timeout(OPEN_WITHIN, listening).await.map_err(late)??;
            let listening = Arc::clone(&answerer).listen(pattern.clone(), requests, running.stop.clone());
            running.tasks.spawn(listening);
        }
        Ok(())
    }

    /// All handlers of events as one, whatever consumer the events come from.
    pub(super) fn into_dispatcher(self) -> Dispatcher {
        self.dispatcher(self.targets(Kind::Event))
    }

    fn dispatcher(&self, targets: Tree<Arc<Target>>) -> Dispatcher {
        Dispatcher { targets, fallback: self.event_fallback.clone(), common: Arc::clone(&self.common) }
    }

    fn targets(&self, wanted: Kind) -> Tree<Arc<Target>> {
        let mut targets = Tree::default();
        for (_, patterns, way) in self.handlers.iter().filter(|(kind, ..)| *kind == wanted) {
            for pattern in patterns {
                targets.insert(pattern, Target::new(Some(pattern.clone()), way.clone()));
            }
        }
        targets
    }
}

fn late(what: String) -> StartError {
    StartError::TimedOut { what, seconds: OPEN_WITHIN.as_secs() }
}
