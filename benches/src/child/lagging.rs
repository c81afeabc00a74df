//! A router that lags: its handlers take their time with each message until they are told to go on. How far it is, it tells
//! whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater::nats::connect::{Connection, NatsConfig};
use headwater_nats_messaging::health::HealthSettings;
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::processing::{Key, Processing};
use headwater_nats_messaging::router::{Payload, Reply, Route, Router, Running, Shutdown, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{NOTHING, Note, serve_until_told};
use crate::Fallible;

/// The request that lets the handlers go on.
pub(crate) const GO: &str = "lag.go";

/// The request for how far each consumer is.
pub(crate) const STAND: &str = "lag.stand";

/// How long a slow handler takes for a message.
const SLOW: Duration = Duration::from_millis(50);

/// How often it is noted how far it is, and the server is asked.
const LOOK: Duration = Duration::from_millis(100);

const SHUT_DOWN_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lagging {
    pub(crate) url: String,
    pub(crate) stream: String,
    pub(crate) spread: Spread,
}

/// How the messages at `notes.{slow|fast}.{key}` are spread over handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Spread {
    /// A slow handler has them all.
    One,
    /// The same, in order by key.
    InOrder,
    /// A slow handler has half of them, and beside it a fast one has the others.
    Beside,
}

/// How far a consumer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stand {
    pub(crate) consumer: String,
    pub(crate) handled: u64,
    pub(crate) in_hand: u64,
    /// As its health has them.
    pub(crate) pending: u64,
    pub(crate) ack_pending: u64,
}

impl Stand {
    /// How many messages it has to handle yet, as its health has them.
    pub(crate) fn behind(&self) -> u64 {
        self.pending + self.ack_pending
    }
}

/// What the handlers share.
#[derive(Debug)]
struct Pace {
    is_slow: AtomicBool,
    stands: watch::Receiver<Vec<Stand>>,
}

impl Lagging {
    pub(super) async fn run(self) -> Fallible<Value> {
        let connection = Connection::connect(&NatsConfig::new(&self.url).name("lagging")).await?;
        let (told, stands) = watch::channel(Vec::new());
        let pace = Arc::new(Pace { is_slow: AtomicBool::new(true), stands });
        let running = self.router().with_state(pace).start(JetStream::new(connection)).await?;
        let mut look = interval(LOOK / 2);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut end = std::pin::pin!(serve_until_told());
        loop {
            tokio::select! {
                ended = &mut end => break ended?,
                _ = look.tick() => drop(told.send_replace(stands_of(&running))),
            }
        }
        match running.shutdown(SHUT_DOWN_WITHIN).await {
            Shutdown::Finished => Ok(NOTHING),
            Shutdown::GaveUp => Err("messages were in their handlers at the end".into()),
        }
    }

    fn router(&self) -> Router<Arc<Pace>> {
        let processing = Processing::default().health(HealthSettings::default().interval(LOOK));
        let router = Router::new().service("lag").stream(&*self.stream).on_message(GO, go).on_message(STAND, stand);
        let router = match self.spread {
            Spread::One => router.on_event("notes.>", slow),
            Spread::InOrder => {
                let in_order = processing.clone().in_order_by(Key::token(2));
                router.route(Route::event("notes.>", slow).processing(in_order))
            }
            Spread::Beside => router.on_event("notes.slow.>", slow).on_event("notes.fast.>", fast),
        };
        router.processing(processing)
    }
}

fn stands_of(running: &Running) -> Vec<Stand> {
    let stands = running.processors().map(|(config, processor)| {
        let (stats, health) = (processor.stats(), processor.health());
        Stand {
            consumer: config.durable.clone(),
            handled: stats.handled,
            in_hand: stats.in_hand,
            pending: health.pending,
            ack_pending: health.ack_pending,
        }
    });
    stands.collect()
}

async fn slow(State(pace): State<Arc<Pace>>, Payload(note): Payload<Note>) {
    drop(note);
    if pace.is_slow.load(Ordering::Relaxed) {
        sleep(SLOW).await;
    }
}

async fn fast(Payload(note): Payload<Note>) {
    drop(note);
}

async fn go(State(pace): State<Arc<Pace>>) {
    pace.is_slow.store(false, Ordering::Relaxed);
}

async fn stand(State(pace): State<Arc<Pace>>) -> Reply<Vec<Stand>> {
    Reply(pace.stands.borrow().clone())
}
