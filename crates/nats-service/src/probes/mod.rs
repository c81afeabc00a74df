//! Probes for orchestrators: whether an instance lives, is ready for requests, and has started, over HTTP.

mod board;
mod http;
mod look;
mod pages;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use headwater_nats::connect::Connection;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::board::Board;
use self::look::Watch;
use self::pages::{Metrics, Pages};
use crate::instance::Instance;
use crate::problem::{Problems, StartError};

/// Probes over HTTP for orchestrators such as Kubernetes; handed to [`Service::probes`](crate::Service::probes).
///
/// | page | 200 when | otherwise |
/// |---|---|---|
/// | `/livez` | the instance's own tasks run; never depends on NATS | 503, or nobody listens |
/// | `/readyz` | the connections are up, the server answers a round trip, the journal is usable, and the instance is not draining | 503 |
/// | `/startupz` | requests are taken, and the instance has been ready once | 503 |
/// | `/metrics` | there is a [page](Self::metrics) to show, in the text form of Prometheus | 404 |
///
/// The answer is JSON in the form of `{service}.health`, each check with its name:
/// `{"status": "ok"|"degraded"|"draining", "instance", "version", "checks": {"nats": {"ok": true}, …}}`. Any other page is 404,
/// any method but GET and HEAD 405. The port is open from before the service takes requests until it has ended.
///
/// # Readiness
/// Readiness turns within two seconds of the server's death or silence, and of its return. For that the connections try again
/// every half second at least, and server and journal are asked more than twice a second.
///
/// Queue groups know nothing of probes. So an instance that cannot use its journal, while callers can still reach it, also
/// leaves its queue group, after the second look that says so; it joins again after the first that says that all is well. No
/// request is lost by that (`tests/all/probes.rs`). When no instance is ready, callers are told at once that nobody listens. A
/// service without a queue group goes on listening.
///
/// # Bounds
/// At most 32 connections at once, each for one request and for at most 5 seconds. The head of a request may have 8 KiB and 32
/// lines and may take 2 seconds to come; a request with a body is refused. There is no encryption and nobody is asked who they
/// are: choose an address that only the orchestrator reaches.
///
/// ```
/// # use headwater_core::store::MemoryStore;
/// use headwater_nats_service::{Probes, Service};
///
/// let service = Service::builder("counters", "1.0.0").store(MemoryStore::new()).probes(Probes::at("127.0.0.1:8080"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Probes {
    address: String,
    journal: Option<Connection>,
    metrics: Option<Metrics>,
}

impl Probes {
    /// Answers at `address`: an IP address and a port, as in `127.0.0.1:8080` or `[::]:8080`. Port 0 takes a free port, which
    /// [`RunningService::probes_address`](crate::RunningService::probes_address) tells.
    pub fn at(address: impl fmt::Display) -> Self {
        Self { address: address.to_string(), journal: None, metrics: None }
    }

    /// Also looks at the connection that the store uses, as the check `journal-connection`, and has it try again often enough
    /// for readiness to turn in time. Without it readiness learns of that connection only through the store, and after a longer
    /// outage comes back when the connection's own settings let it: up to 5 seconds later, by default.
    pub fn journal_connection(mut self, connection: Connection) -> Self {
        self.journal = Some(connection);
        self
    }

    /// Answers `/metrics` with what `page` writes, in the text form of Prometheus, each time it is asked. Without it there is no
    /// such page. `page` is called from the instance's own tasks and must not block; what sets up telemetry has one to offer.
    pub fn metrics(mut self, page: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Metrics(Arc::new(page)));
        self
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        if self.address.parse::<SocketAddr>().is_err() {
            problems.add("probes", &self.address, "must be an IP address and a port, such as 127.0.0.1:8080");
        }
    }

    /// Opens the port and begins to look. The description was checked.
    pub(crate) async fn open(self, instance: &Arc<Instance>) -> Result<Open, StartError> {
        let address: SocketAddr = self.address.parse().expect("the address was checked");
        let refused = |source| StartError::Probes { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let board = Arc::new(Board::default());
        let (listen, standing) = watch::channel(true);
        let mut tasks = JoinSet::new();
        tasks.spawn(Watch::new(Arc::clone(instance), self.journal, Arc::clone(&board)).run(listen));
        tasks
            .spawn(http::serve(listener, Arc::new(Pages::new(Arc::clone(instance), Arc::clone(&board), self.metrics))));
        let standing = instance.queue_group.is_some().then_some(standing);
        Ok(Open { address: bound, board, standing, tasks })
    }
}

/// An open port, and the tasks behind it. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Open {
    address: SocketAddr,
    board: Arc<Board>,
    /// Whether requests are to be taken; none where there is no queue group to leave.
    standing: Option<watch::Receiver<bool>>,
    tasks: JoinSet<()>,
}

impl Open {
    /// Notes that requests are taken. Says where the probes are answered.
    pub(crate) fn started(&self) -> SocketAddr {
        self.board.note_started();
        tracing::info!(address = %self.address, "answering probes");
        self.address
    }

    /// Waits until an instance that takes requests is to stop that, or the other way round.
    pub(crate) fn turned(&self, listening: bool) -> impl Future<Output = ()> + use<> {
        let standing = self.standing.clone();
        async move {
            let Some(mut standing) = standing else { return std::future::pending().await };
            // When nobody looks any more, it is better to take requests.
            if standing.wait_for(|wanted| *wanted != listening).await.is_err() && listening {
                std::future::pending().await
            }
        }
    }

    /// Closes the port, and returns when that is done.
    pub(crate) async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}
