//! JSON objects, member by member: what structured and flat envelopes are read and written with.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::codec::{CodecError, is_json};

/// As many members as an envelope has as a rule.
const USUAL: usize = 16;

/// The members of an object, in their order, values unread.
#[derive(Debug)]
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// None when it is no JSON object.
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_str(str::from_utf8(json).ok()?).ok()
    }

    /// Whether there are members of these names.
    pub(super) fn has_all(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.iter().any(|(known, _)| known == name))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader).map(Members)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::with_capacity(USUAL);
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(members)
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A member that is a text; none when it is null.
pub(super) fn text(raw: &RawValue) -> Result<Option<String>, &'static str> {
    let json = raw.get();
    match json.as_bytes() {
        b"null" => Ok(None),
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Ok(Some(json[1..json.len() - 1].to_owned())),
        _ => serde_json::from_str(json).map(Some).map_err(|_| "is no text"),
    }
}

/// A member that is a text or a number; none when it is null.
pub(super) fn text_or_number(raw: &RawValue) -> Result<Option<String>, &'static str> {
    match raw.get().as_bytes() {
        [b'-' | b'0'..=b'9', ..] => Ok(Some(raw.get().to_owned())),
        _ => text(raw).map_err(|_| "is no text or number"),
    }
}

/// Any value; none when it is null.
pub(super) fn value(raw: &RawValue) -> Result<Option<Value>, &'static str> {
    let value: Value = serde_json::from_str(raw.get()).map_err(|_| "cannot be read")?;
    Ok((!value.is_null()).then_some(value))
}

/// The data of an envelope, out of its members `data` and `data_base64`; where it stands in the body it is not copied.
pub(super) fn data(
    body: &Bytes,
    content_type: &str,
    json: Option<&RawValue>,
    base64: Option<String>,
) -> Result<Option<Bytes>, &'static str> {
    match (json, base64) {
        (Some(_), Some(_)) => Err("stands beside `data`"),
        (None, Some(text)) => STANDARD.decode(text).map(|data| Some(data.into())).map_err(|_| "is not base64"),
        // A text of another media type is that text, not JSON that quotes it.
        (Some(json), None) if !is_json(content_type) && json.get().starts_with('"') => {
            Ok(text(json)?.map(|text| text.into()))
        }
        (Some(json), None) => Ok(Some(body.slice_ref(json.get().as_bytes()))),
        (None, None) => Ok(None),
    }
}

/// A JSON object as it is being written.
pub(super) struct Writer {
    json: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        let mut json = Vec::with_capacity(640);
        json.push(b'{');
        Self { json }
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        serde_json::to_writer(&mut self.json, text).expect("texts can always be written");
    }

    pub(super) fn value(&mut self, name: &str, value: &Value) {
        self.name(name);
        serde_json::to_writer(&mut self.json, value).expect("JSON can always be written");
    }

    /// What stands here already is JSON: a number, say.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.json.extend_from_slice(json.as_bytes());
    }

    pub(super) fn begin_object(&mut self, name: &str) {
        self.name(name);
        self.json.push(b'{');
    }

    pub(super) fn end_object(&mut self) {
        self.json.push(b'}');
    }

    /// The data, as it is when it is JSON, and else as base64 under the other name.
    pub(super) fn data(
        &mut self,
        [name, base64_name]: [&str; 2],
        content_type: &str,
        write: &dyn Fn(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        if is_json(content_type) {
            self.name(name);
            return write(&mut self.json);
        }
        let mut data = Vec::new();
        write(&mut data)?;
        self.name(base64_name);
        self.json.push(b'"');
        self.json.extend_from_slice(STANDARD.encode(data).as_bytes());
        self.json.push(b'"');
        Ok(())
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.json.push(b'}');
        self.json.into()
    }

    fn name(&mut self, name: &str) {
        if self.json.last() != Some(&b'{') {
            self.json.push(b',');
        }
        serde_json::to_writer(&mut self.json, name).expect("texts can always be written");
        self.json.push(b':');
    }
}
