//! Emphasis, for terminals that show it.

/// What a piece of text is, for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Heading,
    Good,
    Warning,
    Bad,
    Quiet,
}

impl Style {
    /// The text with this style around it, whoever reads it; [`Output::styled`](super::Output::styled) asks first.
    pub(crate) fn apply(self, text: &str) -> String {
        let code = match self {
            Self::Heading => "1",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Quiet => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
