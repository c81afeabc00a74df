//! Everything that serde can write and read, in whatever format.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Deserializer, Track};

use super::raw::check_json;
use super::{Codec, CodecError, Codecs, Decode, Encode, Format, essence, is_json, json};

impl<T: Serialize> Encode for T {
    fn content_type<'a>(&'a self, codec: &'a dyn Codec) -> Cow<'a, str> {
        Cow::Borrowed(codec.content_type())
    }

    fn encode(&self, codec: &dyn Codec, body: &mut Vec<u8>) -> Result<(), CodecError> {
        match codec.built_in().map(|built_in| built_in.0) {
            Some(Format::Json) => json::encode(self, body),
            #[cfg(feature = "msgpack")]
            Some(Format::MessagePack) => super::msgpack::encode(self, body),
            None => encode_erased(&self, codec, body),
        }
    }
}

impl<T: DeserializeOwned> Decode for T {
    fn decode(content_type: &str, data: &Bytes, codecs: &Codecs) -> Result<Self, CodecError> {
        let codec = codecs.of(content_type).ok_or_else(|| CodecError::unsupported(content_type))?;
        match codec.built_in().map(|built_in| built_in.0) {
            Some(Format::Json) => json::decode(content_type, data),
            #[cfg(feature = "msgpack")]
            Some(Format::MessagePack) => super::msgpack::decode(content_type, data),
            None => decode_erased(content_type, data, codec),
        }
    }
}

fn encode_erased(value: &dyn erased_serde::Serialize, codec: &dyn Codec, body: &mut Vec<u8>) -> Result<(), CodecError> {
    let (content_type, begins) = (codec.content_type(), body.len());
    let written = codec.encode(value, body);
    written.map_err(|_| CodecError::write(content_type, "the value cannot be expressed in it"))?;
    if is_json(content_type) { check_json(content_type, &body[begins..]) } else { Ok(()) }
}

fn decode_erased<T: DeserializeOwned>(content_type: &str, data: &[u8], codec: &dyn Codec) -> Result<T, CodecError> {
    let (mut value, mut track) = (None, Track::new());
    let done = codec.decode(data, &mut |deserializer| {
        value = Some(T::deserialize(Deserializer::new(deserializer, &mut track))?);
        Ok(())
    });
    match (done, value) {
        (Ok(()), Some(value)) => Ok(value),
        (_, None) => Err(CodecError::read(&essence(content_type), "is of the wrong form").at(&track.path())),
        (Err(_), Some(_)) => Err(CodecError::read(&essence(content_type), "something is wrong after the value")),
    }
}
