//! A message on its way to its handler: what it is, and where it is from.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use headwater_core::{Failure, JSON};
use headwater_nats::header::CONTENT_TYPE;

use super::opened::Opened;
use super::pattern::Pattern;
use crate::codec::{Codec, Codecs, Json, essence};
use crate::consume::{AckError, Delivery, DeliveryContext};
use crate::envelope::Received;
use crate::message::{Headers, Message};

/// A message on its way to its handler: what layers see and pass on, and what a handler may take as a parameter.
///
/// Cheap to clone. What is known of events alone (sequence, deliveries, …) is none for a request.
#[derive(Clone)]
pub struct Context {
    source: Source,
    /// What handlers of the same message share.
    opened: Arc<Opened>,
    pattern: Option<Pattern>,
    extensions: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
}

#[derive(Clone)]
enum Source {
    Event(Arc<Delivery>),
    Request(Arc<Message>),
}

impl Context {
    /// A message that a durable consumer delivered; for tests of handlers and layers.
    #[must_use]
    pub fn of_event(delivery: Arc<Delivery>) -> Self {
        Self::new(Source::Event(delivery), Arc::default())
    }

    /// A request; for tests of handlers and layers.
    #[must_use]
    pub fn of_request(message: Message) -> Self {
        Self::new(Source::Request(Arc::new(message)), Arc::default())
    }

    /// An event whose payload may be in these formats.
    pub(super) fn event(delivery: Arc<Delivery>, codecs: &Arc<Codecs>) -> Self {
        Self::new(Source::Event(delivery), Arc::clone(codecs))
    }

    /// A request whose payload may be in these formats.
    pub(super) fn request(message: Message, codecs: &Arc<Codecs>) -> Self {
        Self::new(Source::Request(Arc::new(message)), Arc::clone(codecs))
    }

    fn new(source: Source, codecs: Arc<Codecs>) -> Self {
        Self { source, opened: Arc::new(Opened::new(codecs)), pattern: None, extensions: Vec::new() }
    }

    /// The same, read with these formats.
    #[must_use]
    pub fn with_codecs(self, codecs: Arc<Codecs>) -> Self {
        Self { opened: Arc::new(Opened::new(codecs)), ..self }
    }

    /// The same on its way to the handler of a pattern.
    pub(crate) fn at(&self, pattern: &Pattern) -> Self {
        Self { pattern: Some(pattern.clone()), ..self.clone() }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        match &self.source {
            Source::Event(delivery) => &delivery.message,
            Source::Request(message) => message,
        }
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.message().subject
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.message().headers
    }

    /// Its body, as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.message().body
    }

    /// The formats that its payload may be in.
    #[must_use]
    pub fn codecs(&self) -> &Codecs {
        self.opened.codecs()
    }

    /// The format that a reply is written in: that of the message's `Content-Type`, or of the data in a CloudEvent, if it is one
    /// of [`codecs`](Self::codecs), and else JSON.
    #[must_use]
    pub fn reply_codec(&self) -> &dyn Codec {
        let said = self.headers().get(CONTENT_TYPE).unwrap_or(JSON);
        let of_data = essence(said).starts_with("application/cloudevents").then(|| self.received().ok()).flatten();
        let said = of_data.map_or(said, Received::content_type);
        self.codecs().of(said).or_else(|| self.codecs().of(JSON)).unwrap_or(&Json)
    }

    /// The message with its envelope read, whichever it has. It is read once, whoever asks.
    ///
    /// # Errors
    ///
    /// When it has an envelope that does not keep to its form.
    pub fn received(&self) -> Result<&Received, Failure> {
        self.opened.of(self.message())
    }

    /// Whether it is a request, and not an event.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.source, Source::Request(_))
    }

    /// The pattern that its handler was registered for; none in a fallback.
    #[must_use]
    pub fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }

    /// What the pattern's wildcards stand for, in order: one text for each `*`, one with dots in it for `>`.
    #[must_use]
    pub fn wildcards(&self) -> Vec<&str> {
        self.pattern.as_ref().map_or_else(Vec::new, |pattern| pattern.wildcards(self.subject()).collect())
    }

    /// What the pattern's wildcard at this place stands for, from 0.
    #[must_use]
    pub fn wildcard(&self, place: usize) -> Option<&str> {
        self.pattern.as_ref()?.wildcards(self.subject()).nth(place)
    }

    /// Where an event was delivered from.
    #[must_use]
    pub fn delivery(&self) -> Option<&DeliveryContext> {
        match &self.source {
            Source::Event(delivery) => Some(&delivery.context),
            Source::Request(_) => None,
        }
    }

    /// How often it was delivered, this time included: 1 for a request.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.delivery().map_or(1, |delivery| delivery.deliveries)
    }

    /// An event's place in its stream, from 1.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        self.delivery().map(|delivery| delivery.sequence)
    }

    /// When an event was stored.
    #[must_use]
    pub fn timestamp(&self) -> Option<DateTime<Utc>> {
        self.delivery().map(|delivery| delivery.timestamp)
    }

    /// How many events that match come after it.
    #[must_use]
    pub fn pending(&self) -> Option<u64> {
        self.delivery().map(|delivery| delivery.pending)
    }

    /// The id that its sender gave it against duplicates.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.message().message_id()
    }

    /// Says that an event is still being worked on: its time until it is delivered again begins anew. Does nothing for a
    /// request.
    ///
    /// # Errors
    ///
    /// When it cannot be handed over.
    pub async fn in_progress(&self) -> Result<(), AckError> {
        match &self.source {
            Source::Event(delivery) => delivery.in_progress().await,
            Source::Request(_) => Ok(()),
        }
    }

    /// Puts a value beside the message, which a layer found out and a handler takes as
    /// [`Extension`](super::Extension). One of the same type is replaced.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.insert_shared(Arc::new(value));
    }

    /// The same for a value that is shared already.
    pub fn insert_shared<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        let of = TypeId::of::<T>();
        self.extensions.retain(|(known, _)| *known != of);
        self.extensions.push((of, value));
    }

    /// The value of this type that a layer put beside the message.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let (_, value) = self.extensions.iter().find(|(known, _)| *known == TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("subject", &self.subject())
            .field("pattern", &self.pattern)
            .field("delivery", &self.delivery())
            .finish_non_exhaustive()
    }
}
