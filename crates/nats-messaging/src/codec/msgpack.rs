//! MessagePack.

use rmp_serde::decode::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BuiltIn, Codec, CodecError, Format, Read, erased_serde, essence};
use crate::BoxError;

/// MessagePack, `application/msgpack`: shorter than JSON, and made for bytes. Structs are written as maps with the names of
/// their fields, so that fields can be added later, as with JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessagePack;

const CONTENT_TYPE: &str = "application/msgpack";

impl Codec for MessagePack {
    fn content_type(&self) -> &str {
        CONTENT_TYPE
    }

    fn reads(&self, media_type: &str) -> bool {
        [CONTENT_TYPE, "application/vnd.msgpack", "application/x-msgpack"].contains(&media_type)
    }

    fn encode(&self, value: &dyn erased_serde::Serialize, body: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(rmp_serde::encode::write_named(body, value)?)
    }

    fn decode(&self, body: &[u8], read: &mut Read<'_>) -> Result<(), BoxError> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut deserializer))?;
        Ok(())
    }

    fn built_in(&self) -> Option<BuiltIn> {
        Some(BuiltIn(Format::MessagePack))
    }
}

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, body: &mut Vec<u8>) -> Result<(), CodecError> {
    let written = rmp_serde::encode::write_named(body, value);
    written.map_err(|_| CodecError::write(CONTENT_TYPE, "the value cannot be expressed in it"))
}

pub(super) fn decode<T: DeserializeOwned>(content_type: &str, data: &[u8]) -> Result<T, CodecError> {
    let mut rest = data;
    let value = T::deserialize(&mut rmp_serde::Deserializer::new(&mut rest));
    match value {
        Ok(value) if rest.is_empty() => Ok(value),
        Ok(_) => Err(CodecError::read(&essence(content_type), "something follows the value")),
        Err(_) => Err(refusal::<T>(content_type, data)),
    }
}

/// Why data is not read: once more, and slower, with the way to the culprit.
#[cold]
fn refusal<T: DeserializeOwned>(content_type: &str, data: &[u8]) -> CodecError {
    match serde_path_to_error::deserialize::<_, T>(&mut rmp_serde::Deserializer::from_read_ref(data)) {
        Ok(_) => CodecError::read(&essence(content_type), "is of the wrong form"),
        Err(error) => CodecError::read(&essence(content_type), explain(error.inner())).at(error.path()),
    }
}

/// The text may quote values, so only the names of the type's own fields are kept.
fn explain(error: &Error) -> String {
    let field = match error {
        Error::Syntax(text) => text.strip_prefix("missing field "),
        _ => None,
    };
    match (error, field) {
        (_, Some(field)) => format!("lacks the field {field}"),
        (Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_), _) => "is not whole".to_owned(),
        _ => "is of the wrong form".to_owned(),
    }
}
