//! Events: what an aggregate's event enum provides, and events before and after storing.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemars::{Schema, SchemaGenerator};

use crate::{AggregateId, EventId, Metadata, Name, Revision, Sequence, Upcasters};

/// What the data of an event is written in unless it says otherwise.
pub const JSON: &str = "application/json";

/// The events of one aggregate type: an enum with one variant for each event.
///
/// `#[derive(Event)]` writes it; by hand it is four short functions. Names and schema versions
/// reach the journal and stay there for ever.
pub trait Event: Sized + Clone + Send + Sync + 'static {
    /// Every event of the aggregate, with its name, schema version and schema.
    fn types() -> Vec<EventType>;

    /// This event's name, such as `item-added`: one of [`Event::types`].
    fn name(&self) -> &'static str;

    /// The data of this event as JSON, without its name.
    ///
    /// # Errors
    /// When the data cannot be written as JSON (a map with keys that are no texts, say).
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error>;

    /// The event called `name`, read from JSON data of the *newest* schema version; older data
    /// goes through [`Event::upcasters`] first.
    ///
    /// # Errors
    /// [`DecodeError::UnknownEvent`] for a name that is not among [`Event::types`],
    /// [`DecodeError::Data`] for data that does not fit.
    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError>;

    /// The rules that bring stored events of older schema versions up to date. None by default.
    #[must_use]
    fn upcasters() -> Upcasters {
        Upcasters::new()
    }
}

/// One event of an aggregate type, as its description lists it.
#[derive(Debug, Clone)]
pub struct EventType {
    /// Its name on the wire and in the journal.
    pub name: &'static str,
    /// The version of its data's schema, from 1.
    pub schema_version: u32,
    /// Makes the JSON Schema of its data.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Stored data that cannot be read as an event of the aggregate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No event of the aggregate has this name.
    #[error("there is no event called `{name}`")]
    UnknownEvent {
        /// The stored name.
        name: String,
    },
    /// The data does not fit the event's type.
    #[error("the data of `{name}` does not fit its type")]
    Data {
        /// The event's name.
        name: String,
        /// What did not fit, and where.
        source: serde_json::Error,
    },
    /// The event is of a newer schema version than this program knows.
    #[error("`{name}` has schema version {found}, and this program knows up to {known}")]
    TooNew {
        /// The event's name.
        name: String,
        /// The stored version.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// An upcaster refused the stored data, or there is none for its version.
    #[error("`{name}` of schema version {version} cannot be brought up to date: {reason}")]
    Upcast {
        /// The event's name.
        name: String,
        /// The stored version.
        version: u32,
        /// What the upcaster said.
        reason: String,
    },
}

/// What a command may return as its events: one event, its payload, or several of either.
///
/// `#[derive(Event)]` implements it for the enum and for the payload of each variant; `Vec`,
/// `Option` and arrays of those, and `()` for "nothing happened", follow.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not among the events of `{E}`",
    note = "a command returns events, payloads of events, or several of either in a `Vec`, `Option`, array or pair"
)]
pub trait IntoEvents<E> {
    /// The events, in order.
    fn into_events(self) -> Vec<E>;

    /// The names of the events this type can become; for the contract.
    fn event_names() -> Vec<&'static str>;
}

impl<E> IntoEvents<E> for () {
    fn into_events(self) -> Vec<E> {
        Vec::new()
    }

    fn event_names() -> Vec<&'static str> {
        Vec::new()
    }
}

impl<E, T: IntoEvents<E>> IntoEvents<E> for Vec<T> {
    fn into_events(self) -> Vec<E> {
        self.into_iter().flat_map(T::into_events).collect()
    }

    fn event_names() -> Vec<&'static str> {
        T::event_names()
    }
}

impl<E, T: IntoEvents<E>> IntoEvents<E> for Option<T> {
    fn into_events(self) -> Vec<E> {
        self.map(T::into_events).unwrap_or_default()
    }

    fn event_names() -> Vec<&'static str> {
        T::event_names()
    }
}

impl<E, T: IntoEvents<E>, const N: usize> IntoEvents<E> for [T; N] {
    fn into_events(self) -> Vec<E> {
        self.into_iter().flat_map(T::into_events).collect()
    }

    fn event_names() -> Vec<&'static str> {
        T::event_names()
    }
}

impl<E, A: IntoEvents<E>, B: IntoEvents<E>> IntoEvents<E> for (A, B) {
    fn into_events(self) -> Vec<E> {
        let mut events = self.0.into_events();
        events.extend(self.1.into_events());
        events
    }

    fn event_names() -> Vec<&'static str> {
        let mut names = A::event_names();
        names.extend(B::event_names());
        names
    }
}

/// An event before the store stamped it.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id, derived from the command (see [`EventId::derive`]).
    pub id: EventId,
    /// Its name.
    pub name: Name,
    /// The version of its data's schema.
    pub schema_version: u32,
    /// When it was decided.
    pub time: DateTime<Utc>,
    /// The media type of `data`, [`JSON`] as a rule.
    pub content_type: std::borrow::Cow<'static, str>,
    /// Its data, written in `content_type`.
    pub data: Bytes,
    /// Shared by the events of one command.
    pub metadata: Arc<Metadata>,
}

/// An event as the store holds it.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Whose event it is.
    pub aggregate: AggregateId,
    /// The aggregate's revision with this event.
    pub revision: Revision,
    /// Its place in the journal.
    pub sequence: Sequence,
    /// The event as it was appended.
    pub event: NewEvent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Noted(u8);

    impl IntoEvents<Self> for Noted {
        fn into_events(self) -> Vec<Self> {
            vec![self]
        }

        fn event_names() -> Vec<&'static str> {
            vec!["noted"]
        }
    }

    fn events<T: IntoEvents<Noted>>(returned: T) -> Vec<u8> {
        returned.into_events().into_iter().map(|event| event.0).collect()
    }

    #[test]
    fn whatever_a_command_returns_becomes_events_in_their_order() {
        assert!(events(()).is_empty());
        assert_eq!(events(Noted(1)), [1]);
        assert_eq!(events(vec![Noted(2), Noted(1)]), [2, 1]);
        assert_eq!(events(Some(Noted(1))), [1]);
        assert!(events(None::<Noted>).is_empty());
        assert_eq!(events([Noted(3), Noted(4)]), [3, 4]);
        assert_eq!(events((Noted(1), vec![Some(Noted(2)), None, Some(Noted(3))])), [1, 2, 3]);
    }

    #[test]
    fn a_return_type_names_its_events() {
        fn names<T: IntoEvents<Noted>>() -> Vec<&'static str> {
            T::event_names()
        }
        assert!(names::<()>().is_empty());
        assert_eq!(names::<Option<Vec<[Noted; 2]>>>(), ["noted"]);
        assert_eq!(names::<(Noted, ())>(), ["noted"]);
    }
}
