//! By what messages belong together.

use std::fmt;
use std::sync::Arc;

use crate::message::Message;

/// Says which messages belong together: those of one key are handled one after the other, in the order of the stream.
///
/// A message without a key belongs with no other one and is handled whenever there is room.
///
/// ```
/// use headwater_nats_messaging::message::Message;
/// use headwater_nats_messaging::processing::Key;
///
/// let placed = Message::new("orders.7.placed", "").header("Customer", "c-3");
/// assert_eq!(Key::token(1).of(&placed).as_deref(), Some("7"));
/// assert_eq!(Key::header("customer").of(&placed).as_deref(), Some("c-3"));
/// assert_eq!(Key::by(|message| Some(message.body.len().to_string())).of(&placed).as_deref(), Some("0"));
/// ```
#[derive(Clone)]
pub struct Key(Arc<Find>);

type Find = dyn Fn(&Message) -> Option<Arc<str>> + Send + Sync;

impl Key {
    /// A token of the subject, the first one being 0. A subject with fewer tokens has no key.
    #[must_use]
    pub fn token(place: usize) -> Self {
        Self(Arc::new(move |message| message.subject.split('.').nth(place).map(Arc::from)))
    }

    /// The value of a header.
    #[must_use]
    pub fn header(name: impl Into<String>) -> Self {
        let name = name.into();
        Self(Arc::new(move |message| message.headers.get(&name).map(Arc::from)))
    }

    /// Whatever the function finds. It is called once for each delivery, and must be quick and always say the same.
    #[must_use]
    pub fn by(find: impl Fn(&Message) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |message| find(message).map(Arc::from)))
    }

    /// The key of a message.
    #[must_use]
    pub fn of(&self, message: &Message) -> Option<Arc<str>> {
        (self.0)(message)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}
