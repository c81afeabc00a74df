//! A router at work, and how it ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::handler::EventHandler;
use super::handlers::Handlers;
use super::plan::{self, Reader};
use super::router::Router;
use super::start::StartError;
use crate::consume::{Consume, ConsumerConfig};
use crate::exchange::Exchange;
use crate::processing::RunningProcessor;

/// How long what was given up has for its last words.
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
        self.check()?;
        let readers = plan::readers(&self, &*broker).await?;
        let (handlers, mut running) = (Handlers::of(self), Running::new());
        match put_to_work(&handlers, readers, &broker, &mut running).await {
            Ok(()) => Ok(running),
            Err(error) => {
                running.shutdown(GOODBYE).await;
                Err(error)
            }
        }
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

    /// All handlers of events as one, without consumers: for a [`Processor`](crate::processing::Processor) of your own, and for
    /// tests. An event goes to the handlers of all patterns that take it, wherever it comes from.
    ///
    /// # Errors
    ///
    /// With everything that is wrong with the router.
    pub fn into_event_handler(self) -> Result<impl EventHandler, StartError> {
        self.check()?;
        Ok(Handlers::of(self).into_dispatcher())
    }

    fn check(&self) -> Result<(), StartError> {
        let problems = plan::check(self);
        if problems.is_empty() { Ok(()) } else { Err(StartError::Problems(problems)) }
    }
}

async fn put_to_work<B: Consume + Exchange>(
    handlers: &Handlers,
    readers: Vec<Reader>,
    broker: &Arc<B>,
    running: &mut Running,
) -> Result<(), StartError> {
    for reader in readers {
        handlers.read(Arc::clone(broker) as Arc<dyn Consume>, reader, running).await?;
    }
    handlers.listen(&**broker, running).await
}

/// A router at work. Dropped, it stops at once: what is under way is given up, and events come again.
#[must_use = "dropped, it stops"]
pub struct Running {
    processors: Vec<(ConsumerConfig, RunningProcessor)>,
    pub(super) tasks: TaskTracker,
    /// Cancelled when no more is to be taken in.
    pub(super) stop: CancellationToken,
    /// Cancelled when what is under way is to be given up.
    pub(super) give_up: CancellationToken,
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
        let dropped = [stop.clone().drop_guard(), give_up.clone().drop_guard()];
        Self { processors: Vec::new(), tasks: TaskTracker::new(), stop, give_up, _dropped: dropped }
    }

    pub(super) fn reads(&mut self, config: ConsumerConfig, processor: RunningProcessor) {
        self.processors.push((config, processor));
    }

    /// The consumers that are read, as they were asked for.
    pub fn consumers(&self) -> impl Iterator<Item = &ConsumerConfig> {
        self.processors.iter().map(|(config, _)| config)
    }

    /// What works on each consumer, with its numbers and its health.
    pub fn processors(&self) -> impl Iterator<Item = (&ConsumerConfig, &RunningProcessor)> {
        self.processors.iter().map(|(config, processor)| (config, processor))
    }

    /// Takes no more, finishes what was begun, and gives up what is not finished within this time.
    pub async fn shutdown(self, within: Duration) -> Shutdown {
        let deadline = Instant::now() + within;
        let Self { processors, tasks, stop, give_up, _dropped } = self;
        stop.cancel();
        tasks.close();
        let events = join_all(processors.into_iter().map(|(_, processor)| processor.shutdown(within)));
        let requests = async {
            if timeout_at(deadline, tasks.wait()).await.is_ok() {
                return true;
            }
            // Who asked is told.
            give_up.cancel();
            let _told = timeout(GOODBYE, tasks.wait()).await;
            false
        };
        let (events, all_answered) = futures_util::join!(events, requests);
        let all_handled = events.iter().all(|report| report.interrupted == 0);
        if all_answered && all_handled { Shutdown::Finished } else { Shutdown::GaveUp }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumers: Vec<_> = self.consumers().map(|config| (&config.stream, &config.durable)).collect();
        f.debug_struct("Running").field("consumers", &consumers).finish_non_exhaustive()
    }
}
