//! Values put into envelopes.

use bytes::Bytes;

use super::error::{EnvelopeError, WriteError};
use super::{Attributes, Envelope, binary, flat, known, structured};
use crate::codec::{Codec, CodecError, Encode, essence};
use crate::message::{Headers, Message};
use headwater_nats::event::CONTENT_TYPE as CLOUD_EVENTS;
use headwater_nats::header::{APPLICATION_JSON, CONTENT_TYPE, MSG_ID, TRACEPARENT, TRACESTATE};

impl Envelope {
    /// A message that carries the value, with what is said of it in this form. The attributes' id is also the message id, and
    /// their trace context stands in the headers too.
    ///
    /// # Errors
    ///
    /// When an attribute cannot be said in this form, or the codec cannot write the value.
    pub fn write<T: Encode + ?Sized>(
        self,
        subject: impl Into<String>,
        attributes: &Attributes,
        value: &T,
        codec: &dyn Codec,
    ) -> Result<Message, WriteError> {
        attributes.check(self)?;
        let content_type = value.content_type(codec);
        if content_type.chars().any(char::is_control) {
            return Err(EnvelopeError::new(self, known::DATA_CONTENT_TYPE, "holds a control character").into());
        }
        let content_type = if content_type.is_empty() { APPLICATION_JSON } else { &*content_type };
        let data = |body: &mut Vec<u8>| value.encode(codec, body);
        let (headers, body) = self.write_erased(attributes, content_type, &data)?;
        Ok(Message { subject: subject.into(), headers, body })
    }

    fn write_erased(
        self,
        attributes: &Attributes,
        content_type: &str,
        data: &dyn Fn(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(Headers, Bytes), CodecError> {
        let mut headers = Headers::default();
        let (content_type, body) = match self {
            Self::CloudEvents => (CLOUD_EVENTS, structured::write(attributes, content_type, data)?),
            Self::Flat => (APPLICATION_JSON, flat::write(attributes, content_type, data)?),
            Self::CloudEventsBinary => {
                binary::write(attributes, content_type, &mut headers);
                (content_type, plain(data)?)
            }
            Self::Bare => (content_type, plain(data)?),
        };
        // A content type of CloudEvents would say that the body is a whole event.
        if self == Self::CloudEvents || !essence(content_type).starts_with("application/cloudevents") {
            headers.append_known(CONTENT_TYPE, content_type);
        }
        headers.append_known(MSG_ID, attributes.id.as_str());
        for (name, value) in [(TRACEPARENT, &attributes.traceparent), (TRACESTATE, &attributes.tracestate)] {
            if let Some(value) = value {
                headers.append_known(name, value.as_str());
            }
        }
        Ok((headers, body))
    }
}

fn plain(data: &dyn Fn(&mut Vec<u8>) -> Result<(), CodecError>) -> Result<Bytes, CodecError> {
    let mut body = Vec::with_capacity(256);
    data(&mut body)?;
    Ok(body.into())
}
