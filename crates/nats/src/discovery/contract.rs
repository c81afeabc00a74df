//! The question to `{service}.schema`, and its answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks for the contract of a service, or for a part of it. An empty body asks for all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRequest {
    /// A JSON Pointer (RFC 6901) to the wanted part, such as `/aggregates/receipt`; empty or absent
    /// for the whole contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl SchemaRequest {
    /// Reads a request's body.
    ///
    /// # Errors
    /// 400 `invalid-request` that names the member, for a body that is neither empty nor a JSON
    /// object, and for a pointer that is none.
    pub fn read(body: &[u8]) -> Result<Self, headwater_core::Failure> {
        use headwater_core::Failure;

        if body.is_empty() {
            return Ok(Self::default());
        }
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Failure::invalid_request("the body must be empty or a JSON object"));
        }
        let read: Self = serde_json::from_slice(body).map_err(|error| {
            Failure::invalid_request(match error.is_data() {
                true => "`pointer` must be a string, and there once",
                false => "the body is not JSON",
            })
        })?;
        match read.pointer.as_deref() {
            Some(pointer) if !pointer.is_empty() && !pointer.starts_with('/') => {
                Err(Failure::invalid_request("`pointer` must be a JSON Pointer: empty, or starting with `/`"))
            }
            _ => Ok(read),
        }
    }
}

/// The contract of a service: what it can be asked, with the schema of everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// The service's name.
    pub service: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of `aggregates` in canonical JSON (RFC 8785), in hex.
    pub contract: String,
    /// The aggregate types by name: state, commands, events, rejections, queries.
    pub aggregates: Value,
}
