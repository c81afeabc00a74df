//! CloudEvents in binary mode: attributes as headers. Values are percent-encoded, as the HTTP binding has it, so that any text
//! fits into a header.

use std::borrow::Cow;

use serde_json::Value;

use super::error::EnvelopeError;
use super::structured::Found;
use super::{Attributes, Envelope, Extensions, known, time};
use crate::message::Headers;

const FORM: Envelope = Envelope::CloudEventsBinary;

/// What the names of attributes begin with.
const PREFIX: &str = "ce-";

/// Writes the attributes into headers; they have been checked.
pub(super) fn write(attributes: &Attributes, content_type: &str, headers: &mut Headers) {
    let mut set = |name: &str, value: &str| headers.append(format!("{PREFIX}{name}"), encode(value));
    set(known::SPEC_VERSION, known::VERSION);
    set(known::ID, &attributes.id);
    set(known::SOURCE, &attributes.source);
    set(known::TYPE, &attributes.event_type);
    if let Some(at) = attributes.time {
        set(known::TIME, &time::write(at));
    }
    set(known::DATA_CONTENT_TYPE, content_type);
    for (name, value) in attributes.optional() {
        if let Some(value) = value {
            set(name, value);
        }
    }
    for (name, value) in &attributes.extensions {
        match value {
            Value::String(text) => set(name, text),
            other => set(name, &other.to_string()),
        }
    }
}

/// Whether the headers are those of an event.
pub(super) fn is_one(headers: &Headers) -> bool {
    headers.get("ce-specversion").is_some()
}

/// What the headers say of an event, with the content type of its data. Extensions come as texts.
pub(super) fn read(headers: &Headers) -> Result<(Attributes, String), EnvelopeError> {
    let (mut found, mut extensions) = (Found::default(), Extensions::new());
    for (header, value) in headers.iter() {
        let Some(name) = strip(header) else { continue };
        let wrong = |what: &str| EnvelopeError::new(FORM, header, what);
        let name = name.to_ascii_lowercase();
        let value = decode(value).ok_or_else(|| wrong("is not percent-encoded UTF-8"))?;
        let twice = if found.knows(&name) {
            found.set(&name, Some(value))
        } else {
            extensions.insert(name, Value::String(value)).is_some()
        };
        if twice {
            return Err(wrong("stands there twice"));
        }
    }
    let (mut attributes, content_type) = found.attributes(FORM)?;
    attributes.extensions = extensions;
    Ok((attributes, content_type))
}

fn strip(header: &str) -> Option<&str> {
    let (prefix, name) = header.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(name)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'%'
}

fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
            encoded.extend(['%', digits[0], digits[1]]);
        }
    }
    Cow::Owned(encoded)
}

/// A `%` that no hex digits follow stands for itself. None when the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => decoded.push(*first),
        }
    }
    String::from_utf8(decoded).ok()
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_header_and_comes_back() {
        for (text, header) in [("plain", "plain"), ("a b", "a%20b"), ("100 %", "100%20%25"), ("\"é\"", "%22%C3%A9%22")]
        {
            assert_eq!(encode(text), header);
            assert_eq!(decode(header).as_deref(), Some(text));
        }
        assert_eq!(decode("50% or %2g or %2").as_deref(), Some("50% or %2g or %2"));
        assert_eq!(decode("%e9"), None);
    }
}
