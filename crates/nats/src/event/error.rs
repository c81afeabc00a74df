//! What makes a message no stored event.

/// A message that is not a stored event of this protocol. The text names the member and never shows its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stored event: {what}")]
pub struct EventError {
    what: String,
}

impl EventError {
    pub(super) fn member(member: &str, what: &str) -> Self {
        Self { what: format!("`{member}` {what}") }
    }

    pub(super) fn disagrees(member: &str) -> Self {
        Self::member(member, "is not what the subject says")
    }

    pub(super) fn trailing() -> Self {
        Self { what: "something follows the JSON object".to_owned() }
    }

    /// serde_json's text may quote values, so only its safe parts are kept.
    pub(super) fn parse(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let text = error.inner().to_string();
        let names_only = text.starts_with("missing field") || text.starts_with("duplicate field");
        let what = match text.split_once(" at line ") {
            Some((what, _)) if names_only => what.to_owned(),
            _ if error.inner().is_data() && path != "." => format!("`{path}` is of the wrong form"),
            _ => format!("not a JSON object of the right form at column {}", error.inner().column()),
        };
        Self { what }
    }
}
