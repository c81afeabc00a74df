//! The time of day as tokio's clock has it, so that it stands still and leaps in a test with paused time.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    instant: Instant,
    time: DateTime<Utc>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { instant: Instant::now(), time: Utc::now() }
    }

    /// What the time of day is, or was, at this instant.
    pub(super) fn time_at(&self, instant: Instant) -> DateTime<Utc> {
        let since = TimeDelta::from_std(instant.saturating_duration_since(self.instant)).unwrap_or(TimeDelta::MAX);
        self.time.checked_add_signed(since).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}
