//! How messages are worked on.

use std::time::Duration;

use headwater_nats::telemetry::Telemetry;

use super::key::Key;
use super::retry::Retry;
use crate::dead_letter::DeadLetters;
use crate::health::HealthSettings;
use crate::inbox::Inbox;

/// How the messages of a subscription are worked on. All of it has defaults.
///
/// ```
/// use std::time::Duration;
/// use headwater_nats_messaging::processing::{Key, Processing, Retry};
///
/// let settings = Processing::default()
///     .concurrency(8)
///     .in_order_by(Key::token(1))
///     .retry(Retry::default().attempts(3))
///     .handler_timeout(Duration::from_secs(20));
/// # drop(settings);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Processing {
    pub(crate) concurrency: usize,
    pub(crate) order: Option<Key>,
    pub(crate) settle_within: Option<Duration>,
    pub(crate) retry: Retry,
    pub(crate) handler_timeout: Duration,
    pub(crate) in_hand: Option<usize>,
    pub(crate) confirm: Option<Duration>,
    pub(crate) after_last: AfterLast,
    pub(crate) inbox: Option<Inbox>,
    pub(crate) health: HealthSettings,
    pub(crate) telemetry: Option<Telemetry>,
}

/// What becomes of a message that was tried as often as [`Retry`] allows, or that no try can help.
#[derive(Debug, Clone, Default)]
pub enum AfterLast {
    /// It is tried again with the longest pause, for ever, and each time an error is logged. The default, because nothing is
    /// lost by it.
    #[default]
    KeepTrying,
    /// It is kept among the dead letters, and the consumer goes on without it.
    DeadLetter(DeadLetters),
    /// An error is logged, and the consumer goes on without it.
    Discard,
}

impl Default for Processing {
    fn default() -> Self {
        Self {
            concurrency: 16,
            order: None,
            settle_within: None,
            retry: Retry::default(),
            handler_timeout: Duration::from_secs(300),
            in_hand: None,
            confirm: None,
            after_last: AfterLast::default(),
            inbox: None,
            health: HealthSettings::default(),
            telemetry: None,
        }
    }
}

impl Processing {
    /// How many messages are handled at once; 16 by default, at least 1.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: concurrency.max(1), ..self }
    }

    /// Messages of one key are handled one after the other, in the order of the stream: later ones wait for the earlier one,
    /// also while it is tried again. By default the order is not kept.
    ///
    /// This holds within one processor. Several that share a consumer are given messages of one key side by side: for order
    /// let one process at a time read the consumer, or give each a part of the subjects.
    ///
    /// A message that is tried again stays in these hands for it, and the tries count as deliveries.
    pub fn in_order_by(self, key: Key) -> Self {
        Self { order: Some(key), ..self }
    }

    /// How long a processor that keeps order waits, after it was started and after it may have missed something, for
    /// messages that were delivered to somebody who has not answered for them: they come before what is new. By default as
    /// long as they may take to be delivered again; 0 switches it off, which suits consumers that several read at once.
    pub fn settle_within(self, limit: Duration) -> Self {
        Self { settle_within: Some(limit), ..self }
    }

    /// How often a message is tried, and how long between.
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// How long a handler may take for one message; 5 minutes by default. It is dropped then, which counts as a failure. A
    /// handler that works longer than half of the consumer's `ack_wait` is announced to the server as at work.
    pub fn handler_timeout(self, limit: Duration) -> Self {
        Self { handler_timeout: limit, ..self }
    }

    /// How many messages are in hand at once, handled or waiting for their turn; by default as many as the consumer's
    /// `max_ack_pending` lets come, and up to twice as many where the stream is purged meanwhile. The server hears of each of
    /// them in time, however long they wait.
    ///
    /// Where several processors share slow work, a small number here, and as small a `buffer`, lets each have its share.
    pub fn in_hand(self, messages: usize) -> Self {
        Self { in_hand: Some(messages.max(1)), ..self }
    }

    /// Waits until the server has taken in that a message is handled, so long at most, before it counts as that. By default
    /// it is told without waiting, and a message whose acknowledgement is lost comes again. Either way a message that comes
    /// again is known for a while and is not handled twice by this processor; `unanswered` in its numbers counts those of
    /// which nobody knows.
    pub fn confirm_within(self, limit: Duration) -> Self {
        Self { confirm: Some(limit), ..self }
    }

    /// What becomes of messages that cannot be handled.
    pub fn after_last(self, after_last: AfterLast) -> Self {
        Self { after_last, ..self }
    }

    /// Messages that cannot be handled are kept here: [`AfterLast::DeadLetter`].
    pub fn dead_letters(self, letters: DeadLetters) -> Self {
        self.after_last(AfterLast::DeadLetter(letters))
    }

    /// Messages whose id was handled before are acknowledged and not handled again.
    pub fn inbox(self, inbox: Inbox) -> Self {
        Self { inbox: Some(inbox), ..self }
    }

    /// How the consumer's health is looked at, and who is told.
    pub fn health(self, health: HealthSettings) -> Self {
        Self { health, ..self }
    }

    /// Records metrics of what is handled and of the consumer's health.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        Self { telemetry: Some(telemetry), ..self }
    }
}
