//! What the processing of a subscription runs for each message, with everything generic already erased.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::BoxError;
use crate::consume::Delivery;

/// Handles the messages of a durable consumer, one delivery at a time.
///
/// The processing calls it once for each delivery, from as many tasks at once as its concurrency allows, and tells the
/// consumer what came of it. A handler never acknowledges by itself; a panic is for the processing to catch.
pub trait EventHandler: Send + Sync + 'static {
    /// Handles a message. Dropped before it is done (its time was up, the program ends), it is as if it had never been called:
    /// the message comes again.
    fn handle(&self, delivery: Arc<Delivery>) -> BoxFuture<'static, Outcome>;
}

impl<H: EventHandler + ?Sized> EventHandler for Arc<H> {
    fn handle(&self, delivery: Arc<Delivery>) -> BoxFuture<'static, Outcome> {
        (**self).handle(delivery)
    }
}

/// What came of handling a message.
#[derive(Debug)]
pub enum Outcome {
    /// It is handled and need not come again.
    Done,
    /// It is to be tried again, as long as deliveries are left.
    Retry {
        /// Why, for the log and for the dead letter, should it come to that. It must not show the payload.
        error: BoxError,
        /// How long from now; none: as the processing's backoff has it.
        after: Option<Duration>,
    },
    /// It cannot be handled for now, and the message is not to blame: a limit is reached, or what its handler needs is not to
    /// be had. It waits in the processor's hands, of which the server hears, and this is no attempt.
    Postpone {
        /// Why, for the log. It must not show the payload.
        error: BoxError,
        /// How long from now it waits.
        after: Duration,
        /// Whether it was tried, and failed. Then it is no attempt only for so long as
        /// [`Retry::excused_for`](crate::processing::Retry::excused_for) says.
        tried: bool,
    },
    /// No further try can help: it cannot be read, for one.
    Poison {
        /// Why, for the log and for the dead letter. It must not show the payload.
        reason: String,
    },
}

impl Outcome {
    /// The worse of two, where several handlers had the same message: what may still work is tried first, and what is
    /// poison to one is told once the others are done. A failed attempt of one counts, though another one was postponed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, other) => other,
            (Self::Poison { .. }, other @ (Self::Retry { .. } | Self::Postpone { .. }))
            | (Self::Postpone { .. }, other @ Self::Retry { .. }) => other,
            (first, _) => first,
        }
    }
}
