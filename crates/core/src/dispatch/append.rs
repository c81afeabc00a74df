//! The append of a decided command, and the answer that follows from it.

use std::sync::Arc;

use super::cache::Slot;
use super::entity::Entity;
use super::execute::{Attempt, too_late};
use super::job::Accepted;
use super::{Deadline, Inner};
use crate::call::{CommandReply, EventSummary, ReturnMode};
use crate::description::{Decision, EncodedEvent, Refusal};
use crate::store::{Append, AppendError, Appended, Head};
use crate::{AggregateId, AggregateType, EventId, Failure, FailureCode, NewEvent, Revision};

impl Inner {
    /// Stores the events of one command and answers it.
    pub(super) async fn append(
        &self,
        described: &AggregateType,
        accepted: &Accepted,
        slot: &Slot,
        head: Head,
        decision: Decision,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<Attempt, Failure> {
        if Deadline::now() >= accepted.deadline {
            return Err(too_late("deciding"));
        }
        let events = new_events(accepted, &decision, now);
        let summaries = summaries(&events, head.revision());
        let append = Append { aggregate: accepted.aggregate.clone(), head: head.clone(), events };
        match self.store.append(append).await {
            Ok(appended) if appended.duplicate => {
                // An earlier attempt at this command is in the journal; its answer is the answer.
                self.counters.conflicts.add(1);
                Ok(Attempt::Stored)
            }
            Ok(appended) => {
                self.counters.appends.add(1);
                self.counters.events_appended.add(summaries.len());
                let until = appended.head.revision();
                self.evolve(accepted, slot, &head, &appended, decision, now)
                    .map_err(|failure| was_carried_out(&failure, until))?;
                slot.tell();
                let answer = self.answer(described, accepted, slot, until, summaries).await;
                answer.map(Attempt::Done).map_err(|failure| was_carried_out(&failure, until))
            }
            Err(AppendError::Conflict { .. }) => {
                self.counters.conflicts.add(1);
                Ok(Attempt::Behind)
            }
            Err(error) => Err(self.append_failure(accepted, &error)),
        }
    }

    /// Takes the stored events into the cached state, unless a reader has done so already.
    fn evolve(
        &self,
        accepted: &Accepted,
        slot: &Slot,
        head: &Head,
        appended: &Appended,
        decision: Decision,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), Failure> {
        let Decision { events, evolve } = decision;
        self.guarded(&accepted.aggregate, || {
            let mut entity = slot.lock();
            if entity.head == *head {
                evolve(&mut *entity.state);
                for (place, event) in events.iter().enumerate() {
                    let revision = head.revision().plus(place + 1);
                    entity.note(accepted.key, revision, now, event.data.len(), Some(accepted.fingerprint));
                }
                entity.head = appended.head.clone();
            }
        })
        .inspect_err(|_| self.cache.forget(&accepted.aggregate))
    }

    /// The reply to a command whose last event has the revision `until`.
    pub(super) async fn answer(
        &self,
        described: &AggregateType,
        accepted: &Accepted,
        slot: &Slot,
        until: Revision,
        events: Vec<EventSummary>,
    ) -> Result<CommandReply, Failure> {
        {
            let entity = slot.lock();
            if entity.revision() == until {
                return reply(accepted, &entity, events);
            }
        }
        // The aggregate has moved on, by later commands or another instance; the caller gets the state as this command
        // left it, not a newer one under an older revision.
        let replayed = self.replayed(described, &accepted.aggregate, |event| event.revision <= until);
        reply(accepted, &Box::pin(replayed).await?, events)
    }

    pub(super) fn append_failure(&self, accepted: &Accepted, error: &AppendError) -> Failure {
        let logged = error as &dyn std::error::Error;
        match error {
            AppendError::TooLarge { what, .. } => Failure::payload_too_large(what.clone()),
            AppendError::OutcomeUnknown { .. } => {
                self.counters.unknown_outcomes.add(1);
                self.cache.forget(&accepted.aggregate);
                tracing::warn!(error = logged, command = %accepted.metadata.command_id, "an append's outcome is unknown");
                Failure::outcome_unknown("the acknowledgement was lost; send the same commandId again to settle it")
            }
            AppendError::Unavailable { source, .. } => {
                tracing::warn!(error = logged, "an append was not taken");
                Failure::unavailable("store", format!("the event store cannot take events now: {source}"))
            }
            AppendError::Conflict { .. } => Failure::internal("a conflict got past its handling"),
        }
    }
}

pub(super) fn new_events(
    accepted: &Accepted,
    decision: &Decision,
    now: chrono::DateTime<chrono::Utc>,
) -> Vec<NewEvent> {
    let new_event = |(place, event): (usize, &EncodedEvent)| NewEvent {
        id: EventId::derive(&accepted.metadata.command_id, &accepted.aggregate, place),
        name: event.name.clone(),
        schema_version: event.schema_version,
        time: now,
        content_type: crate::JSON.into(),
        data: event.data.clone(),
        metadata: Arc::clone(&accepted.metadata),
    };
    decision.events.iter().enumerate().map(new_event).collect()
}

pub(super) fn summaries(events: &[NewEvent], before: Revision) -> Vec<EventSummary> {
    let summary = |(place, event): (usize, &NewEvent)| EventSummary {
        id: event.id,
        name: event.name.clone(),
        revision: before.plus(place + 1),
    };
    events.iter().enumerate().map(summary).collect()
}

/// The reply that shows the entity as it is.
pub(super) fn reply(accepted: &Accepted, entity: &Entity, events: Vec<EventSummary>) -> Result<CommandReply, Failure> {
    let state = match accepted.return_mode {
        ReturnMode::Revision => None,
        ReturnMode::Entity => Some(entity.state_json(&accepted.aggregate)?),
    };
    Ok(CommandReply {
        aggregate: accepted.aggregate.clone(),
        revision: entity.revision(),
        sequence: entity.head.sequence(),
        events,
        state,
        command_id: accepted.metadata.command_id.clone(),
        correlation_id: accepted.metadata.correlation_id.clone(),
        replayed: false,
    })
}

pub(super) fn refused(aggregate: &AggregateId, refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Failure(failure) => failure,
        Refusal::Bug(error) => {
            tracing::error!(%aggregate, error = &error as &dyn std::error::Error, "an event cannot be stored");
            Failure::internal("an event of this command cannot be stored")
        }
        Refusal::Dependency { name, source, retry_after } => {
            tracing::warn!(%aggregate, dependency = name, error = %source, "a handler could not ask outside");
            let failure = Failure::unavailable(name, format!("`{name}`, which this command asks, is not available"));
            match retry_after {
                Some(time) => failure.retry_in(time),
                None => failure,
            }
        }
    }
}

/// A failure of a command whose events may be stored. `unavailable` would say that nothing was done.
pub(super) fn may_be_carried_out(failure: Failure) -> Failure {
    match failure.code {
        FailureCode::Unavailable => Failure::outcome_unknown(format!(
            "the command may be stored, but cannot be looked up ({}); send the same commandId again to settle it",
            failure.message
        )),
        _ => failure,
    }
}

/// A failure to show what a command did, when it was done all the same.
pub(super) fn was_carried_out(failure: &Failure, until: Revision) -> Failure {
    let message =
        format!("the command was carried out, at revision {until}, but its result cannot be shown: {failure}");
    let told = if failure.retryable { Failure::outcome_unknown(message) } else { Failure::internal(message) };
    told.detail("executed", true).detail("revision", until.get())
}
