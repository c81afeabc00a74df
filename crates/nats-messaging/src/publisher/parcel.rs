//! A message on its way, with what has become of it so far.

use std::sync::Arc;

use headwater_nats::backoff::Backoff;
use opentelemetry::Context;
use tokio::time::Instant;

use super::PublisherError;
use crate::message::Message;
use crate::publish::PublishError;

/// A message on its way, with what has become of it so far.
pub(super) struct Parcel {
    pub(super) message: Message,
    /// When it was published, a place in the window not waited for.
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    /// How often it was handed over.
    pub(super) attempts: u32,
    /// Nobody knows of an earlier attempt whether it was stored.
    pub(super) maybe_stored: bool,
    /// The next pauses, once there has been one.
    pub(super) backoff: Option<Backoff>,
    /// The context whose span is the message's; none without telemetry.
    pub(super) span: Option<Context>,
}

impl Parcel {
    /// What its sender is told when this was its last attempt.
    pub(super) fn failed(&self, source: PublishError) -> PublisherError {
        let subject = self.message.subject.clone();
        let id = self.message.message_id().unwrap_or_default().to_owned();
        let (attempts, source) = (self.attempts, Arc::new(source));
        if self.maybe_stored {
            PublisherError::Unknown { subject, id, attempts, source }
        } else {
            PublisherError::NotStored { subject, id, attempts, source }
        }
    }
}
