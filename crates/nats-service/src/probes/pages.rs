//! What each page answers.

use std::sync::Arc;
use std::time::Duration;

use headwater_nats::discovery::{Check, Health, HealthStatus};
use tokio::time::Instant;

use super::board::{Board, Checks};
use super::look::{LIMIT, NATS, PAUSE, ROUND_TRIP, STORE, connected};
use crate::instance::{Instance, Phase};

/// A look older than this says nothing about now.
const STALE: Duration = LIMIT.saturating_add(PAUSE).saturating_mul(2);

/// When nothing was looked at for so long, the tasks of the instance hang. Every look ends by itself after [`LIMIT`], whatever
/// NATS does.
const STUCK: Duration = Duration::from_secs(10);

/// The pages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Live,
    Ready,
    Startup,
    Metrics,
}

impl Page {
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/livez" => Some(Self::Live),
            "/readyz" => Some(Self::Ready),
            "/startupz" => Some(Self::Startup),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }
}

/// Writes the page of metrics.
#[derive(Clone)]
pub(crate) struct Metrics(pub(super) Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// What a page says.
pub(crate) enum Said {
    Health(Health),
    Metrics(String),
    /// There is no such page.
    Nothing,
}

/// Answers for one instance.
pub(crate) struct Pages {
    instance: Arc<Instance>,
    board: Arc<Board>,
    metrics: Option<Metrics>,
    opened: Instant,
}

impl Pages {
    pub(crate) fn new(instance: Arc<Instance>, board: Arc<Board>, metrics: Option<Metrics>) -> Self {
        Self { instance, board, metrics, opened: Instant::now() }
    }

    /// What a page answers.
    pub(crate) fn answer(&self, page: Page) -> Said {
        let checks = match page {
            Page::Metrics => {
                return self.metrics.as_ref().map_or(Said::Nothing, |Metrics(page)| Said::Metrics(page()));
            }
            Page::Live => self.live(),
            Page::Ready => self.ready(),
            Page::Startup => self.startup(),
        };
        let mut health = Health::of_checks(self.instance.id.clone(), self.instance.version.clone(), checks);
        if page == Page::Ready && self.instance.phase.get() != Phase::Serving {
            health.status = HealthStatus::Draining;
        }
        Said::Health(health)
    }

    fn live(&self) -> Checks {
        let since = self.board.last().map_or(self.opened, |look| look.at).elapsed();
        let heartbeat =
            if since < STUCK { Check::ok() } else { Check::failed(format!("nothing was done for {since:.1?}")) };
        Checks::from([("heartbeat".to_owned(), heartbeat)])
    }

    /// The last look, with what is known at once brought up to date.
    fn ready(&self) -> Checks {
        let mut checks = match self.board.last() {
            Some(look) if look.at.elapsed() < STALE => look.checks.clone(),
            _ => [ROUND_TRIP, STORE].map(|name| (name.to_owned(), Check::failed("not known yet"))).into(),
        };
        checks.insert(NATS.to_owned(), connected(&self.instance.connection));
        let serving = match self.instance.phase.get() {
            Phase::Serving if self.board.has_started() => Check::ok(),
            Phase::Serving => Check::failed("requests are not taken yet"),
            Phase::Leaving | Phase::Draining => Check::failed("draining"),
        };
        checks.insert("serving".to_owned(), serving);
        checks
    }

    fn startup(&self) -> Checks {
        let started = match (self.board.has_started(), self.board.was_well()) {
            (true, true) => Check::ok(),
            (false, _) => Check::failed("requests are not taken yet"),
            (true, false) => Check::failed("not ready for the first time yet"),
        };
        Checks::from([("started".to_owned(), started)])
    }
}
