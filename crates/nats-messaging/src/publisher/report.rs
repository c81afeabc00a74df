//! What a hook is told of each message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::PublisherError;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It is stored: now, or by an earlier attempt whose acknowledgement was lost.
    Stored,
    /// The stream had a message of this id already.
    Duplicate,
    /// It is not stored.
    Failed,
    /// It may be stored.
    Unknown,
}

/// What became of a message, and how.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Where it went, with the publisher's prefix.
    pub subject: &'a str,
    /// Its id.
    pub id: &'a str,
    /// What became of it.
    pub outcome: Outcome,
    /// How often it was handed over; 0 when it never came so far.
    pub attempts: u32,
    /// From when it was published to now, waiting for a place in the window not counted.
    pub latency: Duration,
    /// What went wrong, when it is not stored or nobody knows.
    pub error: Option<&'a PublisherError>,
}

/// Somebody who is told what becomes of messages.
pub(super) type Hook = Arc<dyn Fn(&Report<'_>) + Send + Sync>;

/// Tells the hook, whose panic must not take other messages down.
pub(super) fn tell(hook: &Hook, report: &Report<'_>) {
    if catch_unwind(AssertUnwindSafe(|| hook(report))).is_err() {
        tracing::error!(subject = report.subject, "a hook on published messages panicked");
    }
}
