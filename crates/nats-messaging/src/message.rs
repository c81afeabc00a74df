//! What travels: a subject, headers and a body.

mod check;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// A message, on its way out or as it came in.
///
/// ```
/// use headwater_nats_messaging::message::Message;
///
/// let message = Message::new("orders.placed", "{}").id("order-7").header("Content-Type", "application/json");
/// assert_eq!(message.headers.get("content-type"), Some("application/json"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Where it goes, or where it came by.
    pub subject: String,
    /// What travels beside the body.
    pub headers: Headers,
    /// The body, as the codec wrote it.
    pub body: Bytes,
}

/// The header by which a stream knows a message that it has already stored (JetStream's duplicate window).
pub const MESSAGE_ID: &str = "Nats-Msg-Id";

impl Message {
    /// A message without headers.
    pub fn new(subject: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), headers: Headers::default(), body: body.into() }
    }

    /// Adds a header; one of the same name is replaced.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.set(name, value);
        self
    }

    /// The id by which the stream recognises a repetition within its duplicate window.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        self.header(MESSAGE_ID, id)
    }

    /// The id, when it has one.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.headers.get(MESSAGE_ID)
    }
}

/// Headers, in the order in which they were set. Names are told apart without regard to case, as RFC 9110 has it and as
/// other programs write them. Clones share them until one is changed.
#[derive(Clone, Default)]
pub struct Headers(Option<Arc<Vec<Pair>>>);

type Pair = (Cow<'static, str>, String);

impl Headers {
    fn pairs(&self) -> &[Pair] {
        self.0.as_ref().map_or(&[], |pairs| pairs.as_slice())
    }

    fn pairs_mut(&mut self) -> &mut Vec<Pair> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sets a header to one value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.remove(&name);
        self.append(name, value);
    }

    /// Adds a value to those that the name may already have.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.pairs_mut().push((Cow::Owned(name.into()), value.into()));
    }

    /// Adds a value to a name that every program knows.
    pub(crate) fn append_known(&mut self, name: &'static str, value: impl Into<String>) {
        self.pairs_mut().push((Cow::Borrowed(name), value.into()));
    }

    /// Takes all values of a name away.
    pub fn remove(&mut self, name: &str) {
        if self.get(name).is_some() {
            self.pairs_mut().retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        }
    }

    /// All of them, a name with several values several times.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs().iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs().is_empty()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.pairs() == other.pairs()
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (Cow::Owned(name.into()), value.into())).collect();
        Self((!pairs.is_empty()).then(|| Arc::new(pairs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_whatever_its_case_and_set_once() {
        let message = Message::new("a", "").header("Trace", "1").header("TRACE", "2");
        assert_eq!(message.headers.iter().collect::<Vec<_>>(), [("TRACE", "2")]);
        assert_eq!(message.headers.get("trace"), Some("2"));
    }

    #[test]
    fn a_clone_is_not_changed_with_the_original() {
        let mut headers: Headers = [("A", "1")].into_iter().collect();
        let kept = headers.clone();
        headers.set("a", "2");
        assert_eq!((kept.get("A"), headers.get("A")), (Some("1"), Some("2")));
        headers.remove("A");
        assert_eq!(headers, Headers::default());
    }

    #[test]
    fn a_name_may_have_several_values() {
        let mut headers = Headers::default();
        headers.append("Link", "a");
        headers.append("link", "b");
        assert_eq!(headers.get("LINK"), Some("a"));
        assert_eq!(headers.iter().count(), 2);
        headers.remove("LINK");
        assert!(headers.is_empty());
    }
}
