//! The flat envelope: plain JSON with `event_id`, `event_type`, `timestamp`, `source`, `version`, `metadata` and `data`.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::error::EnvelopeError;
use super::known::flat;
use super::members::{self, Members, Writer};
use super::{Attributes, Envelope, Extensions, known, time};
use crate::codec::CodecError;

const FORM: Envelope = Envelope::Flat;

/// The version of data whose version nobody has told.
const FIRST_VERSION: &str = "1";

/// Writes an event; the attributes have been checked.
pub(super) fn write(
    attributes: &Attributes,
    content_type: &str,
    data: &dyn Fn(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<Bytes, CodecError> {
    let mut writer = Writer::new();
    writer.text(flat::ID, &attributes.id);
    writer.text(flat::TYPE, &attributes.event_type);
    if let Some(at) = attributes.time {
        writer.text(flat::TIME, &time::write(at));
    }
    writer.text(flat::SOURCE, &attributes.source);
    writer.text(flat::VERSION, attributes.schema_version.as_deref().unwrap_or(FIRST_VERSION));
    writer.begin_object(flat::METADATA);
    for (name, value) in attributes.optional() {
        let in_metadata = known::IN_METADATA.iter().find(|(known, _)| *known == name);
        if let (Some((_, name)), Some(text)) = (in_metadata, value) {
            writer.text(name, text);
        }
    }
    for (name, value) in &attributes.extensions {
        writer.value(name, value);
    }
    writer.end_object();
    if content_type != headwater_core::JSON {
        writer.text(flat::DATA_CONTENT_TYPE, content_type);
    }
    writer.data([flat::DATA, flat::DATA_BASE64], content_type, data)?;
    Ok(writer.finish())
}

/// Whether the members are those of an event.
pub(super) fn is_one(members: &Members<'_>) -> bool {
    members.has_all(&[flat::ID, flat::TYPE])
}

/// What an event says, with its content type and data. Members that are not the envelope's are extensions.
pub(super) fn read(body: &Bytes, members: Members<'_>) -> Result<(Attributes, String, Option<Bytes>), EnvelopeError> {
    let mut attributes = Attributes::default();
    let (mut content_type, mut json, mut base64, mut metadata) = (None, None, None, None);
    for (name, raw) in members.0 {
        let wrong = |what: &str| EnvelopeError::new(FORM, &name, what);
        let text = || members::text(raw).map_err(wrong);
        match &*name {
            flat::ID => attributes.id = text()?.unwrap_or_default(),
            flat::TYPE => attributes.event_type = text()?.unwrap_or_default(),
            flat::SOURCE => attributes.source = text()?.unwrap_or_default(),
            flat::VERSION => attributes.schema_version = members::text_or_number(raw).map_err(wrong)?,
            flat::TIME => {
                let read = |text: String| time::read(&text).ok_or_else(|| wrong("is no RFC 3339 time"));
                attributes.time = text()?.map(read).transpose()?;
            }
            flat::DATA_CONTENT_TYPE => content_type = text()?,
            flat::DATA => json = Some(raw),
            flat::DATA_BASE64 => base64 = text()?,
            flat::METADATA => metadata = Some(raw),
            _ => keep(&mut attributes.extensions, &name, raw).map_err(wrong)?,
        }
    }
    if let Some(metadata) = metadata.filter(|metadata| metadata.get() != "null") {
        read_metadata(&mut attributes, metadata)?;
    }
    for (name, value) in
        [(flat::ID, &attributes.id), (flat::TYPE, &attributes.event_type), (flat::SOURCE, &attributes.source)]
    {
        if value.is_empty() {
            return Err(EnvelopeError::new(FORM, name, "is missing"));
        }
    }
    let content_type = content_type.unwrap_or_default();
    let data = members::data(body, &content_type, json, base64);
    let data = data.map_err(|what| EnvelopeError::new(FORM, flat::DATA_BASE64, what))?;
    Ok((attributes, content_type, data))
}

fn read_metadata(attributes: &mut Attributes, metadata: &RawValue) -> Result<(), EnvelopeError> {
    let not_an_object = || EnvelopeError::new(FORM, flat::METADATA, "is no object");
    for (name, raw) in Members::read(metadata.get().as_bytes()).ok_or_else(not_an_object)?.0 {
        let wrong = |what: &str| EnvelopeError::new(FORM, &format!("{}.{name}", flat::METADATA), what);
        let place = match &*name {
            "subject" => &mut attributes.subject,
            "data_schema" => &mut attributes.data_schema,
            "correlation_id" => &mut attributes.correlation_id,
            "causation_id" => &mut attributes.causation_id,
            "user_id" => &mut attributes.user_id,
            "tenant_id" => &mut attributes.tenant_id,
            "traceparent" => &mut attributes.traceparent,
            "tracestate" => &mut attributes.tracestate,
            _ => {
                keep(&mut attributes.extensions, &name, raw).map_err(wrong)?;
                continue;
            }
        };
        *place = members::text(raw).map_err(wrong)?;
    }
    Ok(())
}

fn keep(extensions: &mut Extensions, name: &str, raw: &RawValue) -> Result<(), &'static str> {
    if let Some(value) = members::value(raw)? {
        extensions.insert(name.to_owned(), value);
    }
    Ok(())
}
