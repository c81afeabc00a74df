//! What has to be done for a server to have what a topology says.

mod make;
mod order;
mod text;

use serde::Serialize;

use super::compare::Difference;
use super::model::Target;

pub(super) use self::make::make;
pub(super) use self::order::in_order;

/// What is to become of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// It is missing, and is made.
    Create,
    /// It is changed as it stands.
    Update,
    /// The server refuses to change it: it is deleted and made anew, if that is allowed. What a stream has is lost.
    Replace,
    /// It is on the server and not in the topology: it is deleted, if that is asked for.
    Extra,
    /// It is deleted.
    Delete,
}

/// One thing that is otherwise than the topology says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What.
    pub target: Target,
    /// What is to become of it.
    pub action: Action,
    /// Which fields are otherwise; for something new, those that are not what they are by default.
    pub differences: Vec<Difference>,
    /// What else is good to know, such as what is lost.
    pub notes: Vec<String>,
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// What it is.
    pub message: String,
    /// Whether it is none once what is extra has been deleted.
    pub ends_with_prune: bool,
}

/// What may be done beyond what loses nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leave {
    /// What is on the server and not in the topology may be deleted.
    pub prune: bool,
    /// What the server refuses to change may be deleted and made anew.
    pub replace: bool,
}

impl Leave {
    /// Nothing is deleted and nothing is replaced.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What is extra may be deleted.
    #[must_use]
    pub fn prune(mut self, allowed: bool) -> Self {
        self.prune = allowed;
        self
    }

    /// What cannot be changed may be replaced.
    #[must_use]
    pub fn replace(mut self, allowed: bool) -> Self {
        self.replace = allowed;
        self
    }
}

/// What a server has otherwise than a topology says: nothing, or the steps to there. As text (`Display`) it is a diff, as
/// JSON (`Serialize`) it is for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// What is otherwise, in the order in which it is mended.
    pub changes: Vec<Change>,
    /// What stands in the way.
    pub problems: Vec<Problem>,
    /// How many streams and consumers are as they should be.
    pub unchanged: usize,
}

impl Plan {
    /// What [`apply`](super::Topology::apply) would do with this leave, and what it would have to be given leave for. What is
    /// extra counts only if it may be deleted.
    pub fn pending(&self, leave: Leave) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.action != Action::Extra || leave.prune)
    }

    /// Whether there is nothing to do; what is extra counts only if it may be deleted.
    #[must_use]
    pub fn is_done(&self, leave: Leave) -> bool {
        self.pending(leave).next().is_none() && self.obstacles(leave).next().is_none()
    }

    /// What stands in the way with this leave.
    pub(crate) fn obstacles(&self, leave: Leave) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(move |problem| !(problem.ends_with_prune && leave.prune))
    }
}
