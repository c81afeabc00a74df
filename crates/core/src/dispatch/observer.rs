//! Looking on while commands are carried out: for traces and measurements, which the core knows nothing of.

use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use super::cache::Slot;
use super::job::Accepted;
use crate::description::{CommandType, Decision, Refusal};
use crate::{AggregateId, Failure, FailureCode, Metadata, Name, Revision};

/// Is told what a dispatcher does, right after it was done. Each call comes from the task that did it, while commands and
/// queries wait, so it must be quick and must not block. Appends and reads are seen by a store that stands before the real one.
pub trait Observer: Send + Sync + std::fmt::Debug + 'static {
    /// An aggregate was brought into memory, or could not be.
    fn loaded(&self, load: &ObservedLoad<'_>) {
        let _ = load;
    }

    /// A command was decided, or could not be. A command that is decided again after a conflict is told again.
    fn decided(&self, decision: &ObservedDecision<'_>) {
        let _ = decision;
    }
}

/// An aggregate brought into memory.
#[derive(Debug)]
#[non_exhaustive]
pub struct ObservedLoad<'a> {
    /// Which aggregate.
    pub aggregate: &'a AggregateId,
    /// How long it took.
    pub took: Duration,
    /// Where it is now; why it is not there otherwise.
    pub outcome: Result<LoadedTo, &'a Failure>,
}

/// How far an aggregate was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedTo {
    /// The revision it is at.
    pub revision: Revision,
    /// The revision of the snapshot that was started from; none when it was folded from its first event on.
    pub snapshot: Option<Revision>,
}

/// A command that was decided.
#[derive(Debug)]
#[non_exhaustive]
pub struct ObservedDecision<'a> {
    /// Whose command.
    pub aggregate: &'a AggregateId,
    /// Which command.
    pub command: &'a Name,
    /// What travels beside it.
    pub metadata: &'a Metadata,
    /// How long deciding took; for a handler that asks outside, with the waiting.
    pub took: Duration,
    /// The number of events, or the code of the failure.
    pub outcome: Result<usize, FailureCode>,
}

impl Inner {
    /// The time at which something begins that is told; none when nobody looks on, for then nobody pays for a clock.
    pub(super) fn watch(&self) -> Option<Instant> {
        self.observer.as_ref().map(|_| Instant::now())
    }

    pub(super) fn tell_loaded(&self, since: Option<Instant>, aggregate: &AggregateId, loaded: &Result<Slot, Failure>) {
        let (Some(observer), Some(since)) = (&self.observer, since) else { return };
        let outcome = loaded.as_ref().map(|slot| {
            let entity = slot.lock();
            let snapshot = Some(entity.snapshot).filter(|snapshot| *snapshot > Revision::ZERO);
            LoadedTo { revision: entity.revision(), snapshot }
        });
        observer.loaded(&ObservedLoad { aggregate, took: since.elapsed(), outcome });
    }

    pub(super) fn tell_decided(
        &self,
        since: Option<Instant>,
        accepted: &Accepted,
        command: &CommandType,
        decided: &Result<Result<Decision, Refusal>, Failure>,
    ) {
        let (Some(observer), Some(since)) = (&self.observer, since) else { return };
        let outcome = match decided {
            Ok(Ok(decision)) => Ok(decision.events.len()),
            Ok(Err(Refusal::Failure(failure))) | Err(failure) => Err(failure.code.clone()),
            Ok(Err(Refusal::Bug(_))) => Err(FailureCode::Internal),
            Ok(Err(Refusal::Dependency { .. })) => Err(FailureCode::Unavailable),
        };
        observer.decided(&ObservedDecision {
            aggregate: &accepted.aggregate,
            command: command.name(),
            metadata: &accepted.metadata,
            took: since.elapsed(),
            outcome,
        });
    }
}
