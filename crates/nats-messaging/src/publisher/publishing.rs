//! One message with its options.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::PublisherError;
use super::handle::Publisher;
use super::parcel::Parcel;
use super::pipeline::Receipt;
use crate::codec::Encode;
use crate::envelope::{Attributes, Received};
use crate::publish::Published;

/// One message with its options. Awaited, it is published, and the result tells where it is stored;
/// [`enqueue`](Self::enqueue) goes on as soon as it has its place among those under way.
#[must_use = "a message is published when it is awaited or enqueued"]
pub struct Publishing<'a> {
    publisher: &'a Publisher,
    subject: Cow<'a, str>,
    value: Value<'a>,
    attributes: Attributes,
    headers: Vec<(String, String)>,
    until: Until,
}

/// What is to be written, its type forgotten.
pub(super) enum Value<'a> {
    Of(&'a (dyn Encode + Sync)),
    Wrapped(Box<dyn Encode + Send + Sync + 'a>),
}

/// When a message no longer matters.
#[derive(Debug, Clone, Copy)]
enum Until {
    Usual,
    Within(Duration),
    At(Instant),
}

impl<'a> Publishing<'a> {
    pub(super) fn new(publisher: &'a Publisher, subject: Cow<'a, str>, value: Value<'a>) -> Self {
        let (attributes, headers) = (Attributes::default(), Vec::new());
        Self { publisher, subject, value, attributes, headers, until: Until::Usual }
    }

    /// Its id, by which the stream recognises a repetition: an id of what happened, where there is one. A new UUID version 7 by
    /// default.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.attributes.id = id.into();
        self
    }

    /// What happened. The subject without the publisher's prefix by default.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.attributes.event_type = event_type.into();
        self
    }

    /// What it happened to.
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.attributes.subject = Some(subject.into());
        self
    }

    /// When it happened. Now by default.
    pub fn time(mut self, time: DateTime<Utc>) -> Self {
        self.attributes.time = Some(time);
        self
    }

    /// The version of the data's schema.
    pub fn schema_version(mut self, version: impl Into<String>) -> Self {
        self.attributes.schema_version = Some(version.into());
        self
    }

    /// The tenant whom it concerns. The publisher's by default.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.attributes.tenant_id = Some(tenant.into());
        self
    }

    /// The user on whose behalf it happened.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.attributes.user_id = Some(user.into());
        self
    }

    /// The conversation that it belongs to. Its own id by default: it begins one.
    pub fn correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
        self.attributes.correlation_id = Some(correlation_id.into());
        self
    }

    /// What caused it: the id of an event or a request.
    pub fn causation_id(mut self, causation_id: impl Into<String>) -> Self {
        self.attributes.causation_id = Some(causation_id.into());
        self
    }

    /// A message caused it, whose conversation, tenant, user and trace it goes on with. Nothing when that one has no envelope.
    pub fn caused_by(mut self, cause: &Received) -> Self {
        if let Some(cause) = cause.attributes() {
            let conversation = cause.correlation_id.as_ref().unwrap_or(&cause.id);
            self.attributes.correlation_id = Some(conversation.clone());
            self.attributes.causation_id = Some(cause.id.clone());
            self.attributes.tenant_id = cause.tenant_id.clone().or(self.attributes.tenant_id);
            self.attributes.user_id.clone_from(&cause.user_id);
            self.attributes.traceparent.clone_from(&cause.traceparent);
            self.attributes.tracestate.clone_from(&cause.tracestate);
        }
        self
    }

    /// Something else to say of it; see [`Attributes::extensions`].
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.attributes.extensions.insert(name.into(), value.into());
        self
    }

    /// A header beside those of the envelope, which go before it. Names that begin with `Nats-` tell the server what to do, so
    /// they must not come from somebody else.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// When it no longer matters. The publisher's timeout from now by default.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.until = Until::At(deadline);
        self
    }

    /// How long it may take. The publisher's timeout by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.until = Until::Within(timeout);
        self
    }

    /// Hands it over as soon as there is a place among those under way; see [`Publisher::enqueue`].
    ///
    /// # Errors
    ///
    /// When it cannot be written, finds no place before its deadline, or cannot be handed over; what becomes of it then, the
    /// receipt tells, and [`Publisher::flush`].
    pub async fn enqueue(self) -> Result<Receipt, PublisherError> {
        let deadline = self.ends();
        let place = self.publisher.pipeline().place(deadline).await?;
        let publisher = self.publisher;
        let parcel = self.pack(deadline)?;
        let Some(place) = place else {
            let subject = parcel.message.subject.clone();
            return Err(publisher.core().given_up(&parcel, PublisherError::NoPlace { subject }));
        };
        publisher.pipeline().launch(publisher.core(), parcel, place).await
    }

    fn ends(&self) -> Instant {
        match self.until {
            Until::At(deadline) => deadline,
            Until::Within(timeout) => Instant::now() + timeout,
            Until::Usual => Instant::now() + self.publisher.core().timeout,
        }
    }

    /// Puts it into its envelope. What fails here has been reported.
    fn pack(self, deadline: Instant) -> Result<Parcel, PublisherError> {
        let Self { publisher, subject, value, mut attributes, headers, .. } = self;
        let core = publisher.core();
        let value: &dyn Encode = match &value {
            Value::Of(value) => *value,
            Value::Wrapped(value) => &**value,
        };
        let mut parcel = core.begin(&subject, &mut attributes, deadline);
        let whole_subject = std::mem::take(&mut parcel.message.subject);
        match core.envelope.write(whole_subject, &attributes, value, &*core.codec) {
            Ok(message) => core.fill(parcel, message, headers),
            Err(source) => Err(core.unwritable(parcel, &subject, attributes.id, source)),
        }
    }
}

impl<'a> IntoFuture for Publishing<'a> {
    type Output = Result<Published, PublisherError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let (deadline, publisher) = (self.ends(), self.publisher);
        let parcel = if publisher.pipeline().is_closed() { Err(PublisherError::Closed) } else { self.pack(deadline) };
        Box::pin(async move {
            let (mut parcel, core) = (parcel?, publisher.core());
            let result = match core.hand_over(&mut parcel).await {
                Ok(acknowledgement) => core.settle(&mut parcel, acknowledgement).await,
                Err(error) => Err(error),
            };
            core.report(&parcel, &result);
            result
        })
    }
}

impl fmt::Debug for Publishing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publishing").field("subject", &self.subject).field("until", &self.until).finish_non_exhaustive()
    }
}
