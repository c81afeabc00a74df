//! Rejections: the domain's own reasons for saying no.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// The rejections of one aggregate type: an enum with one variant for each reason.
/// `#[derive(Rejection)]` writes it.
///
/// The text (`Display`) is for people, the name and members for programs. Both travel to the
/// caller unchanged, so they hold nothing private.
pub trait Rejection: std::error::Error + Clone + Send + Sync + 'static {
    /// Every rejection of the aggregate, with its name and the schema of its members.
    fn types() -> Vec<RejectionType>;

    /// This rejection's name in kebab case, such as `item-not-found`.
    fn name(&self) -> &'static str;

    /// Its members, such as `{"name": "Coffee"}`, without its name.
    fn members(&self) -> Map<String, Value>;

    /// The rejection called `name` with these members; none when the name is unknown or the
    /// members do not fit, as when the service is newer than the client.
    fn from_parts(name: &str, members: &Map<String, Value>) -> Option<Self>;
}

/// One rejection of an aggregate type, as its description lists it.
#[derive(Debug, Clone)]
pub struct RejectionType {
    /// Its name on the wire.
    pub name: &'static str,
    /// Makes the JSON Schema of its members.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The rejections of an aggregate that never says no. It has no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeverRejected {}

impl std::fmt::Display for NeverRejected {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for NeverRejected {}

impl Rejection for NeverRejected {
    fn types() -> Vec<RejectionType> {
        Vec::new()
    }

    fn name(&self) -> &'static str {
        match *self {}
    }

    fn members(&self) -> Map<String, Value> {
        match *self {}
    }

    fn from_parts(_: &str, _: &Map<String, Value>) -> Option<Self> {
        None
    }
}
