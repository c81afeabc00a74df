//! Why a value cannot be written or read.

use super::short;

/// A value that cannot be written, or data that cannot be read as what was asked for.
///
/// The text names the media type and the place in the data, by the names of its members, and never shows values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("data of type `{content_type}` cannot be {}{what}", if *kind == CodecErrorKind::Write { "written: " } else { "read: " })]
pub struct CodecError {
    kind: CodecErrorKind,
    content_type: String,
    place: Option<String>,
    what: String,
}

/// What is the matter, for those who do different things about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecErrorKind {
    /// The value cannot be written in this format.
    Write,
    /// The data is not what it should be.
    Read,
    /// No codec reads this media type.
    Unsupported,
}

/// The longest place that is shown, in characters; keys of maps are somebody's data.
const LONGEST_PLACE: usize = 120;

impl CodecError {
    /// A value that cannot be written, for implementations of [`Encode`](super::Encode). `what` must not show it.
    #[must_use]
    pub fn write(content_type: &str, what: impl Into<String>) -> Self {
        Self { kind: CodecErrorKind::Write, content_type: short(content_type), place: None, what: what.into() }
    }

    /// Data that cannot be read, for implementations of [`Decode`](super::Decode). `what` must not show it.
    #[must_use]
    pub fn read(content_type: &str, what: impl Into<String>) -> Self {
        Self { kind: CodecErrorKind::Read, content_type: short(content_type), place: None, what: what.into() }
    }

    /// No codec reads this media type.
    #[must_use]
    pub fn unsupported(content_type: &str) -> Self {
        let what = "no codec is there for it".to_owned();
        Self { kind: CodecErrorKind::Unsupported, content_type: short(content_type), place: None, what }
    }

    /// The same, at a place in the data: at the member `items[2].price`, say.
    pub(super) fn at(mut self, path: &serde_path_to_error::Path) -> Self {
        if path.iter().next().is_some() {
            let place: String = path.to_string().chars().filter(|c| !c.is_control()).take(LONGEST_PLACE).collect();
            self.what = format!("`{place}` {}", self.what);
            self.place = Some(place);
        }
        self
    }

    /// What is the matter.
    #[must_use]
    pub fn kind(&self) -> CodecErrorKind {
        self.kind
    }

    /// The media type, as far as it is fit to be shown.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Where in the data, when that is known: `items[2].price`.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}
