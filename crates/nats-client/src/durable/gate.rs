//! The gate of a reader: shut whenever a delivery may have been missed, and opened when everything that is delivered
//! and not acknowledged is in the reader's hands. The server is asked until that is so.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::debug;

use super::api::Trouble;
use super::consumer::ConsumerInfo;
use super::reader::{ACK, Reader, Way};

/// How often the server is asked how far the durable is while there is no need to know.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The longest pause between questions while an event waits at the gate.
pub(super) const SOON: Duration = Duration::from_millis(500);

impl Reader {
    /// From now on, what comes waits until nothing older can come.
    pub(super) fn shut_gate(&mut self) {
        if !self.desk.is_gate_shut() {
            self.done_at_gate = self.done_to();
            self.desk.shut_gate();
        }
        // An answer to an earlier question tells of a time before whatever was missed.
        self.question = None;
        self.ask_again.reset();
        self.ask_at = Instant::now();
    }

    /// An event waits at the gate: the next question is not put off for long.
    pub(super) fn ask_soon(&mut self) {
        let now = Instant::now();
        if self.question.is_none() && self.ask_at > now + SOON {
            self.ask_at = now + self.ask_again.next_pause();
        }
    }

    /// Everything up to here is done.
    pub(super) fn done_to(&self) -> u64 {
        if self.desk.is_gate_shut() {
            return self.done_at_gate;
        }
        let first = self.desk.first().into_iter().chain(self.junk.keys().next().copied()).min();
        first.map_or(self.reached, |first| first.saturating_sub(1))
    }

    /// Asks the server how far the durable is, if there is a way to.
    pub(super) fn ask(&mut self, now: Instant) {
        self.ask_at = now + LOOK_EVERY;
        if self.question.is_none() && matches!(self.way, Way::Open(_)) {
            let consumer = self.consumer.clone();
            self.question = Some(async move { consumer.info().await }.boxed());
        }
    }

    pub(super) async fn answered(&mut self, answer: Result<Option<ConsumerInfo>, Trouble>) {
        match answer {
            Ok(Some(info)) => self.judge(&info).await,
            // The line tells.
            Ok(None) => self.ask_at = Instant::now() + self.ask_again.next_pause(),
            Err(trouble) => {
                debug!(reader = %self.settings.name, ?trouble, "the server does not say how far the durable is");
                self.ask_at = Instant::now() + self.ask_again.next_pause();
            }
        }
    }

    /// Opens the gate when everything that is delivered and not acknowledged is in these hands.
    pub(super) async fn judge(&mut self, info: &ConsumerInfo) {
        self.counters.unread.set(info.num_pending);
        let (floor, to) = (info.ack_floor.stream_seq, info.delivered.stream_seq);
        self.done_at_gate = self.done_at_gate.max(floor);
        self.reached = self.reached.max(floor);
        self.ask_at = Instant::now() + LOOK_EVERY;
        if !self.desk.is_gate_shut() {
            return;
        }
        let junk = if floor < to { self.junk.range(floor + 1..=to).count() } else { 0 };
        if info.num_ack_pending <= (self.desk.unfinished_between(floor, to) + junk) as u64 {
            self.reached = self.reached.max(to);
            self.desk.open_gate();
            return;
        }
        if !self.repeated && matches!(self.way, Way::Open(_)) {
            // What was handled here and is not acknowledged: the connection dropped, or the server lost it.
            self.repeated = true;
            for reply in self.memory.between(floor, to) {
                self.say(&reply, ACK).await;
            }
        }
        if self.desk.len() > 0 {
            self.ask_soon();
        }
    }
}
