//! Families of events: an enum with one variant for each, known by names and subjects.
//!
//! `#[derive(EventFamily)]` writes the trait; [`Router::on_family`](crate::router::Router::on_family) and
//! [`on_variant`](crate::router::Router::on_variant) handle its events.

use std::borrow::Cow;
use std::fmt::Display;

use bytes::Bytes;
use headwater_core::Failure;

use crate::codec::{Codec, CodecError, Codecs};
use crate::router::{Context, Pattern};
use crate::subject;

/// Writes the trait [`EventFamily`] for an enum.
pub use headwater_macros::EventFamily;

/// An enum with one variant for each event of a family.
///
/// The derive of the same name writes it.
///
/// ```
/// use headwater_nats_messaging::family::EventFamily;
///
/// #[derive(EventFamily)]
/// #[event(reads = "agent.>")]
/// enum AgentEvent {
///     #[event(name = "agent.started")]
///     Started { agent_id: String },
///     #[event(name = "agent.stopped", subject = "agent.{agent_id}.stopped")]
///     Stopped { agent_id: String },
/// }
///
/// let stopped = AgentEvent::Stopped { agent_id: "7".into() };
/// assert_eq!((stopped.name(), stopped.subject().as_str()), ("agent.stopped", "agent.7.stopped"));
/// ```
pub trait EventFamily: Sized + Send + 'static {
    /// The family's name, which the consumers of its handlers are named after.
    const NAME: &'static str;

    /// Its events.
    fn types() -> &'static [FamilyEvent];

    /// The subjects that its events are read from.
    fn patterns() -> &'static [&'static str];

    /// The name of this event.
    fn name(&self) -> &'static str;

    /// The subject that this event goes to. Members stand in it as one token each.
    fn subject(&self) -> String;

    /// The media type that the event's data will have, written with this format: the format's own, unless the event's payload
    /// has one whatever the format is.
    fn content_type<'a>(&'a self, codec: &'a dyn Codec) -> Cow<'a, str> {
        Cow::Borrowed(codec.content_type())
    }

    /// Appends the event's data to a body.
    ///
    /// # Errors
    ///
    /// When the format cannot express it.
    fn encode(&self, codec: &dyn Codec, body: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads the event of this name from its data.
    ///
    /// # Errors
    ///
    /// When the family has no event of this name, or the data is not what it should be.
    fn decode(name: &str, content_type: &str, data: &Bytes, codecs: &Codecs) -> Result<Self, FamilyError>;
}

/// One event of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyEvent {
    /// Its name, the `type` in envelopes.
    pub name: &'static str,
    /// The subjects that it goes to: with `*` where a member of the event stands.
    pub pattern: &'static str,
}

/// An event that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FamilyError {
    /// The family has no such event.
    #[error("the family `{family}` has no event `{name}`")]
    Unknown {
        /// The family.
        family: &'static str,
        /// The event's name.
        name: String,
    },
    /// Its data is not what it should be.
    #[error("event `{name}` of the family `{family}`: {source}")]
    Data {
        /// The family.
        family: &'static str,
        /// The event's name.
        name: &'static str,
        /// What is wrong with it.
        source: CodecError,
    },
}

/// The name of the family's event that a message is: by its envelope, or else by its subject. None when it is none of them.
pub(crate) fn type_of<E: EventFamily>(context: &Context) -> Result<Option<&'static str>, Failure> {
    let said = context.received()?.attributes().map(|attributes| attributes.event_type.as_str());
    let known = E::types().iter();
    Ok(match said {
        Some(said) => known.map(|known| known.name).find(|name| *name == said),
        None => {
            let taking = known.filter(|known| subject::matches(known.pattern, context.subject()));
            let most_specific = taking.min_by_key(|known| Pattern::new(known.pattern).ok());
            most_specific.map(|known| known.name)
        }
    })
}

/// Reads an event of a family out of a message; what the derive makes a handler's parameter of.
///
/// # Errors
///
/// When it is none of the family's, or cannot be read.
pub fn read<E: EventFamily>(context: &Context) -> Result<E, Failure> {
    let unknown = || Failure::invalid_request(format!("the message is no event of the family `{}`", E::NAME));
    let name = type_of::<E>(context)?.ok_or_else(unknown)?;
    let received = context.received()?;
    let no_data = || Failure::invalid_request(format!("the event `{name}` has no data"));
    E::decode(name, received.content_type(), received.data().ok_or_else(no_data)?, context.codecs())
        .map_err(|error| Failure::invalid_request(error.to_string()).detail("event", name))
}

/// What the derive's expansions need.
#[doc(hidden)]
pub mod expansion {
    use super::{Codecs, Display, FamilyError};
    use crate::codec::Decode;

    pub use crate::codec::Encode;
    pub use bytes::Bytes;
    pub use headwater_core::{__private, Failure};

    /// Appends a value to a subject as one token.
    pub fn push_token(subject: &mut String, value: &dyn Display) {
        headwater_nats::token::push(subject, &value.to_string());
    }

    /// Reads the data of one event.
    pub fn read<T: Decode>(
        family: &'static str,
        name: &'static str,
        content_type: &str,
        data: &Bytes,
        codecs: &Codecs,
    ) -> Result<T, FamilyError> {
        T::decode(content_type, data, codecs).map_err(|source| FamilyError::Data { family, name, source })
    }
}
