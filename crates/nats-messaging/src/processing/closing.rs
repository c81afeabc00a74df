//! How a processor comes to its end.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::info;

use super::actor::Actor;
use super::hand::{GiveBack, Held};
use super::stats::ShutdownReport;
use super::work::Bench;

/// How long it may take to give messages back.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(3);

/// How long the server may take to say that it has heard everything.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

impl Actor {
    /// Fetches no more, finishes what is in hand until the deadline, and gives the rest back.
    pub(super) async fn close(mut self, deadline: Instant) -> ShutdownReport {
        self.is_stopping = true;
        self.next = None;
        self.reopening.shutdown().await;
        let before = self.bench.counters.progress();
        if let Some(control) = &self.control {
            control.stop();
        }
        let mut report = ShutdownReport::default();
        let _late = timeout_at(deadline, self.finish(&mut report.given_back)).await;
        self.work.shutdown().await;
        let (interrupted, rest) = {
            let mut laid = self.table.laid();
            (laid.hand.running() as u64, laid.hand.empty())
        };
        report.given_back += rest.len() as u64 - interrupted;
        report.interrupted = interrupted;
        give_back(&self.bench, &rest).await;
        if let Some(control) = &self.control {
            // It answers after what it was told before: none of that is lost with the connection.
            let _unheard = timeout(HEARD_WITHIN, control.info()).await;
        }
        report.finished = self.bench.counters.progress() - before;
        report.stats = self.bench.counters.snapshot();
        report.stats.in_hand = 0;
        info!(
            stream = %self.bench.stream, consumer = %self.bench.consumer, finished = report.finished,
            given_back = report.given_back, interrupted = report.interrupted, "a processor has ended"
        );
        report
    }

    async fn finish(&mut self, given_back: &mut u64) {
        let mut pulse = self.every_pulse();
        loop {
            // Who waits for another attempt waits elsewhere, and so does who waits for somebody else's messages.
            let held = {
                let mut laid = self.table.laid();
                let which = if laid.hand.is_gate_shut() { GiveBack::NotRunning } else { GiveBack::Paused };
                laid.hand.give_back(which)
            };
            *given_back += held.len() as u64;
            give_back(&self.bench, &held).await;
            self.begin_what_can_be();
            if self.table.laid().hand.is_empty() && !self.has_more_to_come() {
                return;
            }
            tokio::select! {
                _ = pulse.tick() => self.pulse(),
                () = self.step() => {}
            }
        }
    }
}

async fn give_back(bench: &Bench, held: &[Held]) {
    let telling = held.iter().map(|held| bench.give_back(&held.slot, Duration::ZERO));
    let _late = timeout(GIVE_BACK_WITHIN, join_all(telling)).await;
}
