//! What follows from what is seen of a consumer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use headwater_nats::telemetry::Recorder;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::telemetry::HealthTelemetry;
use super::{ConsumerHealth, HealthChange, HealthSettings, HealthState};
use crate::consume::ConsumerInfo;

/// A consumer's health, for whoever wants to read it.
pub(crate) type Shown = Arc<Mutex<ConsumerHealth>>;

/// Watches one consumer.
pub(crate) struct Monitor {
    settings: HealthSettings,
    shown: Shown,
    /// When messages were last brought to their end, or none waited.
    progressed: Instant,
    /// By what progress is seen: the server's count and our own.
    seen: (u64, u64),
    telemetry: Option<HealthTelemetry>,
}

impl Monitor {
    pub(crate) fn new(
        stream: Arc<str>,
        consumer: Arc<str>,
        settings: HealthSettings,
        recorder: Option<&Recorder>,
    ) -> Self {
        let health = ConsumerHealth {
            stream,
            consumer,
            state: HealthState::Unknown,
            pending: 0,
            ack_pending: 0,
            redelivered: 0,
            ack_floor: 0,
        };
        let telemetry = recorder.and_then(|recorder| HealthTelemetry::new(recorder, &health.stream, &health.consumer));
        let shown = Arc::new(Mutex::new(health));
        if let Some(recorder) = recorder {
            HealthTelemetry::observe(recorder, &shown);
        }
        Self { settings, shown, progressed: Instant::now(), seen: (0, 0), telemetry }
    }

    pub(crate) fn shown(&self) -> Shown {
        Arc::clone(&self.shown)
    }

    /// Takes in what the server says, and how many messages were brought to their end here.
    pub(crate) fn looked(&mut self, now: Instant, info: &ConsumerInfo, progress: u64) {
        let waits = info.pending + info.ack_pending > 0;
        let seen = (info.ack_floor, progress);
        if !waits || seen != self.seen {
            self.progressed = now;
            self.seen = seen;
        }
        let idle = now.duration_since(self.progressed);
        let stalled = idle >= self.settings.stalled_after;
        let before = self.update(|health| {
            health.pending = info.pending;
            health.ack_pending = info.ack_pending;
            health.redelivered = info.redelivered;
            health.ack_floor = info.ack_floor;
            health.state = if stalled { HealthState::Stalled } else { HealthState::Working };
        });
        if before == HealthState::Unreachable {
            self.tell(HealthChange::Reachable);
        }
        match (before, stalled) {
            (HealthState::Stalled, true) => {}
            (_, true) => self.tell(HealthChange::Stalled(idle)),
            (HealthState::Stalled, false) => self.tell(HealthChange::Recovered),
            (_, false) => {}
        }
    }

    /// The server did not answer.
    pub(crate) fn not_answered(&mut self) {
        let unless_lost = |health: &mut ConsumerHealth| {
            if health.state != HealthState::Lost {
                health.state = HealthState::Unreachable;
            }
        };
        if !matches!(self.update(unless_lost), HealthState::Unreachable | HealthState::Lost) {
            self.tell(HealthChange::Unreachable);
        }
    }

    /// The consumer is gone.
    pub(crate) fn lost(&mut self) {
        if self.update(|health| health.state = HealthState::Lost) != HealthState::Lost {
            self.tell(HealthChange::Lost);
        }
    }

    /// It was made anew.
    pub(crate) fn recreated(&mut self, now: Instant, from: Option<u64>, stream_is_new: bool) {
        self.progressed = now;
        self.update(|health| health.state = HealthState::Working);
        self.tell(HealthChange::Recreated { from, stream_is_new });
    }

    /// Changes what is shown; the state it was in before.
    fn update(&self, change: impl FnOnce(&mut ConsumerHealth)) -> HealthState {
        let mut health = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = health.state;
        change(&mut health);
        before
    }

    fn tell(&self, change: HealthChange) {
        let health = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ConsumerHealth { stream, consumer, pending, ack_pending, .. } = &health;
        let what = change.as_str();
        match change {
            HealthChange::Recovered | HealthChange::Reachable => {
                info!(%stream, %consumer, pending, ack_pending, "consumer: {what}");
            }
            _ => warn!(%stream, %consumer, pending, ack_pending, ?change, "consumer: {what}"),
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.changed(what);
        }
        let Some(hook) = &self.settings.hook else { return };
        if catch_unwind(AssertUnwindSafe(|| hook(&health, &change))).is_err() {
            error!(%stream, %consumer, "the hook of a consumer's health panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn watched() -> (Monitor, Arc<Mutex<Vec<&'static str>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&told);
        let settings = HealthSettings::default().stalled_after(Duration::from_secs(30)).on_change(move |_, change| {
            hook.lock().unwrap().push(change.as_str());
            assert_ne!(*change, HealthChange::Lost, "a hook that panics");
        });
        (Monitor::new("S".into(), "c".into(), settings, None), told)
    }

    fn info(pending: u64, ack_floor: u64) -> ConsumerInfo {
        ConsumerInfo { pending, ack_pending: 0, redelivered: 0, ack_floor }
    }

    #[test]
    fn a_consumer_stalls_when_messages_wait_and_none_is_done_and_recovers_with_the_first_that_is() {
        let (mut monitor, told) = watched();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        monitor.looked(at(0), &info(3, 1), 1);
        monitor.looked(at(29), &info(3, 1), 1);
        assert!(told.lock().unwrap().is_empty());
        monitor.looked(at(31), &info(3, 1), 1);
        monitor.looked(at(60), &info(3, 1), 1);
        assert_eq!(*told.lock().unwrap(), ["stalled"]);
        monitor.looked(at(61), &info(3, 1), 2);
        assert_eq!(*told.lock().unwrap(), ["stalled", "recovered"]);
        monitor.looked(at(62), &info(0, 5), 2);
        monitor.looked(at(600), &info(0, 5), 2);
        assert_eq!(told.lock().unwrap().len(), 2, "with nothing to do nobody stalls");
    }

    #[test]
    fn what_happens_to_a_consumer_is_told_once_and_a_hook_that_panics_harms_nobody() {
        let (mut monitor, told) = watched();
        monitor.not_answered();
        monitor.not_answered();
        monitor.looked(Instant::now(), &info(0, 0), 0);
        monitor.lost();
        monitor.lost();
        monitor.not_answered();
        monitor.recreated(Instant::now(), Some(7), false);
        assert_eq!(*told.lock().unwrap(), ["unreachable", "reachable", "lost", "recreated"]);
        assert_eq!(monitor.shown().lock().unwrap().state, HealthState::Working);
    }
}
