//! CloudEvents in structured JSON mode.

use std::collections::btree_map::Entry;

use bytes::Bytes;

use super::error::EnvelopeError;
use super::members::{self, Members, Writer};
use super::{Attributes, Envelope, known, time};
use crate::codec::CodecError;

const FORM: Envelope = Envelope::CloudEvents;

/// Writes an event; the attributes have been checked.
pub(super) fn write(
    attributes: &Attributes,
    content_type: &str,
    data: &dyn Fn(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<Bytes, CodecError> {
    let mut writer = Writer::new();
    writer.text(known::SPEC_VERSION, known::VERSION);
    writer.text(known::ID, &attributes.id);
    writer.text(known::SOURCE, &attributes.source);
    writer.text(known::TYPE, &attributes.event_type);
    if let Some(at) = attributes.time {
        writer.text(known::TIME, &time::write(at));
    }
    writer.text(known::DATA_CONTENT_TYPE, content_type);
    for (name, value) in attributes.optional() {
        match value {
            // The journal has integers here.
            Some(version) if name == known::SCHEMA_VERSION && is_integer(version) => writer.raw(name, version),
            Some(text) => writer.text(name, text),
            None => {}
        }
    }
    for (name, value) in &attributes.extensions {
        writer.value(name, value);
    }
    writer.data([known::DATA, known::DATA_BASE64], content_type, data)?;
    Ok(writer.finish())
}

/// Whether the text is an integer of CloudEvents, in the form in which it would be written.
fn is_integer(text: &str) -> bool {
    text.parse::<i32>().is_ok_and(|number| number.to_string() == text)
}

/// What an event says, with its content type and data.
pub(super) fn read(body: &Bytes, members: Members<'_>) -> Result<(Attributes, String, Option<Bytes>), EnvelopeError> {
    let (mut found, mut json, mut base64) = (Found::default(), None, None);
    let mut extensions = super::Extensions::new();
    for (name, raw) in members.0 {
        let wrong = |what: &str| EnvelopeError::new(FORM, &name, what);
        let twice = match &*name {
            known::DATA => json.replace(raw).is_some(),
            known::DATA_BASE64 => base64.replace(members::text(raw).map_err(wrong)?).is_some(),
            known::SCHEMA_VERSION => found.set(&name, members::text_or_number(raw).map_err(wrong)?),
            _ if found.knows(&name) => found.set(&name, members::text(raw).map_err(wrong)?),
            _ => match (extensions.entry(name.to_string()), members::value(raw).map_err(wrong)?) {
                (Entry::Occupied(_), _) => true,
                (_, Some(value)) if value.is_array() || value.is_object() => {
                    return Err(wrong("is no truth value, number or text"));
                }
                (Entry::Vacant(place), Some(value)) => {
                    place.insert(value);
                    false
                }
                (Entry::Vacant(_), None) => false,
            },
        };
        if twice {
            return Err(wrong("stands there twice"));
        }
    }
    let (mut attributes, content_type) = found.attributes(FORM)?;
    attributes.extensions = extensions;
    let data = members::data(body, &content_type, json, base64.flatten());
    let data = data.map_err(|what| EnvelopeError::new(FORM, known::DATA_BASE64, what))?;
    Ok((attributes, content_type, data))
}

/// The attributes of CloudEvents and the journal's, as texts, while they are being found. A text is kept once it has been set,
/// even when that was to nothing, so that a second one is noticed.
#[derive(Debug, Default)]
pub(super) struct Found([Option<Option<String>>; NAMES.len()]);

const NAMES: [&str; 15] = [
    known::ID,
    known::SOURCE,
    known::TYPE,
    known::SPEC_VERSION,
    known::TIME,
    known::DATA_CONTENT_TYPE,
    known::SCHEMA_VERSION,
    known::SUBJECT,
    known::DATA_SCHEMA,
    known::CORRELATION,
    known::CAUSATION,
    known::USER,
    known::TENANT,
    known::TRACEPARENT,
    known::TRACESTATE,
];

impl Found {
    pub(super) fn knows(&self, name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// Keeps a text; whether there was one of that name already.
    pub(super) fn set(&mut self, name: &str, text: Option<String>) -> bool {
        let place = NAMES.iter().position(|known| *known == name);
        place.is_some_and(|place| self.0[place].replace(text).is_some())
    }

    /// All of them without extensions, and the data's content type, empty when it is not said.
    pub(super) fn attributes(self, form: Envelope) -> Result<(Attributes, String), EnvelopeError> {
        let [id, source, event_type, version, at, content_type, rest @ ..] = self.0.map(Option::flatten);
        let [
            schema_version,
            subject,
            data_schema,
            correlation_id,
            causation_id,
            user_id,
            tenant_id,
            traceparent,
            tracestate,
        ] = rest;
        let wrong = |name: &str, what: &str| EnvelopeError::new(form, name, what);
        let needed = |name: &str, text: Option<String>| match text {
            None => Err(wrong(name, "is missing")),
            Some(text) if text.is_empty() => Err(wrong(name, "is empty")),
            Some(text) => Ok(text),
        };
        if needed(known::SPEC_VERSION, version)? != known::VERSION {
            return Err(wrong(known::SPEC_VERSION, "is not 1.0"));
        }
        let time = match at {
            Some(text) => Some(time::read(&text).ok_or_else(|| wrong(known::TIME, "is no RFC 3339 time"))?),
            None => None,
        };
        let attributes = Attributes {
            id: needed(known::ID, id)?,
            source: needed(known::SOURCE, source)?,
            event_type: needed(known::TYPE, event_type)?,
            subject,
            time,
            schema_version,
            data_schema,
            tenant_id,
            correlation_id,
            causation_id,
            user_id,
            traceparent,
            tracestate,
            extensions: super::Extensions::new(),
        };
        Ok((attributes, content_type.unwrap_or_default()))
    }
}
