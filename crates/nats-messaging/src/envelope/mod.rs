//! What stands around a value when it travels: who says what about it, in one of four forms.
//!
//! - [`Envelope`]: the form. [`Envelope::write`] makes a message.
//! - [`Attributes`]: what is said: id, type, source, time, tenant, correlation, causation, trace and extensions.
//! - [`Received`]: a message read, whichever form it has.
//!
//! ```
//! use headwater_nats_messaging::codec::{Codecs, Json};
//! use headwater_nats_messaging::envelope::{Attributes, Envelope, Received};
//!
//! let attributes = Attributes::new("7", "/shop", "order-placed");
//! let message = Envelope::default().write("orders.placed", &attributes, &["tea"], &Json)?;
//! assert_eq!(
//!     message.body,
//!     r#"{"specversion":"1.0","id":"7","source":"/shop","type":"order-placed","datacontenttype":"application/json","data":["tea"]}"#
//! );
//! assert_eq!(message.headers.get("Content-Type"), Some("application/cloudevents+json"));
//! assert_eq!(message.message_id(), Some("7"));
//!
//! let received = Received::read(&message)?;
//! assert_eq!(received.envelope(), Envelope::CloudEvents);
//! assert_eq!(received.attributes(), Some(&attributes));
//! assert_eq!(received.payload::<Vec<String>>(&Codecs::default())?, ["tea"]);
//! # Ok::<_, headwater_nats_messaging::BoxError>(())
//! ```

mod attributes;
mod binary;
mod error;
mod flat;
mod known;
mod members;
mod received;
mod structured;
mod time;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use attributes::{Attributes, Extensions};
pub use error::{EnvelopeError, WriteError};
pub use received::Received;

/// The size up to which CloudEvents asks whoever passes events on to do so, in bytes, all of the message counted. Larger ones
/// may be stopped on their way beyond NATS.
pub const PORTABLE_SIZE: usize = 64 * 1024;

/// The form in which a message says what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Envelope {
    /// CloudEvents 1.0, structured: the body is JSON with attributes and data, `application/cloudevents+json`. The default, and
    /// how the journals of services are kept. Data that is not JSON stands in it as base64.
    #[default]
    CloudEvents,
    /// CloudEvents 1.0, binary: the attributes are headers, `ce-id` and so on, and the body is the data. Best for data that is
    /// not JSON. Extensions come out of it as texts, whatever they were.
    CloudEventsBinary,
    /// Plain JSON: `{"event_id", "event_type", "timestamp", "source", "version", "metadata": {"correlation_id", …}, "data"}`.
    Flat,
    /// None: the body is the data. Only id, content type and trace context travel, as headers.
    Bare,
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloudEvents => "event of structured CloudEvents",
            Self::CloudEventsBinary => "event of binary CloudEvents",
            Self::Flat => "event in a flat envelope",
            Self::Bare => "message without an envelope",
        })
    }
}
