//! Why an envelope cannot be written or read.

use super::Envelope;
use crate::codec::CodecError;

/// Something that an envelope says, or leaves unsaid, against its form. The text names the member and never shows its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{envelope}: {what}")]
pub struct EnvelopeError {
    envelope: Envelope,
    member: Option<String>,
    what: String,
}

/// The most of a name that is shown, in characters; it may be anything that somebody sent.
const LONGEST: usize = 40;

impl EnvelopeError {
    pub(super) fn new(envelope: Envelope, member: &str, what: &str) -> Self {
        let member: String = member.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        Self { envelope, what: format!("`{member}` {what}"), member: Some(member) }
    }

    pub(super) fn body(envelope: Envelope, what: impl Into<String>) -> Self {
        Self { envelope, member: None, what: what.into() }
    }

    /// The form that it does not have.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// The member or header that is wrong, when it is one of them and not the body as a whole.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }
}

/// A value that cannot be put into an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// What is said of it.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The value itself.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
