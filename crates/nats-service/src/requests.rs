//! One subscription for requests, and how to leave it without losing any.
//!
//! `Subscriber::drain` is not enough for that: async-nats forgets the subscription the next time its connection task wakes,
//! whether or not the server has seen the UNSUB by then, and what the server sends in between is dropped (10 to 30 requests a
//! time with 128 callers, measured). What does hold is an UNSUB with a number: server and client both stop after exactly that
//! many messages. So the number is set a little ahead of what is under way, and the callers themselves bring the end about.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Message, Statistics, Subscriber};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

/// How long arrivals are counted, to know how many may be under way.
const WINDOW: Duration = Duration::from_millis(50);

/// When no request has come for so long, none is under way.
const QUIET: Duration = Duration::from_millis(100);

/// How long callers may take to bring about the end that was agreed on with the server.
const AT_MOST: Duration = Duration::from_secs(1);

/// How long the client may take to pass a word on to the server.
const PASSED_ON: Duration = Duration::from_millis(500);

/// A subscription for requests.
pub(crate) struct Requests {
    subscriber: Subscriber,
    client: Client,
    statistics: Arc<Statistics>,
    /// Messages that were delivered.
    delivered: u64,
    /// How often the client had connected when the first of them came.
    connects: u64,
}

impl Requests {
    pub(crate) fn new(subscriber: Subscriber, client: &Client) -> Self {
        let statistics = client.statistics();
        Self { subscriber, client: client.clone(), statistics, delivered: 0, connects: 0 }
    }

    /// The next request; none when the subscription has ended.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let message = self.subscriber.next().await?;
        if self.delivered == 0 {
            self.connects = self.connected_times();
        }
        self.delivered += 1;
        Some(message)
    }

    /// Unsubscribes. Every request that the server hands to this subscription until then is given to `take`.
    pub(crate) async fn leave(mut self, mut take: impl FnMut(&Message)) {
        if self.client.connection_state() != State::Connected {
            // Nothing is under way, and the client does not subscribe anew for somebody who does not listen.
            let _ = timeout(PASSED_ON, self.subscriber.unsubscribe()).await;
            self.take_until(Instant::now() + PASSED_ON, PASSED_ON, &mut take).await;
            return;
        }
        let before = self.delivered;
        if self.take_until(Instant::now() + WINDOW, WINDOW, &mut take).await {
            return;
        }
        let recent = self.delivered - before;
        if recent > 0 && self.counts_hold() {
            // Twice what came in the window: far more than the few milliseconds' worth that can be under way.
            let last = self.delivered + 2 * recent + 16;
            let passed_on = timeout(PASSED_ON, self.subscriber.unsubscribe_after(last)).await;
            if matches!(passed_on, Ok(Ok(()))) && self.take_until(Instant::now() + AT_MOST, QUIET, &mut take).await {
                return self.check_counts().await;
            }
        }
        // It has become quiet, so nothing is under way while the client forgets the subscription.
        let _ = timeout(PASSED_ON, self.subscriber.drain()).await;
        self.take_until(Instant::now() + AT_MOST, AT_MOST, &mut take).await;
    }

    /// Takes requests until the subscription ends, or none has come for `pause`, or until `limit`. Says whether it ended.
    async fn take_until(&mut self, limit: Instant, pause: Duration, take: &mut impl FnMut(&Message)) -> bool {
        loop {
            match timeout_at(limit.min(Instant::now() + pause), self.next()).await {
                Ok(Some(message)) => take(&message),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Whether server and client count the same: a server counts anew on every connection, the client goes on.
    fn counts_hold(&self) -> bool {
        self.connects == self.connected_times()
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
