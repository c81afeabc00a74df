//! Names that reach the wire: services, aggregate types, commands, events, queries.

use std::borrow::{Borrow, Cow};
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_NAME_LENGTH: usize = 50;

/// A checked name: `^[a-z][a-z0-9-]{0,49}$`.
///
/// Every service, aggregate type, command, event and query has one. A name is one NATS subject
/// token and one path segment in discovery, which is why so little is allowed.
///
/// ```
/// use headwater_core::Name;
///
/// assert_eq!(Name::new("add-item")?.as_str(), "add-item");
/// let refused = Name::new("Add Item").unwrap_err();
/// assert!(refused.to_string().contains("`Add Item`"));
/// # Ok::<(), headwater_core::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(Cow<'static, str>);

/// A text that is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a name: names match ^[a-z][a-z0-9-]{{0,49}}$")]
pub struct NameError {
    value: String,
}

impl Name {
    /// Checks `value` and keeps it. A `&'static str` is kept without a copy.
    ///
    /// # Errors
    /// [`NameError`] with the value when it does not match `^[a-z][a-z0-9-]{0,49}$`.
    pub fn new(value: impl Into<Cow<'static, str>>) -> Result<Self, NameError> {
        let value = value.into();
        if is_name(&value) {
            Ok(Self(value))
        } else {
            // A hostile value may be long; the message shows enough to recognise it.
            let value = value.chars().take(80).collect();
            Err(NameError { value })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `value` matches `^[a-z][a-z0-9-]{0,49}$`.
#[must_use]
pub const fn is_name(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_NAME_LENGTH || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut index = 1;
    while index < bytes.len() {
        let byte = bytes[index];
        if !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return false;
        }
        index += 1;
    }
    true
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Self::new(value.to_owned())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        let longest = format!("a{}", "b".repeat(49));
        for good in ["a", "add-item", "v2", "a-", longest.as_str()] {
            assert!(is_name(good), "{good}");
        }
        let too_long = format!("a{}", "b".repeat(50));
        for bad in ["", "-a", "2a", "A", "add_item", "add item", "a.b", "é", "a*", too_long.as_str()] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_refusal_shows_a_bounded_part_of_the_value() {
        let refused = Name::new("X".repeat(10_000)).unwrap_err();
        assert!(refused.to_string().len() < 200);
    }
}
