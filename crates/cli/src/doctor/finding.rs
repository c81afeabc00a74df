//! What the doctor finds.

use clap::ValueEnum;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Worth knowing
    Info,
    /// It will go wrong some day
    Warning,
    /// Something is lost, stands still or is refused
    Severe,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Severe => "severe",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// A word for programs, such as `consumer-stalled`.
    pub(crate) check: &'static str,
    /// What it is about: a stream, a consumer, the server.
    pub(crate) about: String,
    pub(crate) reason: String,
    /// The command, or the line of configuration, that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        check: &'static str,
        about: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self { severity, check, about: about.into(), reason: reason.into(), mend: None }
    }

    pub(crate) fn severe(check: &'static str, about: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(Severity::Severe, check, about, reason)
    }

    pub(crate) fn warning(check: &'static str, about: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, about, reason)
    }

    pub(crate) fn info(check: &'static str, about: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(Severity::Info, check, about, reason)
    }

    /// The same with what mends it.
    pub(crate) fn mend(self, command: impl Into<String>) -> Self {
        Self { mend: Some(command.into()), ..self }
    }
}

/// How full something is: severe from 95 % on, a warning from 80 % on.
pub(crate) fn fullness(used: u64, limit: u64) -> Option<(Severity, u64)> {
    let percent = used.saturating_mul(100).checked_div(limit)?;
    match percent {
        95.. => Some((Severity::Severe, percent)),
        80.. => Some((Severity::Warning, percent)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fullness_is_told_from_four_fifths_on() {
        let told = |used, limit| fullness(used, limit).map(|(severity, _)| severity);
        assert_eq!(told(79, 100), None);
        assert_eq!(told(80, 100), Some(Severity::Warning));
        assert_eq!(told(95, 100), Some(Severity::Severe));
        assert_eq!(told(200, 100), Some(Severity::Severe));
        assert_eq!(told(5, 0), None);
        assert!(Severity::Severe > Severity::Warning && Severity::Warning > Severity::Info);
    }
}
