//! Looking at what readiness depends on, again and again.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::store::EventStore;
use headwater_nats::connect::{Connection, ConnectionStatus};
use headwater_nats::discovery::Check;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::board::{Board, Checks};
use crate::instance::Instance;

/// How long server and journal may take to answer. With [`PAUSE`] this is how late a server that has fallen silent can be
/// noticed: 1.2 s of the 2 s that are promised.
pub(super) const LIMIT: Duration = Duration::from_millis(800);

/// The pause between two looks, unless a connection has news.
pub(super) const PAUSE: Duration = Duration::from_millis(400);

/// The pause after news: there may be more of them.
const BREATH: Duration = Duration::from_millis(50);

/// The longest pause between tries to connect again.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// How many looks in a row must find trouble before the queue group is left: one slow answer of the journal is no reason to
/// send all callers elsewhere.
const TROUBLED: u32 = 2;

/// The names of the checks. The first two are those of `{service}.health`.
pub(super) const NATS: &str = "nats";
pub(super) const STORE: &str = "store";
pub(super) const ROUND_TRIP: &str = "round-trip";
pub(super) const JOURNAL: &str = "journal-connection";

/// Looks at connections and journal.
pub(crate) struct Watch {
    instance: Arc<Instance>,
    journal: Option<Connection>,
    board: Arc<Board>,
    /// Looks in a row that found the instance reachable and yet of no use.
    troubled: u32,
}

impl Watch {
    pub(crate) fn new(instance: Arc<Instance>, journal: Option<Connection>, board: Arc<Board>) -> Self {
        Self { instance, journal, board, troubled: 0 }
    }

    /// Looks until it is stopped, and tells `listen` whether requests are to be taken.
    pub(crate) async fn run(mut self, listen: watch::Sender<bool>) {
        let callers = self.instance.connection.clone();
        let journal = self.journal.clone().unwrap_or_else(|| callers.clone());
        for connection in [&callers, &journal] {
            connection.limit_reconnect_pause(TRY_EVERY);
        }
        let mut news = [callers, journal].map(|connection| connection.statuses());
        loop {
            let checks = self.look().await;
            listen.send_if_modified(|listening| {
                let wanted = self.is_wanted(&checks, *listening);
                std::mem::replace(listening, wanted) != wanted
            });
            self.board.put(checks);
            wait(&mut news).await;
        }
    }

    async fn look(&self) -> Checks {
        let connection = &self.instance.connection;
        let store = self.instance.dispatcher.store();
        let journal = async { Some(answered(self.journal.as_ref()?).await) };
        let (round_trip, store, journal) = tokio::join!(answered(connection), usable(&**store), journal);
        let mut checks = Checks::from([
            (NATS.to_owned(), connected(connection)),
            (ROUND_TRIP.to_owned(), round_trip),
            (STORE.to_owned(), store),
        ]);
        checks.extend(journal.map(|check| (JOURNAL.to_owned(), check)));
        checks
    }

    /// Whether an instance that is `listening` now is to take requests.
    ///
    /// The queue group is left only while the callers' server answers. Without it nobody can send us anything, and what a
    /// server that went silent still holds for us would be lost with the subscription.
    fn is_wanted(&mut self, checks: &Checks, listening: bool) -> bool {
        let is_ok = |name: &str| checks.get(name).is_some_and(|check| check.ok);
        let ready = checks.values().all(|check| check.ok);
        let in_trouble = !ready && is_ok(NATS) && is_ok(ROUND_TRIP);
        self.troubled = if in_trouble { self.troubled.saturating_add(1) } else { 0 };
        if listening { self.troubled < TROUBLED } else { ready }
    }
}

/// Whether the connection works at this moment, as far as is known.
pub(super) fn connected(connection: &Connection) -> Check {
    if connection.is_up() { Check::ok() } else { Check::failed(connection.status().to_string()) }
}

/// Whether the server at the other end answers in time.
async fn answered(connection: &Connection) -> Check {
    match timeout(LIMIT, connection.round_trip()).await {
        Ok(Ok(took)) => Check { ok: true, detail: Some(format!("{:.1} ms", took.as_secs_f64() * 1e3)) },
        Ok(Err(down)) => Check::failed(down.to_string()),
        Err(_) => Check::failed(format!("the server did not answer within {LIMIT:?}")),
    }
}

/// Whether events can be stored and read.
async fn usable(store: &dyn EventStore) -> Check {
    match timeout(LIMIT, store.check()).await {
        Ok(Ok(())) => Check::ok(),
        Ok(Err(error)) => Check::failed(error.to_string()),
        Err(_) => Check::failed(format!("no answer within {LIMIT:?}")),
    }
}

/// Waits until it is time to look again.
async fn wait(news: &mut [watch::Receiver<ConnectionStatus>; 2]) {
    let [callers, journal] = news;
    tokio::select! {
        () = sleep(PAUSE) => {}
        Ok(()) = callers.changed() => sleep(BREATH).await,
        Ok(()) = journal.changed() => sleep(BREATH).await,
    }
}
