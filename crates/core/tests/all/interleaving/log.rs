//! What the callers of a run were told.

use headwater_core::call::{CommandReply, EntityReply};
use headwater_core::{Failure, FailureCode};

use super::script::Order;

/// Everything that was asked in a run.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// In the order of sending.
    pub sent: Vec<Sent>,
    pub gets: Vec<Got>,
}

/// One command, sent once.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its number in the script.
    pub command: usize,
    pub aggregate: usize,
    /// The instance that got it.
    pub instance: usize,
    pub order: Order,
    pub expects: Option<u64>,
    pub span: Span,
    pub told: Told,
}

/// One question for a state.
#[derive(Debug, Clone)]
pub struct Got {
    pub aggregate: usize,
    pub at_least: Option<u64>,
    pub span: Span,
    pub told: Result<EntityReply, Failure>,
}

/// The aggregate's revision when a call began and when it was answered.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub begun: u64,
    pub ended: u64,
}

/// What the caller of a command was told.
#[derive(Debug, Clone)]
pub enum Told {
    Done(CommandReply),
    Refused(Failure),
    /// It may have been done, or may be done yet.
    Unknown,
}

impl Told {
    pub fn of(answer: Result<CommandReply, Failure>) -> Self {
        match answer {
            Ok(reply) => Self::Done(reply),
            Err(failure) => match failure.code {
                FailureCode::OutcomeUnknown | FailureCode::DeadlineExceeded => Self::Unknown,
                _ => Self::Refused(failure),
            },
        }
    }
}

impl Span {
    pub fn holds(self, revision: u64) -> bool {
        (self.begun..=self.ended).contains(&revision)
    }
}
