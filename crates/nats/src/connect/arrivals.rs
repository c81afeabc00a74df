//! One subscription in a queue group, and how to leave it without losing what is under way.
//!
//! `Subscriber::drain` is not enough for that: async-nats forgets the subscription the next time its connection task wakes,
//! whether or not the server has seen the UNSUB by then, and drops what the server sends in between (up to 30 requests a time
//! with 128 callers, measured). What does hold is an UNSUB with a number: server and client both stop after exactly that many
//! messages. So the number is set ahead of what can be under way, and the callers themselves bring the end about.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Message, Statistics, Subscriber};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

/// The time over which arrivals are counted.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a subscription is watched that has been idle, before it is believed to be.
const GLANCE: Duration = Duration::from_millis(50);

/// When nothing has come for so long, none is under way.
const QUIET: Duration = Duration::from_millis(250);

/// How many messages ahead the end is set, and how long callers may take to bring it about before the next, nearer one is
/// tried. Each is an eighth of a second's worth of messages at least, for a subscription that did not reach the one before.
const ENDS: [(u64, Duration); 3] =
    [(256, Duration::from_secs(1)), (32, Duration::from_millis(500)), (4, Duration::from_millis(250))];

/// How long the client may take to pass a word on to the server.
const PASSED_ON: Duration = Duration::from_millis(500);

/// How long the last messages may take to come.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What comes over a subscription that is one of a queue group, and that is to be left without losing what the server has
/// sent by then.
pub struct Arrivals {
    subscriber: Subscriber,
    client: Client,
    statistics: Arc<Statistics>,
    /// Messages that were delivered.
    delivered: u64,
    /// How often the client had connected when the first of them came.
    connects: u64,
    recent: Recent,
}

/// Arrivals in this period and the one before.
struct Recent {
    since: Instant,
    now: u64,
    before: u64,
}

/// How taking messages went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// They kept coming, or may have.
    Some,
    /// It has become quiet.
    None,
    /// The subscription has ended.
    TheLast,
}

impl Recent {
    fn turn(&mut self, at: Instant) {
        let age = at.duration_since(self.since);
        if age >= PERIOD {
            self.before = if age < 2 * PERIOD { self.now } else { 0 };
            (self.since, self.now) = (at, 0);
        }
    }

    /// The most that arrived in one of the last two periods.
    fn most(&mut self) -> u64 {
        self.turn(Instant::now());
        self.now.max(self.before)
    }
}

impl Arrivals {
    /// What comes over this subscription of that client, from its first message on.
    #[must_use]
    pub fn new(subscriber: Subscriber, client: &Client) -> Self {
        let recent = Recent { since: Instant::now(), now: 0, before: 0 };
        Self { subscriber, client: client.clone(), statistics: client.statistics(), delivered: 0, connects: 0, recent }
    }

    /// The next message; none when the subscription has ended. A cancelled call loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        let message = self.subscriber.next().await?;
        if self.delivered == 0 {
            self.connects = self.connected_times();
        }
        self.delivered += 1;
        self.recent.turn(Instant::now());
        self.recent.now += 1;
        Some(message)
    }

    /// Unsubscribes. Every message that the server hands to this subscription until then is given to `take`, as long as no more
    /// than 256 of them, or what comes in an eighth of a second, are under way at once. It takes two seconds at the most, and
    /// while nothing comes a twentieth of one.
    pub async fn leave(mut self, mut take: impl FnMut(Message)) {
        if self.client.connection_state() != State::Connected {
            // Nothing is under way, and the client does not subscribe anew for somebody who does not listen.
            let _ = timeout(PASSED_ON, self.subscriber.unsubscribe()).await;
            self.take_for(PASSED_ON, &mut take).await;
            return;
        }
        if self.recent.most() == 0 && self.take_for(GLANCE, &mut take).await == Taken::TheLast {
            return;
        }
        if self.recent.most() > 0 && self.end_with_callers(&mut take).await == Taken::TheLast {
            return;
        }
        // It is quiet, so nothing is under way while the client forgets the subscription.
        let _ = timeout(PASSED_ON, self.subscriber.drain()).await;
        self.take_for(LAST_CALL, &mut take).await;
    }

    /// Agrees with the server on a last message and takes messages until it has come.
    async fn end_with_callers(&mut self, take: &mut impl FnMut(Message)) -> Taken {
        let mut busy = self.recent.most() / 8;
        for (ahead, limit) in ENDS {
            if !self.counts_hold() {
                return Taken::Some;
            }
            let last = self.delivered + ahead.max(std::mem::take(&mut busy));
            if !matches!(timeout(PASSED_ON, self.subscriber.unsubscribe_after(last)).await, Ok(Ok(()))) {
                return Taken::Some;
            }
            match self.take_for(limit, take).await {
                Taken::Some => {}
                Taken::None => return Taken::None,
                Taken::TheLast => {
                    self.check_counts().await;
                    return Taken::TheLast;
                }
            }
        }
        Taken::Some
    }

    /// Takes messages until the subscription ends, or none has come for a while, or for `limit`.
    async fn take_for(&mut self, limit: Duration, take: &mut impl FnMut(Message)) -> Taken {
        let end = Instant::now() + limit;
        loop {
            let quiet = Instant::now() + QUIET;
            match timeout_at(end.min(quiet), self.next()).await {
                Ok(Some(message)) => take(message),
                Ok(None) => return Taken::TheLast,
                Err(_) if quiet < end => return Taken::None,
                Err(_) => return Taken::Some,
            }
        }
    }

    /// Whether server and client count the same: a server counts anew on every connection, the client goes on.
    fn counts_hold(&self) -> bool {
        self.delivered == 0 || self.connects == self.connected_times()
    }

    /// If the connection was lost just when the number was set, the server may be waiting for more messages than the client
    /// still takes. A new connection knows nothing of the subscription.
    async fn check_counts(&self) {
        if !self.counts_hold() {
            let _ = timeout(PASSED_ON, self.client.force_reconnect()).await;
        }
    }

    fn connected_times(&self) -> u64 {
        self.statistics.connects.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").field("delivered", &self.delivered).finish_non_exhaustive()
    }
}
