//! What all messages of a publisher share.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use super::PublisherError;
use super::parcel::Parcel;
use super::report::{Hook, Outcome, Report, tell};
use super::retry::RetryPolicy;
use super::telemetry::PublisherTelemetry;
use crate::codec::Codec;
use crate::envelope::Envelope;
use crate::publish::{Publish, Published};

/// What all messages of a publisher share.
pub(super) struct Core {
    pub(super) port: Arc<dyn Publish>,
    pub(super) source: String,
    /// With the dot that follows it, or empty.
    pub(super) prefix: String,
    pub(super) tenant: Option<String>,
    pub(super) codec: Arc<dyn Codec>,
    pub(super) envelope: Envelope,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Duration,
    pub(super) max_size: usize,
    pub(super) hook: Option<Hook>,
    pub(super) telemetry: Option<PublisherTelemetry>,
}

impl Core {
    /// Tells hook and telemetry that a message failed with this error.
    pub(super) fn given_up(&self, parcel: &Parcel, error: PublisherError) -> PublisherError {
        self.report(parcel, &Err(error.clone()));
        error
    }

    /// Tells hook and telemetry what became of a message.
    pub(super) fn report(&self, parcel: &Parcel, result: &Result<Published, PublisherError>) {
        if self.hook.is_none() && self.telemetry.is_none() {
            return;
        }
        let outcome = match result {
            // What it finds there may be the message of its own earlier attempt.
            Ok(Published { duplicate: true, .. }) if !parcel.maybe_stored => Outcome::Duplicate,
            Ok(_) => Outcome::Stored,
            Err(PublisherError::Unknown { .. }) => Outcome::Unknown,
            Err(_) => Outcome::Failed,
        };
        let latency = parcel.began.elapsed();
        if let Some(telemetry) = &self.telemetry {
            telemetry.ended(parcel, outcome, latency, result);
        }
        if let Some(hook) = &self.hook {
            let report = Report {
                subject: &parcel.message.subject,
                id: parcel.message.message_id().unwrap_or_default(),
                outcome,
                attempts: parcel.attempts,
                latency,
                error: result.as_ref().err(),
            };
            tell(hook, &report);
        }
    }
}

impl Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("source", &self.source)
            .field("prefix", &self.prefix)
            .field("envelope", &self.envelope)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
