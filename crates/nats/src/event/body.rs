//! The members of a stored event, in the order in which they are written.

use std::borrow::Cow;

use headwater_core::{EventId, Name, Revision, Sequence};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::EventError;

#[derive(Serialize, Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) specversion: Cow<'a, str>,
    pub(super) id: EventId,
    #[serde(borrow)]
    pub(super) source: Cow<'a, str>,
    #[serde(rename = "type")]
    pub(super) name: Name,
    #[serde(borrow)]
    pub(super) subject: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) time: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) datacontenttype: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) aggregatetype: Cow<'a, str>,
    pub(super) revision: Revision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<Sequence>,
    pub(super) schemaversion: u32,
    #[serde(borrow)]
    pub(super) commandid: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) correlationid: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) causationid: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) userid: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) tenantid: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) data_base64: Option<Cow<'a, str>>,
}

/// Reads the members and checks what concerns one member alone.
pub(super) fn parse(bytes: &[u8]) -> Result<Body<'_>, EventError> {
    // One look at all of it is cheaper than one at each text in it.
    let text = str::from_utf8(bytes).map_err(|_| refusal(bytes))?;
    let body: Body<'_> = serde_json::from_str(text).map_err(|_| refusal(bytes))?;
    if body.specversion != "1.0" {
        return Err(EventError::member("specversion", "is not 1.0"));
    }
    if !body.source.starts_with('/') {
        return Err(EventError::member("source", "is not that of a service"));
    }
    if body.revision == Revision::ZERO {
        return Err(EventError::member("revision", "is 0"));
    }
    if body.schemaversion == 0 {
        return Err(EventError::member("schemaversion", "is 0"));
    }
    Ok(body)
}

/// Why `bytes` are not read: once more, and slower, with the way to the culprit.
#[cold]
fn refusal(bytes: &[u8]) -> EventError {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, Body<'_>>(&mut deserializer) {
        Ok(_) => EventError::trailing(),
        Err(error) => EventError::parse(&error),
    }
}

/// `null` is data too; an `Option` would take it for absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}
