//! JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BuiltIn, Codec, CodecError, Format, Read, erased_serde, essence, is_json};
use crate::BoxError;

/// JSON, `application/json`: the default. Reads every media type that is JSON, `application/vnd.orders+json` too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json;

impl Codec for Json {
    fn content_type(&self) -> &str {
        headwater_core::JSON
    }

    fn reads(&self, media_type: &str) -> bool {
        is_json(media_type)
    }

    fn encode(&self, value: &dyn erased_serde::Serialize, body: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(body, value)?)
    }

    fn decode(&self, body: &[u8], read: &mut Read<'_>) -> Result<(), BoxError> {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut deserializer))?;
        Ok(deserializer.end()?)
    }

    fn built_in(&self) -> Option<BuiltIn> {
        Some(BuiltIn(Format::Json))
    }
}

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, body: &mut Vec<u8>) -> Result<(), CodecError> {
    let written = serde_json::to_writer(body, value);
    written.map_err(|_| CodecError::write(headwater_core::JSON, "the value cannot be expressed in it"))
}

pub(super) fn decode<T: DeserializeOwned>(content_type: &str, data: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(data).map_err(|_| refusal::<T>(content_type, data))
}

/// Why data is not read: once more, and slower, with the way to the culprit.
#[cold]
fn refusal<T: DeserializeOwned>(content_type: &str, data: &[u8]) -> CodecError {
    let content_type = essence(content_type);
    let mut deserializer = serde_json::Deserializer::from_slice(data);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return CodecError::read(&content_type, "something follows the value");
    };
    CodecError::read(&content_type, explain(error.inner())).at(error.path())
}

/// serde_json's text may quote values, so only the names of the type's own fields are kept.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let named = text.split_once(" at line ").map_or(&*text, |(what, _)| what);
    match (named.strip_prefix("missing field "), named.strip_prefix("duplicate field ")) {
        (Some(field), _) => format!("lacks the field {field}"),
        (_, Some(field)) => format!("has the field {field} twice"),
        _ if error.is_data() => "is of the wrong form".to_owned(),
        _ => format!("is not JSON from line {}, column {}, on", error.line(), error.column()),
    }
}
