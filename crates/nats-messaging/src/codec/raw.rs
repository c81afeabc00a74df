//! Bytes as they are.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Codec, CodecError, Codecs, Decode, Encode, essence, is_json};

/// Bytes as they are, whatever the format of other values is. As what is received, it takes data of every media type.
///
/// Data that says it is JSON must be; white space around it may be lost on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// What the bytes are.
    pub content_type: String,
    /// The bytes.
    pub data: Bytes,
}

/// The media type of bytes of which nothing is known.
const OCTETS: &str = "application/octet-stream";

impl Raw {
    /// Bytes of which nothing is said: `application/octet-stream`.
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self::of_type(OCTETS, data)
    }

    /// Bytes of a media type.
    pub fn of_type(content_type: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self { content_type: content_type.into(), data: data.into() }
    }
}

impl Encode for Raw {
    fn content_type<'a>(&'a self, _: &'a dyn Codec) -> Cow<'a, str> {
        Cow::Borrowed(&self.content_type)
    }

    fn encode(&self, _: &dyn Codec, body: &mut Vec<u8>) -> Result<(), CodecError> {
        if is_json(&self.content_type) {
            check_json(&self.content_type, &self.data)?;
        }
        body.extend_from_slice(&self.data);
        Ok(())
    }
}

impl Decode for Raw {
    fn decode(content_type: &str, data: &Bytes, _: &Codecs) -> Result<Self, CodecError> {
        let content_type = if content_type.is_empty() { essence("").into_owned() } else { content_type.to_owned() };
        Ok(Self { content_type, data: data.clone() })
    }
}

/// What claims to be JSON is written into JSON, so it has to be.
pub(super) fn check_json(content_type: &str, data: &[u8]) -> Result<(), CodecError> {
    match serde_json::from_slice::<serde::de::IgnoredAny>(data) {
        Ok(_) => Ok(()),
        Err(_) => Err(CodecError::write(content_type, "it is not JSON, as its media type says")),
    }
}
