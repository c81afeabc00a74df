//! Messages read, whichever envelope they have.

use bytes::Bytes;
use headwater_nats::event::CONTENT_TYPE as CLOUD_EVENTS;
use headwater_nats::header::CONTENT_TYPE;

use super::error::EnvelopeError;
use super::members::Members;
use super::{Attributes, Envelope, binary, flat, known, structured};
use crate::codec::{CodecError, Codecs, Decode, essence, is_json};
use crate::message::Message;

/// A message whose envelope has been read. Its data is read when it is asked for, as whatever type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    envelope: Envelope,
    attributes: Option<Attributes>,
    content_type: String,
    data: Option<Bytes>,
}

impl Received {
    /// Reads a message's envelope, in the form that the message has.
    ///
    /// The form is told by the header `Content-Type`, when it is that of CloudEvents; else by the header `ce-specversion`; else, in
    /// JSON, by the members of the body: `specversion`, `id`, `source` and `type` make it CloudEvents, and `event_id` with
    /// `event_type` a flat envelope. Everything else has none. Attributes that nobody knows are kept as extensions.
    ///
    /// # Errors
    ///
    /// When the message has a form and does not keep to it. The error names the member.
    pub fn read(message: &Message) -> Result<Self, EnvelopeError> {
        let content_type = message.headers.get(CONTENT_TYPE).unwrap_or_default();
        if essence(content_type).starts_with("application/cloudevents") {
            return Self::read_as(Envelope::CloudEvents, message);
        }
        if binary::is_one(&message.headers) {
            return Self::read_as(Envelope::CloudEventsBinary, message);
        }
        let may_be_one = is_json(content_type) && may_have_envelope(&message.body);
        let members = may_be_one.then(|| Members::read(&message.body)).flatten();
        match members {
            Some(members) if members.has_all(&[known::SPEC_VERSION, known::ID, known::SOURCE, known::TYPE]) => {
                structured::read(&message.body, members).map(|read| Self::with(Envelope::CloudEvents, read))
            }
            Some(members) if flat::is_one(&members) => {
                flat::read(&message.body, members).map(|read| Self::with(Envelope::Flat, read))
            }
            _ => Ok(Self::bare(message)),
        }
    }

    /// Reads a message's envelope in this form, whatever the message seems to have.
    ///
    /// # Errors
    ///
    /// When the message does not keep to the form. The error names the member.
    pub fn read_as(envelope: Envelope, message: &Message) -> Result<Self, EnvelopeError> {
        let content_type = message.headers.get(CONTENT_TYPE).unwrap_or_default();
        let body = &message.body;
        let members = || {
            let no_object = || EnvelopeError::body(envelope, "the body is no JSON object");
            Members::read(body).ok_or_else(no_object)
        };
        match envelope {
            Envelope::CloudEvents => {
                let media_type = essence(content_type);
                if media_type.starts_with("application/cloudevents") && media_type != CLOUD_EVENTS {
                    let what = "names a format of CloudEvents other than one event as JSON";
                    return Err(EnvelopeError::new(envelope, CONTENT_TYPE, what));
                }
                structured::read(body, members()?).map(|read| Self::with(envelope, read))
            }
            Envelope::Flat => flat::read(body, members()?).map(|read| Self::with(envelope, read)),
            Envelope::CloudEventsBinary => {
                let (attributes, of_data) = binary::read(&message.headers)?;
                let content_type = if of_data.is_empty() { content_type.to_owned() } else { of_data };
                Ok(Self::with(envelope, (attributes, content_type, (!body.is_empty()).then(|| body.clone()))))
            }
            Envelope::Bare => Ok(Self::bare(message)),
        }
    }

    fn with(envelope: Envelope, (attributes, content_type, data): (Attributes, String, Option<Bytes>)) -> Self {
        Self { envelope, attributes: Some(attributes), content_type, data }
    }

    fn bare(message: &Message) -> Self {
        let content_type = message.headers.get(CONTENT_TYPE).unwrap_or_default().to_owned();
        Self { envelope: Envelope::Bare, attributes: None, content_type, data: Some(message.body.clone()) }
    }

    /// The form that it has.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// What is said of it; none without an envelope.
    #[must_use]
    pub fn attributes(&self) -> Option<&Attributes> {
        self.attributes.as_ref()
    }

    /// The media type of the data; empty when nobody has said, which stands for JSON.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The data as it came; none when there is none.
    #[must_use]
    pub fn data(&self) -> Option<&Bytes> {
        self.data.as_ref()
    }

    /// The data, read by the codec of its content type.
    ///
    /// # Errors
    ///
    /// When there is no data, no codec reads it, or it is not what is asked for. The error names the place and shows no values.
    pub fn payload<T: Decode>(&self, codecs: &Codecs) -> Result<T, CodecError> {
        let missing = || CodecError::read(&essence(&self.content_type), "the message has none");
        T::decode(&self.content_type, self.data.as_ref().ok_or_else(missing)?, codecs)
    }

    /// What is said of it, its content type, and the data.
    #[must_use]
    pub fn into_parts(self) -> (Option<Attributes>, String, Option<Bytes>) {
        (self.attributes, self.content_type, self.data)
    }
}

/// Whether it is worth the time to look at a body's members: nearly always one without an envelope is known by this alone.
fn may_have_envelope(body: &[u8]) -> bool {
    // A name can also be written with escapes.
    let signs = [known::SPEC_VERSION, known::flat::TYPE, "\\u"];
    str::from_utf8(body).is_ok_and(|body| signs.iter().any(|sign| body.contains(sign)))
}
