//! Protocol Buffers.

use std::borrow::Cow;

use bytes::Bytes;
use prost::Message;

use super::{Codec, CodecError, Codecs, Decode, Encode, essence, short};

/// A message of Protocol Buffers, `application/protobuf`, whatever the format of other values is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proto<M>(
    /// The message.
    pub M,
);

const CONTENT_TYPE: &str = "application/protobuf";

impl<M: Message> Encode for Proto<M> {
    fn content_type<'a>(&'a self, _: &'a dyn Codec) -> Cow<'a, str> {
        Cow::Borrowed(CONTENT_TYPE)
    }

    fn encode(&self, _: &dyn Codec, body: &mut Vec<u8>) -> Result<(), CodecError> {
        let written = self.0.encode(body);
        written.map_err(|_| CodecError::write(CONTENT_TYPE, "the message is too large"))
    }
}

impl<M: Message + Default> Decode for Proto<M> {
    fn decode(content_type: &str, data: &Bytes, _: &Codecs) -> Result<Self, CodecError> {
        let known = [CONTENT_TYPE, "application/x-protobuf", "application/vnd.google.protobuf"];
        if !known.contains(&&*essence(content_type)) {
            let what = "a message of Protocol Buffers is asked for";
            return Err(CodecError::read(&short(&essence(content_type)), what));
        }
        // What prost says is wrong names the fields, and shows wire types and lengths, but no values.
        let read = M::decode(data.clone());
        read.map(Self).map_err(|error| CodecError::read(CONTENT_TYPE, error.to_string()))
    }
}
