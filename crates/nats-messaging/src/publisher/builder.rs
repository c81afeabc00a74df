//! A publisher's settings.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use headwater_nats::telemetry::Telemetry;

use super::core::Core;
use super::handle::Publisher;
use super::report::{Hook, Report};
use super::retry::RetryPolicy;
use super::telemetry::PublisherTelemetry;
use crate::codec::{Codec, Json};
use crate::envelope::{Attributes, Envelope};
use crate::publish::Publish;
use crate::subject;

/// A publisher's settings.
#[must_use]
pub struct PublisherBuilder {
    port: Arc<dyn Publish>,
    pub(super) source: String,
    prefix: Option<String>,
    tenant: Option<String>,
    codec: Arc<dyn Codec>,
    envelope: Envelope,
    retry: RetryPolicy,
    timeout: Duration,
    window: usize,
    max_size: Option<usize>,
    hook: Option<Hook>,
    telemetry: Option<Telemetry>,
}

/// Settings that make no publisher, each with its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a publisher cannot be made: {}", problems.join("; "))]
pub struct SettingsError {
    /// What is wrong.
    pub problems: Vec<String>,
}

/// The largest window: as many acknowledgements as one connection should ever wait for.
const LARGEST_WINDOW: usize = 1 << 20;

impl PublisherBuilder {
    pub(super) fn new(port: Arc<dyn Publish>, source: String) -> Self {
        Self {
            port,
            source,
            prefix: None,
            tenant: None,
            codec: Arc::new(Json),
            envelope: Envelope::default(),
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(15),
            window: 1_000,
            max_size: None,
            hook: None,
            telemetry: None,
        }
    }

    /// What all subjects begin with, without the dot that follows. Nothing by default.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// The tenant whom the messages concern, unless one says otherwise.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// How values are written. JSON by default.
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.codec = Arc::new(codec);
        self
    }

    /// How messages say what they are. CloudEvents in structured mode by default.
    pub fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = envelope;
        self
    }

    /// What is tried again, how often, and for how long.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How long a message may take in all, waiting for a place in the window and all attempts included, unless it says
    /// otherwise. 15 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many [enqueued](Publisher::enqueue) messages may be under way, not yet acknowledged. 1 000 by default. With 1 the
    /// order of messages is kept even when some are tried again.
    pub fn window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// The most bytes that a message may have, headers included; [`PORTABLE_SIZE`](crate::envelope::PORTABLE_SIZE) for events
    /// that leave NATS. No more than the server allows by default.
    pub fn max_size(mut self, max_size: usize) -> Self {
        self.max_size = Some(max_size);
        self
    }

    /// Somebody who is told what becomes of each message, right where it is found out: it must not block. A panic in it is
    /// logged and goes no further.
    pub fn on_publish(mut self, hook: impl Fn(&Report<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Records traces and metrics. Without it messages only hand on the trace context that their code runs in.
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Makes the publisher.
    ///
    /// # Errors
    ///
    /// Every setting that makes no sense, by its name.
    pub fn build(self) -> Result<Publisher, SettingsError> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(SettingsError { problems });
        }
        let telemetry = self.telemetry.as_ref().map(|telemetry| PublisherTelemetry::new(telemetry, &self.source));
        let core = Core {
            port: self.port,
            source: self.source,
            prefix: self.prefix.map(|prefix| prefix + ".").unwrap_or_default(),
            tenant: self.tenant,
            codec: self.codec,
            envelope: self.envelope,
            retry: self.retry,
            timeout: self.timeout,
            max_size: self.max_size.unwrap_or(usize::MAX),
            hook: self.hook,
            telemetry,
        };
        Ok(Publisher::new(core, self.window))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(flaw) = self.prefix.as_deref().and_then(subject::flaw) {
            problems.push(format!("prefix: {flaw}"));
        }
        // Id and type are of no matter here.
        let mut attributes = Attributes::new("id", self.source.as_str(), "type");
        attributes.tenant_id.clone_from(&self.tenant);
        if let Err(error) = attributes.check(self.envelope) {
            problems.push(error.to_string());
        }
        if self.window == 0 || self.window > LARGEST_WINDOW {
            problems.push(format!("window: {} is not between 1 and {LARGEST_WINDOW}", self.window));
        }
        for (name, time) in [("timeout", self.timeout), ("retry.attempt_timeout", self.retry.attempt_timeout)] {
            if time.is_zero() {
                problems.push(format!("{name}: 0 s leaves no time to publish"));
            }
        }
        problems
    }
}

impl Debug for PublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublisherBuilder")
            .field("source", &self.source)
            .field("prefix", &self.prefix)
            .field("envelope", &self.envelope)
            .field("codec", &self.codec)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
