//! Why a message was not published, or why nobody can tell.

use std::sync::Arc;

use crate::envelope::WriteError;
use crate::publish::PublishError;

/// Why a message was not published, or why nobody can tell.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// The value cannot be written, or what is said of it cannot be said. Nothing was sent.
    #[error("a message for `{subject}` cannot be written")]
    Write {
        /// Where it was to go.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: WriteError,
    },
    /// The message is larger than the publisher allows. Nothing was sent.
    #[error("a message for `{subject}` has {size} bytes, and {limit} are allowed")]
    TooLarge {
        /// Where it was to go.
        subject: String,
        /// Its bytes, headers included.
        size: usize,
        /// As many are allowed.
        limit: usize,
    },
    /// It was not stored.
    #[error("a message for `{subject}` was not stored, after {attempts} attempts")]
    NotStored {
        /// Where it was to go.
        subject: String,
        /// Its id.
        id: String,
        /// How often it was handed over.
        attempts: u32,
        /// Why the last attempt failed.
        #[source]
        source: Arc<PublishError>,
    },
    /// It may have been stored. Publishing it once more with the same id is safe within the stream's duplicate window.
    #[error("whether a message for `{subject}` was stored is unknown, after {attempts} attempts")]
    Unknown {
        /// Where it was to go.
        subject: String,
        /// Its id.
        id: String,
        /// How often it was handed over.
        attempts: u32,
        /// Why the last attempt failed.
        #[source]
        source: Arc<PublishError>,
    },
    /// There was no place in the window before the message's deadline. Nothing was sent.
    #[error("a message for `{subject}` found no place among those under way in time")]
    NoPlace {
        /// Where it was to go.
        subject: String,
    },
    /// It was handed over, and the program's runtime ended before it was known whether it was stored.
    #[error("whether a message was stored was not waited for")]
    Abandoned {
        /// Its id.
        id: String,
    },
    /// The publisher is closed. Nothing was sent.
    #[error("the publisher is closed")]
    Closed,
}

impl PublisherError {
    /// Whether the message may have been stored in spite of it.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Abandoned { .. })
    }

    /// The port's error, when it came as far as the port.
    #[must_use]
    pub fn publish_error(&self) -> Option<&PublishError> {
        match self {
            Self::NotStored { source, .. } | Self::Unknown { source, .. } => Some(source),
            _ => None,
        }
    }

    /// What it is in a word, for labels.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Write { .. } => "unwritable",
            Self::TooLarge { .. } => "too-large",
            Self::NoPlace { .. } => "no-place",
            Self::Closed => "closed",
            Self::Unknown { .. } | Self::Abandoned { .. } => "outcome-unknown",
            Self::NotStored { source, .. } => match **source {
                PublishError::NoStream { .. } => "no-stream",
                PublishError::Refused { .. } => "refused",
                PublishError::Unavailable { .. } | PublishError::Unknown { .. } => "unavailable",
            },
        }
    }
}
