//! The bodies of requests, to and from the core's types.
//!
//! Reading is strict about what it needs and generous about the rest: unknown members are passed
//! over, and every refusal is a 400 that names the member and never repeats its value. Payloads are
//! handed on as the bytes they came in, without a copy.
//!
//! ```
//! use bytes::Bytes;
//! use headwater_core::Name;
//! use headwater_nats::request;
//!
//! let body = Bytes::from_static(br#"{"aggregateId": "order-1", "command": {"name": "Coffee"}}"#);
//! let read = request::read_command(&body, Name::new("receipt")?, "add-item")?;
//! assert_eq!(read.payload, r#"{"name": "Coffee"}"#);
//!
//! let body = Bytes::from_static(br#"{"aggregateId": "order-1"}"#);
//! let refused = request::read_command(&body, Name::new("receipt")?, "add-item").unwrap_err();
//! assert_eq!(refused.to_string(), "invalid-request: missing member `command`");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command;
mod metadata;
mod parse;
mod query;

pub use command::{read_command, write_command};
pub use query::{read_get, read_history, read_query, write_get, write_history, write_query};

/// A payload that cannot be put into a request, because it is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the payload of `{of}` is not JSON")]
pub struct PayloadError {
    of: String,
    source: serde_json::Error,
}

/// The payload as part of a larger JSON text.
fn raw<'a>(of: &str, payload: &'a [u8]) -> Result<&'a serde_json::value::RawValue, PayloadError> {
    serde_json::from_slice(payload).map_err(|source| PayloadError { of: of.to_owned(), source })
}

/// Writes a body whose parts can all be written.
fn write(body: &impl serde::Serialize) -> bytes::Bytes {
    serde_json::to_vec(body).expect("texts, numbers and raw JSON can always be written").into()
}
