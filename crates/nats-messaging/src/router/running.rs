//! A router at work: its consumers and its listening, and how they end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::dispatch::{Common, Dispatcher, Target};
use super::handler::EventHandler;
use super::pattern::Pattern;
use super::plan::{self, Reader};
use super::requests::{Answerer, to_listen};
use super::route::Kind;
use super::router::Router;
use super::start::StartError;
use super::telemetry::RouterTelemetry;
use super::tree::Tree;
use crate::consume::{Consume, ConsumerConfig};
use crate::exchange::Exchange;
use crate::processing::{Processor, RunningProcessor};

/// How long one consumer may take to be opened, and one pattern to be listened to.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// What of the time to shut down is kept for saying goodbye after the handlers were given up.
const GOODBYE: Duration = Duration::from_secs(1);

impl Router<()> {
    /// Opens a durable consumer for each pattern or group of patterns, listens to requests, and hands what comes to the
    /// handlers, until it is [shut down](Running::shutdown). Consumers that exist go on where they stopped.
    ///
    /// # Errors
    ///
    /// [`StartError::Problems`] with everything that is wrong with the router: nothing was started then. The others when what
    /// is beneath does not work or says no: what was started already is stopped.
    pub async fn start<B: Consume + Exchange>(self, broker: B) -> Result<Running, StartError> {
        let broker = Arc::new(broker);
        let problems = plan::check(&self);
        if !problems.is_empty() {
            return Err(StartError::Problems(problems));
        }
        let readers = plan::readers(&self, &*broker).await?;
        let listens = self.listened();
        let service = self.service.clone().unwrap_or_default();
        let common = self.common();
        let requests = self.settings.requests;
        let kinds: Vec<_> = self.routes.iter().map(|route| (route.kind, route.patterns.clone())).collect();
        let ways: Vec<_> = self.routes.into_iter().map(|route| route.endpoint.finish()).collect();
        let target = |pattern: &Pattern, place: usize| Target::new(Some(pattern.clone()), ways[place].clone());

        let event_fallback = self.event_fallback.map(|endpoint| Target::new(None, endpoint.finish()));
        let mut running = Running::new();
        for Reader { config, processing, routes } in readers {
            let dispatcher = Dispatcher {
                targets: routes.map(|(pattern, place)| target(&pattern, place)),
                fallback: event_fallback.clone(),
                common: Arc::clone(&common),
            };
            let consume: Arc<dyn Consume> = Arc::clone(&broker) as _;
            let processor = Processor::over(consume, config.clone(), Arc::new(dispatcher)).settings(processing);
            let started = timeout(OPEN_WITHIN, processor.start()).await;
            let processor = within(started, || format!("to open the consumer `{}`", config.durable));
            match processor.and_then(|processor| Ok(processor?)) {
                Ok(processor) => running.processors.push((config, processor)),
                Err(error) => return running.abandon(error).await,
            }
        }

        let mut targets = Tree::default();
        for (place, (_, patterns)) in kinds.iter().enumerate().filter(|(_, (kind, _))| *kind == Kind::Request) {
            patterns.iter().for_each(|pattern| targets.insert(pattern, target(pattern, place)));
        }
        let answerer = Arc::new(Answerer {
            targets,
            fallback: self.fallback.map(|endpoint| Target::new(None, endpoint.finish())),
            listens: listens.clone(),
            common,
            limits: requests,
            places: Arc::new(Semaphore::new(requests.in_flight.get() as usize)),
            tasks: running.tasks.clone(),
            give_up: running.give_up.clone(),
        });
        for pattern in listens {
            let listening = broker.listen(pattern.as_str().to_owned(), Some(service.clone()));
            let listening = within(timeout(OPEN_WITHIN, listening).await, || format!("to listen to `{pattern}`"));
            match listening.and_then(|requests| Ok(requests?)) {
                Ok(requests) => {
                    let listening = Arc::clone(&answerer).listen(pattern, requests, running.stop.clone());
                    running.tasks.spawn(listening);
                }
                Err(error) => return running.abandon(error).await,
            }
        }
        Ok(running)
    }

    /// The router as one handler of events, without consumers: for a [`Processor`] of your own, and for tests. Every event goes
    /// to the handlers of all patterns that take it.
    ///
    /// # Errors
    ///
    /// With everything that is wrong with the router.
    pub fn into_event_handler(self) -> Result<impl EventHandler, StartError> {
        let problems = plan::check(&self);
        if !problems.is_empty() {
            return Err(StartError::Problems(problems));
        }
        let (common, mut targets) = (self.common(), Tree::default());
        for route in self.routes.into_iter().filter(|route| route.kind == Kind::Event) {
            let way = route.endpoint.finish();
            for pattern in &route.patterns {
                targets.insert(pattern, Target::new(Some(pattern.clone()), way.clone()));
            }
        }
        let fallback = self.event_fallback.map(|endpoint| Target::new(None, endpoint.finish()));
        Ok(Dispatcher { targets, fallback, common })
    }

    fn common(&self) -> Arc<Common> {
        let service = self.service.as_deref().unwrap_or_default();
        Arc::new(Common {
            codecs: self.settings.codecs.clone().unwrap_or_default(),
            telemetry: self.settings.telemetry.as_ref().map(|telemetry| RouterTelemetry::new(telemetry, service)),
        })
    }

    /// [Starts](Self::start), works until the future is done (a signal, say), and shuts down within the given time.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn run<B: Consume + Exchange>(
        self,
        broker: B,
        until: impl Future<Output = ()>,
        shut_down_within: Duration,
    ) -> Result<Shutdown, StartError> {
        let running = self.start(broker).await?;
        until.await;
        Ok(running.shutdown(shut_down_within).await)
    }

    /// The patterns that requests are listened to by.
    fn listened(&self) -> Vec<Pattern> {
        let said: Vec<_> = self.listens.iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect();
        let requests = self.routes.iter().filter(|route| route.kind == Kind::Request);
        to_listen(requests.flat_map(|route| &route.patterns).chain(&said))
    }
}

/// A router at work. Dropped, it stops at once: what is under way is given up, and comes again.
#[must_use = "dropped, it stops"]
pub struct Running {
    processors: Vec<(ConsumerConfig, RunningProcessor)>,
    tasks: TaskTracker,
    stop: CancellationToken,
    give_up: CancellationToken,
    _dropped: [DropGuard; 2],
}

/// How a router ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything that was begun was finished; what was fetched and not begun was given back.
    Finished,
    /// The time was up: some events were given up and come again, and some requests were answered as `unavailable`.
    GaveUp,
}

impl Running {
    fn new() -> Self {
        let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
        let _dropped = [stop.clone().drop_guard(), give_up.clone().drop_guard()];
        Self { processors: Vec::new(), tasks: TaskTracker::new(), stop, give_up, _dropped }
    }

    /// The consumers that are read, as they were asked for.
    pub fn consumers(&self) -> impl Iterator<Item = &ConsumerConfig> {
        self.processors.iter().map(|(config, _)| config)
    }

    /// What works on each consumer, with its numbers.
    pub fn processors(&self) -> impl Iterator<Item = (&ConsumerConfig, &RunningProcessor)> {
        self.processors.iter().map(|(config, processor)| (config, processor))
    }

    /// Takes no more, finishes what was begun, and gives up what is not finished within this time.
    pub async fn shutdown(self, within: Duration) -> Shutdown {
        let deadline = Instant::now() + within;
        self.stop.cancel();
        self.tasks.close();
        let Self { processors, tasks, give_up, _dropped, .. } = self;
        let events = join_all(processors.into_iter().map(|(_, processor)| processor.shutdown(within)));
        let requests = async {
            if timeout_at(deadline, tasks.wait()).await.is_ok() {
                return true;
            }
            give_up.cancel();
            // Who asked is told.
            let _ = timeout(GOODBYE, tasks.wait()).await;
            false
        };
        let (events, requests) = futures_util::join!(events, requests);
        if requests && events.iter().all(|report| report.interrupted == 0) { Shutdown::Finished } else { Shutdown::GaveUp }
    }

    /// Stops what was started of a router that cannot start as a whole.
    async fn abandon(self, error: StartError) -> Result<Self, StartError> {
        self.shutdown(GOODBYE).await;
        Err(error)
    }
}

fn within<T>(waited: Result<T, tokio::time::error::Elapsed>, what: impl Fn() -> String) -> Result<T, StartError> {
    waited.map_err(|_| StartError::TimedOut { what: what(), seconds: OPEN_WITHIN.as_secs() })
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumers: Vec<_> = self.consumers().map(|config| (&config.stream, &config.durable)).collect();
        f.debug_struct("Running").field("consumers", &consumers).finish_non_exhaustive()
    }
}
