//! A processor: what starts one, and the handle of one at work.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use headwater_nats::telemetry::Telemetry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::actor::Actor;
use super::opening::Opening;
use super::settings::{AfterLast, Processing};
use super::stats::{Counters, ProcessingStats, ShutdownReport};
use super::telemetry::ProcessTelemetry;
use super::work::Bench;
use crate::consume::{Consume, ConsumeError, ConsumerConfig};
use crate::health::{ConsumerHealth, Monitor};
use crate::router::handler::EventHandler;

/// How much longer than asked stopping may take: for what has to be told to the server at the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// Runs the messages of a durable consumer through a handler. See [the module](crate::processing).
#[must_use]
pub struct Processor {
    consume: Arc<dyn Consume>,
    config: ConsumerConfig,
    handler: Arc<dyn EventHandler>,
    settings: Processing,
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processor")
            .field("config", &self.config)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Processor {
    /// A processor of this consumer's messages, with default settings.
    pub fn new(consume: impl Consume, config: ConsumerConfig, handler: impl EventHandler) -> Self {
        Self::over(Arc::new(consume), config, Arc::new(handler))
    }

    /// The same for what is shared already.
    pub fn over(consume: Arc<dyn Consume>, config: ConsumerConfig, handler: Arc<dyn EventHandler>) -> Self {
        Self { consume, config, handler, settings: Processing::default() }
    }

    /// With these settings.
    pub fn settings(self, settings: Processing) -> Self {
        Self { settings, ..self }
    }

    /// Opens the consumer and begins.
    ///
    /// # Errors
    ///
    /// When the consumer cannot be opened, or the settings contradict each other.
    pub async fn start(self) -> Result<RunningProcessor, ConsumeError> {
        let Self { consume, mut config, handler, mut settings } = self;
        if let Some(reason) = contradiction(&config, &settings) {
            return Err(config.refused(reason));
        }
        // The server's own limit would drop messages without a word.
        if let Some(most) = config.max_deliver.take() {
            settings.retry = settings.retry.attempts(most.get());
        }
        if let Some(most) = settings.in_hand {
            let most = u32::try_from(most).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
            config.buffer = config.buffer.min(most);
        }
        let created = consume.stream_created(config.stream.clone()).await?;
        let subscription = consume.open(config.clone()).await?;

        let (stream, consumer): (Arc<str>, Arc<str>) = (config.stream.as_str().into(), config.durable.as_str().into());
        let counters = Arc::new(Counters::default());
        let recorder = settings.telemetry.as_ref().map(Telemetry::recorder);
        let monitor = Monitor::new(stream.clone(), consumer.clone(), settings.health.clone(), recorder.as_ref());
        let shown = monitor.shown();
        let telemetry =
            recorder.as_ref().and_then(|recorder| ProcessTelemetry::new(recorder, &stream, &consumer, &counters));
        let bench = Arc::new(Bench { handler, settings, stream, consumer, counters: counters.clone(), telemetry });
        let (stop, stopped) = watch::channel(None);
        let opening = Opening { consume, config, created };
        let actor = Actor::new(bench, opening, subscription, monitor);
        let task = tokio::spawn(actor.run(stopped));
        Ok(RunningProcessor { stop, task, counters, shown })
    }
}

/// What cannot be had together.
fn contradiction(config: &ConsumerConfig, settings: &Processing) -> Option<String> {
    let AfterLast::DeadLetter(letters) = &settings.after_last else { return None };
    if letters.stream() == config.stream {
        return Some(
            "dead_letters: a consumer of the dead letters' own stream would write to what it reads".to_owned(),
        );
    }
    (letters.parks() && settings.order.is_none())
        .then(|| "dead_letters: keys are parked only where order is kept, see in_order_by".to_owned())
}

/// A processor at work. Dropped, it ends at once: what is in hand is not answered for, and comes again after its time.
#[derive(Debug)]
pub struct RunningProcessor {
    stop: watch::Sender<Option<Instant>>,
    task: JoinHandle<ShutdownReport>,
    counters: Arc<Counters>,
    shown: crate::health::Shown,
}

impl RunningProcessor {
    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> ProcessingStats {
        self.counters.snapshot()
    }

    /// How the consumer fares, as far as was seen last.
    #[must_use]
    pub fn health(&self) -> ConsumerHealth {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops: fetches no more, finishes what was fetched as far as the time allows, gives the rest back to the server, and
    /// tells what happened. What waits for another attempt is given back at once.
    ///
    /// It takes no longer than `within` and 5 seconds for goodbyes. A handler at work by then is dropped.
    pub async fn shutdown(mut self, within: Duration) -> ShutdownReport {
        let began = Instant::now();
        // A year is as good as for ever.
        let within = within.min(Duration::from_secs(365 * 24 * 3600));
        self.stop.send_replace(Some(began + within));
        let report = match timeout(within + GOODBYE, &mut self.task).await {
            Ok(Ok(report)) => report,
            // It was taken down with its runtime, or does not come to its end.
            Ok(Err(_)) | Err(_) => ShutdownReport { stats: self.counters.snapshot(), ..ShutdownReport::default() },
        };
        ShutdownReport { took: began.elapsed(), ..report }
    }
}

impl Drop for RunningProcessor {
    fn drop(&mut self) {
        self.task.abort();
    }
}
