//! What an envelope says about a value, and what may be said.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Envelope;
use super::error::EnvelopeError;
use super::known;

/// What an envelope says beyond what this crate knows, by name.
pub type Extensions = BTreeMap<String, Value>;

/// What an envelope says about a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The event's id, with the source unique. It is also the message id, by which a stream recognises a repetition.
    pub id: String,
    /// Who says it: a URI reference, `/orders` or `https://example.com/till/4`.
    pub source: String,
    /// What happened: `order-placed`.
    pub event_type: String,
    /// What it happened to, within the source.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<DateTime<Utc>>,
    /// The version of the data's schema; a flat envelope without one says `1`.
    pub schema_version: Option<String>,
    /// Where the data's schema is: a URI.
    pub data_schema: Option<String>,
    /// The tenant whom it concerns.
    pub tenant_id: Option<String>,
    /// The whole conversation that it belongs to.
    pub correlation_id: Option<String>,
    /// What caused it: the id of an event or a request.
    pub causation_id: Option<String>,
    /// The user on whose behalf it happened.
    pub user_id: Option<String>,
    /// The W3C trace context of the span that sent it.
    pub traceparent: Option<String>,
    /// The W3C trace state beside it.
    pub tracestate: Option<String>,
    /// Everything else. CloudEvents allows names of 1 to 20 lower-case letters and digits, and as values truth values, integers
    /// of 32 bits, and texts.
    pub extensions: Extensions,
}

/// The longest text of a tenant, a user, a correlation or a causation, in bytes; as with the journal's events.
const LONGEST: usize = 256;

/// The longest name of an extension that CloudEvents advises.
const LONGEST_NAME: usize = 20;

impl Attributes {
    /// What every event says.
    pub fn new(id: impl Into<String>, source: impl Into<String>, event_type: impl Into<String>) -> Self {
        Self { id: id.into(), source: source.into(), event_type: event_type.into(), ..Self::default() }
    }

    /// Adds an extension; one of the same name is replaced.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Checks that all this can be said in this form.
    ///
    /// # Errors
    ///
    /// The first attribute that cannot be.
    pub fn check(&self, envelope: Envelope) -> Result<(), EnvelopeError> {
        let refuse = |name: &str, what: &str| Err(EnvelopeError::new(envelope, name, what));
        for (name, value) in [("id", &self.id), ("source", &self.source), ("type", &self.event_type)] {
            // Without an envelope nobody says the others.
            if value.is_empty() && (envelope != Envelope::Bare || name == "id") {
                return refuse(name, "is empty");
            }
            if has_control(value) {
                return refuse(name, "holds a control character");
            }
        }
        if self.source.bytes().any(|byte| b" <>\"{}|\\^`".contains(&byte)) {
            return refuse("source", "is no URI reference");
        }
        if self.data_schema.as_deref().is_some_and(|schema| !schema.contains(':')) {
            return refuse("dataschema", "is no absolute URI");
        }
        for (name, value) in self.optional() {
            match value {
                Some("") => return refuse(name, "is empty"),
                Some(text) if has_control(text) => return refuse(name, "holds a control character"),
                _ => {}
            }
        }
        for (name, value) in [
            (known::TENANT, &self.tenant_id),
            (known::CORRELATION, &self.correlation_id),
            (known::CAUSATION, &self.causation_id),
            (known::USER, &self.user_id),
        ] {
            if value.as_ref().is_some_and(|text| text.len() > LONGEST) {
                return refuse(name, "is longer than 256 bytes");
            }
        }
        self.extensions.iter().try_for_each(|(name, value)| match flaw_of_extension(envelope, name, value) {
            Some(flaw) => refuse(name, flaw),
            None => Ok(()),
        })
    }

    /// Those that are texts and may be missing, except for time and schema version, by their names in CloudEvents.
    pub(super) fn optional(&self) -> [(&'static str, Option<&str>); 9] {
        [
            (known::SUBJECT, self.subject.as_deref()),
            (known::DATA_SCHEMA, self.data_schema.as_deref()),
            (known::CORRELATION, self.correlation_id.as_deref()),
            (known::CAUSATION, self.causation_id.as_deref()),
            (known::USER, self.user_id.as_deref()),
            (known::TENANT, self.tenant_id.as_deref()),
            (known::TRACEPARENT, self.traceparent.as_deref()),
            (known::TRACESTATE, self.tracestate.as_deref()),
            (known::SCHEMA_VERSION, self.schema_version.as_deref()),
        ]
    }
}

fn has_control(text: &str) -> bool {
    // Beyond ASCII control characters begin with the byte C2, as some others do; only then is it worth a look at each character.
    text.bytes().any(|byte| byte.is_ascii_control() || byte == 0xc2) && text.chars().any(char::is_control)
}

fn flaw_of_extension(envelope: Envelope, name: &str, value: &Value) -> Option<&'static str> {
    match envelope {
        Envelope::CloudEvents | Envelope::CloudEventsBinary => {
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            if name.is_empty() || !is_name || name.len() > LONGEST_NAME {
                return Some("is no name of CloudEvents: 1 to 20 lower-case letters and digits");
            }
            if known::is_in_cloud_events(name) {
                return Some("is no extension but an attribute of its own");
            }
            match value {
                Value::Bool(_) => None,
                Value::String(text) if has_control(text) => Some("holds a control character"),
                Value::String(_) => None,
                Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => None,
                _ => Some("is no truth value, integer of 32 bits or text"),
            }
        }
        Envelope::Flat if name.is_empty() || has_control(name) => Some("is no name"),
        Envelope::Flat if known::is_in_flat(name) => Some("is no extension but a member of its own"),
        Envelope::Flat if value.is_null() => Some("is null"),
        Envelope::Flat | Envelope::Bare => None,
    }
}
