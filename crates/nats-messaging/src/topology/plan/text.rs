//! A plan as people read it.

use std::fmt;

use super::{Action, Change, Leave, Plan};

impl Action {
    /// The sign that stands before a change in a diff.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Replace => '!',
            Self::Extra => '?',
            Self::Delete => '-',
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update in place",
            Self::Replace => "replace",
            Self::Extra => "extra",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.action.sign(), self.target, self.action.verb())?;
        for difference in &self.differences {
            match self.action {
                Action::Create => {
                    let wanted = difference.wanted.as_ref().map(super::super::show::toml).unwrap_or_default();
                    write!(f, "\n    {} = {wanted}", difference.field)?;
                }
                _ => write!(f, "\n    {difference}")?,
            }
            if difference.needs_replace && self.action == Action::Replace {
                f.write_str("  (the server refuses to change this)")?;
            }
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n    # {note}"))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for problem in &self.problems {
            writeln!(f, "x {}", problem.message)?;
        }
        f.write_str(&self.summary())
    }
}

impl Plan {
    /// The plan in one line: how many are to be created, updated, replaced, how many are extra and how many are as they should be.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.is_done(Leave::none().prune(true)) {
            return format!("Nothing to do: {} as they should be.", self.unchanged);
        }
        let count = |action| self.changes.iter().filter(|change| change.action == action).count();
        let mut text = format!(
            "{} to create, {} to update, {} to replace, {} extra; {} as they should be.",
            count(Action::Create),
            count(Action::Update),
            count(Action::Replace),
            count(Action::Extra),
            self.unchanged
        );
        if !self.problems.is_empty() {
            text.push_str(&format!(" {} in the way.", self.problems.len()));
        }
        text
    }
}
