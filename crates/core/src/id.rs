//! Identities: of aggregates, commands, events and tenants.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Name;

/// The longest aggregate id, command id or other caller-made id, in bytes.
pub const MAX_ID_LENGTH: usize = 128;

/// An id that a caller made and that breaks the rule for ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The id has no characters.
    #[error("{field} is empty")]
    Empty {
        /// Which id it was, as the wire names it.
        field: &'static str,
    },
    /// The id is longer than [`MAX_ID_LENGTH`] bytes.
    #[error("{field} is {length} bytes long; at most {MAX_ID_LENGTH} are allowed")]
    TooLong {
        /// Which id it was, as the wire names it.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// The id holds a control character (such as NUL, tab or a line break).
    #[error("{field} holds a control character at byte {at}")]
    ControlCharacter {
        /// Which id it was, as the wire names it.
        field: &'static str,
        /// Where the character starts, in bytes.
        at: usize,
    },
}

impl IdError {
    /// The member of the request that was wrong, such as `aggregateId`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Empty { field } | Self::TooLong { field, .. } | Self::ControlCharacter { field, .. } => field,
        }
    }
}

fn check(field: &'static str, value: &str) -> Result<(), IdError> {
    if value.is_empty() {
        return Err(IdError::Empty { field });
    }
    if value.len() > MAX_ID_LENGTH {
        return Err(IdError::TooLong { field, length: value.len() });
    }
    match value.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(IdError::ControlCharacter { field, at }),
        None => Ok(()),
    }
}

/// The identity of one aggregate: its type, its id and, where a service keeps tenants apart, its
/// tenant. Cloning is cheap.
///
/// The id is 1 to 128 bytes of UTF-8 without control characters; dots, wildcards, spaces and
/// emoji are fine, the adapters encode them.
///
/// ```
/// use headwater_core::AggregateId;
///
/// let id = AggregateId::new("receipt", "order-12345")?;
/// assert_eq!(id.to_string(), "receipt/order-12345");
/// assert!(AggregateId::new("receipt", "two\nlines").is_err());
/// # Ok::<(), headwater_core::InvalidAggregateId>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AggregateId {
    kind: Name,
    tenant: Option<Arc<str>>,
    id: Arc<str>,
}

/// Why an [`AggregateId`] was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAggregateId {
    /// The aggregate type is not a name.
    #[error("aggregate type: {0}")]
    Kind(#[from] crate::NameError),
    /// The id or the tenant breaks the rule for ids.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl AggregateId {
    /// An aggregate's identity, checked.
    ///
    /// # Errors
    /// When `kind` is not a [`Name`], or `id` is empty, longer than 128 bytes or holds a control
    /// character.
    pub fn new(
        kind: impl Into<std::borrow::Cow<'static, str>>,
        id: impl AsRef<str>,
    ) -> Result<Self, InvalidAggregateId> {
        Ok(Self::of(Name::new(kind)?, id)?)
    }

    /// The same with a type that is a checked name already.
    ///
    /// # Errors
    /// When `id` is empty, longer than 128 bytes or holds a control character.
    pub fn of(kind: Name, id: impl AsRef<str>) -> Result<Self, IdError> {
        let id = id.as_ref();
        check("aggregateId", id)?;
        Ok(Self { kind, tenant: None, id: id.into() })
    }

    /// The same id in a tenant's own space: another aggregate.
    ///
    /// # Errors
    /// When `tenant` is empty, longer than 128 bytes or holds a control character.
    pub fn in_tenant(self, tenant: impl AsRef<str>) -> Result<Self, IdError> {
        let tenant = tenant.as_ref();
        check("tenantId", tenant)?;
        Ok(Self { tenant: Some(tenant.into()), ..self })
    }

    /// The aggregate type, such as `receipt`.
    #[must_use]
    pub fn kind(&self) -> &Name {
        &self.kind
    }

    /// The id within the type (and tenant), such as `order-12345`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The tenant, where the service keeps tenants apart.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }
}

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}/{}={}", self.kind, tenant, self.id),
            None => write!(f, "{}/{}", self.kind, self.id),
        }
    }
}

impl fmt::Debug for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AggregateId({self})")
    }
}

/// The identity of a command's *intent*: a retry carries the same one and gets the original
/// outcome. 1 to 128 bytes without control characters; [`CommandId::generate`] makes a UUIDv7.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct CommandId(Arc<str>);

impl CommandId {
    /// A caller's own id, checked.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes or holds a control character.
    pub fn new(value: impl AsRef<str>) -> Result<Self, IdError> {
        check("commandId", value.as_ref())?;
        Ok(Self(value.as_ref().into()))
    }

    /// A new id (UUIDv7): unique, and sortable by the time it was made.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({})", self.0)
    }
}

impl std::str::FromStr for CommandId {
    type Err = IdError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Self::new(value)
    }
}

impl<'de> Deserialize<'de> for CommandId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(std::borrow::Cow::<str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The identity of one event: a UUID version 5 of the command id, the aggregate and the event's
/// place in the command's output, so that a repeated append writes the same ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

/// The name space of derived event ids. Fixed for ever: another value would make every stored
/// event unrecognisable to a retry of its command.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_3d0e_9b52_4f5a_8a77_2d41_c0be_11d3);

impl EventId {
    /// The id of the event at `place` (from 0) in the output of `command` on `aggregate`.
    #[must_use]
    pub fn derive(command: &CommandId, aggregate: &AggregateId, place: usize) -> Self {
        let mut name = Vec::with_capacity(command.0.len() + aggregate.id.len() + 80);
        // Ids hold no control characters, so NUL cannot occur in a part and the parts cannot run together.
        for part in [command.as_str(), aggregate.kind().as_str(), aggregate.tenant().unwrap_or(""), aggregate.id()] {
            name.extend_from_slice(part.as_bytes());
            name.push(0);
        }
        name.extend_from_slice(place.to_string().as_bytes());
        Self(Uuid::new_v5(&EVENT_NAMESPACE, &name))
    }

    /// An id read from a stored event.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_hold_anything_but_control_characters() {
        for good in ["order-1", "a.b", "*", ">", "two words", "🧾", "%", &"x".repeat(128)] {
            assert!(AggregateId::new("receipt", good).is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "\0", "a\u{7f}", "\u{85}", &"x".repeat(129)] {
            let refused = AggregateId::new("receipt", bad).unwrap_err();
            assert!(refused.to_string().starts_with("aggregateId"), "{refused}");
        }
    }

    #[test]
    fn event_ids_repeat_for_a_repeat_and_differ_otherwise() {
        let command = CommandId::new("c-1").unwrap();
        let one = AggregateId::new("receipt", "one").unwrap();
        let id = EventId::derive(&command, &one, 0);
        assert_eq!(id, EventId::derive(&command, &one, 0));
        assert_ne!(id, EventId::derive(&command, &one, 1));
        assert_ne!(id, EventId::derive(&CommandId::new("c-2").unwrap(), &one, 0));
        assert_ne!(id, EventId::derive(&command, &AggregateId::new("receipt", "two").unwrap(), 0));
        assert_ne!(id, EventId::derive(&command, &AggregateId::new("invoice", "one").unwrap(), 0));
        assert_ne!(id, EventId::derive(&command, &one.clone().in_tenant("acme").unwrap(), 0));
    }

    #[test]
    fn the_derived_id_of_a_known_event_never_changes() {
        let command = CommandId::new("c-1").unwrap();
        let one = AggregateId::new("receipt", "one").unwrap();
        let first = EventId::derive(&command, &one, 0).to_string();
        assert_eq!(first, EventId::derive(&command, &one, 0).to_string());
        assert_eq!(first.as_bytes()[14], b'5', "version 5: {first}");
    }
}
