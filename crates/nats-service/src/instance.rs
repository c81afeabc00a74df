//! What all tasks of one running instance share.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_nats::Client;
use chrono::{DateTime, Utc};
use headwater_core::Name;
use headwater_core::dispatch::Dispatcher;
use headwater_nats::connect::Connection;
use headwater_nats::limits::Limits as RequestLimits;
use headwater_nats::subject::Subjects;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::about::About;
use crate::auth::Guard;
use crate::circuit_breaker::Circuits;
use crate::counters::{Count, Counters};
use crate::edge::Stack;
use crate::endpoint::Endpoints;
use crate::health::HealthCheck;
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::rate_limit::RateLimiter;
use crate::telemetry::ServiceTelemetry;

/// One running instance of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) subjects: Subjects,
    pub(crate) queue_group: Option<String>,
    pub(crate) limits: Limits,
    /// What is accepted of a request before it is looked at any closer.
    pub(crate) accepts: RequestLimits,
    pub(crate) started: DateTime<Utc>,
    pub(crate) endpoints: Endpoints,
    pub(crate) about: About,
    pub(crate) health: HealthCheck,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) connection: Connection,
    /// Traces and metrics.
    pub(crate) telemetry: Option<Arc<ServiceTelemetry>>,
    pub(crate) link: RwLock<Arc<Link>>,
    pub(crate) strays: Strays,
    pub(crate) outbox: Outbox,
    /// Places for commands under way.
    pub(crate) commands: Arc<Semaphore>,
    /// Places for queries under way.
    pub(crate) queries: Arc<Semaphore>,
    /// The way through the edge where there are layers.
    pub(crate) stack: Option<Stack>,
    /// Who asks who is calling, where somebody does.
    pub(crate) auth: Option<Arc<Guard>>,
    /// Places for requests that layers hold up, or about whose callers somebody is asked, beside those under way.
    pub(crate) waiting: Arc<Semaphore>,
    pub(crate) rate_limiter: Option<RateLimiter>,
    pub(crate) circuits: Option<Circuits>,
    /// Every request under way.
    pub(crate) tasks: TaskTracker,
    /// Questions about the instance that wait for something.
    pub(crate) questions: TaskTracker,
    /// What is under way gives its callers an answer at once and ends.
    pub(crate) give_up: CancellationToken,
    pub(crate) phase: PhaseCell,
    /// Requests answered, by whatever answer.
    pub(crate) answered: Count,
    /// Requests that were given up and whose callers were told so.
    pub(crate) given_up: Count,
}

/// The client of the moment. The connection hands out a new value at every question; a reply only needs to borrow one.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) generation: u64,
    pub(crate) client: Client,
}

/// What no endpoint of the service can be blamed for.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    /// Requests under the service's prefix for something that it does not have.
    pub(crate) unknown: Counters,
    /// Messages delivered to a subscription of ours under a subject that is not ours.
    pub(crate) foreign: Count,
    /// Questions about the instance itself whose reply subject is missing or not one for replies, or that came too fast.
    pub(crate) unasked: Count,
    /// Answers that could not be sent.
    pub(crate) unsent: Count,
}

/// How far along an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It takes requests.
    Serving,
    /// It is leaving its queue group; what still arrives is served.
    Leaving,
    /// It has left and finishes what it has begun.
    Draining,
}

/// A phase that only moves on.
#[derive(Debug, Default)]
pub(crate) struct PhaseCell(AtomicU8);

impl PhaseCell {
    pub(crate) fn get(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::Leaving,
            _ => Phase::Draining,
        }
    }

    pub(crate) fn reach(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::Relaxed);
    }
}

impl Instance {
    /// The service's name.
    pub(crate) fn name(&self) -> &Name {
        self.subjects.service()
    }

    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the connection's client of the moment for the replies from now on.
    pub(crate) fn relink(&self) -> Arc<Link> {
        let (generation, client) = self.connection.current();
        let link = Arc::new(Link { generation, client });
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&link);
        link
    }

    /// The largest body a reply may have, with room for the headers of a failure.
    pub(crate) fn max_reply(&self) -> usize {
        let most = self.limits.max_reply.unwrap_or(usize::MAX);
        most.min(self.link().client.max_payload().saturating_sub(ERROR_HEADERS))
    }
}

/// Room for the two error headers, in bytes.
const ERROR_HEADERS: usize = 512;
