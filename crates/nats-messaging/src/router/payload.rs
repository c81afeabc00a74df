//! Payloads read: what is wrong with one names the field and never shows a value.

use bytes::Bytes;
use headwater_core::{Failure, JSON};
use serde::de::DeserializeOwned;

use super::context::Context;
use crate::codec::{CodecError, CodecErrorKind, Codecs, Decode};

/// The payload of a message, as its content type and envelope say.
pub(super) fn read<T: Decode>(context: &Context) -> Result<T, Failure> {
    context.received()?.payload(context.codecs()).map_err(|error| unreadable(&error))
}

/// A body read as JSON.
pub(super) fn read_json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    T::decode(JSON, body, &Codecs::default()).map_err(|error| unreadable(&error))
}

/// What is told of a payload that cannot be read: as it is for people, and the field for programs.
pub(crate) fn unreadable(error: &CodecError) -> Failure {
    let failure = Failure::invalid_request(error.to_string());
    match error.place() {
        Some(field) => failure.detail("field", field),
        None if error.kind() == CodecErrorKind::Unsupported => failure.detail("contentType", error.content_type()),
        None => failure,
    }
}
