//! A command's way: checked, in its lane, decided, appended, answered.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chrono::SubsecRound;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rand::Rng;
use serde_json::Value;

use super::cache::Slot;
use super::entity::Entity;
use super::index::Fingerprint;
use super::lane::Ticket;
use super::{Deadline, Dispatcher, Inner};
use crate::call::{CommandReply, CommandRequest, EventSummary, RequestMetadata, ReturnMode};
use crate::description::{CommandType, Decided, Decision, Refusal};
use crate::store::{Append, AppendError, Appended, Freshness, Head};
use crate::{AggregateId, AggregateType, CommandContext, CommandId, EventId, Failure, Metadata, NewEvent, Revision};

/// A command that has its place in the lane; awaiting it runs it. Dropping it before it was
/// polled to the append leaves nothing behind; dropping it later may leave its events stored.
#[must_use = "a command runs when it is awaited"]
pub struct PendingCommand {
    running: BoxFuture<'static, Result<CommandReply, Failure>>,
}

impl Future for PendingCommand {
    type Output = Result<CommandReply, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.running.poll_unpin(context)
    }
}

impl std::fmt::Debug for PendingCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingCommand").finish_non_exhaustive()
    }
}

/// A command whose name, ids and payload were found good.
pub(super) struct Accepted {
    pub(super) aggregate: AggregateId,
    pub(super) metadata: Arc<Metadata>,
    return_mode: ReturnMode,
    expected: Option<Revision>,
    pub(super) payload: Value,
    pub(super) fingerprint: Fingerprint,
    deadline: Deadline,
}

/// What one attempt came to.
enum Attempt {
    Done(CommandReply),
    /// Another writer was faster, or the state was behind: bring it up to date and decide again.
    Behind,
}

impl Dispatcher {
    /// Takes a place for the command in its aggregate's lane and returns what runs it. Places are
    /// given in the order of these calls, so an edge that calls it as requests arrive keeps their
    /// order, even when it then awaits the commands on many tasks.
    ///
    /// The command fails with the protocol's codes: see [`Failure`].
    pub fn submit(&self, request: CommandRequest, deadline: Deadline) -> PendingCommand {
        let entered = self.inner.lanes.enter(&request.aggregate).map_err(|_| {
            Failure::unavailable("overloaded", format!("too many commands wait for {}", request.aggregate))
        });
        let inner = Arc::clone(&self.inner);
        let running = async move { inner.run(request, entered?, deadline).await }.boxed();
        PendingCommand { running }
    }

    /// Runs a command. The same as awaiting [`submit`](Self::submit).
    ///
    /// # Errors
    /// The protocol's failures.
    pub async fn execute(&self, request: CommandRequest, deadline: Deadline) -> Result<CommandReply, Failure> {
        self.submit(request, deadline).await
    }
}

impl Inner {
    async fn run(
        self: Arc<Self>,
        request: CommandRequest,
        ticket: Ticket,
        deadline: Deadline,
    ) -> Result<CommandReply, Failure> {
        let described = self.type_of(&request.aggregate)?.clone();
        let command = described.command(&request.command).ok_or_else(|| no_command(&described, &request.command))?;
        let accepted = accept(request, deadline)?;
        // Checked before the turn comes, so that a long check holds nobody up.
        let mut parsed = Some(command.parse(&accepted.payload)?);
        let turn = tokio::time::timeout_at(deadline, ticket.turn()).await.map_err(|_| too_late("waiting in line"))?;
        let slot = within(deadline, "loading the aggregate", self.load(&described, &accepted.aggregate)).await?;
        for attempt in 1..=self.settings.attempts {
            let payload = match parsed.take() {
                Some(payload) => payload,
                None => command.parse(&accepted.payload)?,
            };
            match self.attempt(&described, command, payload, &accepted, &slot).await? {
                Attempt::Done(reply) => {
                    let slot = self.cache.put(&accepted.aggregate, slot);
                    self.snapshot_when_due(&accepted.aggregate, &slot);
                    drop(turn);
                    return Ok(reply);
                }
                Attempt::Behind => {
                    self.wait_to_retry(attempt).await;
                    let fresh = self.catch_up(&described, &accepted.aggregate, &slot, Freshness::Leader);
                    within(deadline, "reading the newest events", fresh).await?;
                }
            }
        }
        Err(Failure::unavailable("contended", format!("other writers kept changing {}", accepted.aggregate)))
    }

    async fn attempt(
        &self,
        described: &AggregateType,
        command: &CommandType,
        payload: crate::description::ParsedCommand,
        accepted: &Accepted,
        slot: &Slot,
    ) -> Result<Attempt, Failure> {
        if let Some(reply) = self.replay(described, command, accepted, slot).await? {
            return Ok(Attempt::Done(reply));
        }
        let head = slot.lock().head.clone();
        if let Some(expected) = accepted.expected.filter(|expected| *expected != head.revision()) {
            return self.unless_behind(accepted, &head, Failure::conflict(expected, head.revision())).await;
        }
        let context = CommandContext {
            aggregate: accepted.aggregate.clone(),
            revision: head.revision(),
            // As exactly as the protocol writes times: asked for as of its own time, an event is there.
            now: self.clock.now().trunc_subsecs(6),
            metadata: Arc::clone(&accepted.metadata),
        };
        let now = context.now;
        let decided = self.guarded(&accepted.aggregate, || {
            let entity = slot.lock();
            command.decide(&*entity.state, payload, context)
        })?;
        let decided = match decided {
            Decided::Now(decided) => decided,
            Decided::Later(deciding) => {
                let deciding = self.guarded_async(&accepted.aggregate, deciding);
                within(accepted.deadline, "the handler", deciding).await?
            }
        };
        match decided {
            Err(refusal) => self.unless_behind(accepted, &head, refused(&accepted.aggregate, refusal)).await,
            Ok(decision) if decision.events.is_empty() => self.nothing_happened(accepted, slot, &head).await,
            Ok(decision) => self.append(described, accepted, slot, head, decision, now).await,
        }
    }

    /// Gives the failure to the caller if the state it was decided on is the newest one, and
    /// otherwise asks for another attempt: a stale state must not say no.
    async fn unless_behind(&self, accepted: &Accepted, head: &Head, failure: Failure) -> Result<Attempt, Failure> {
        if self.is_behind(accepted, head).await? { Ok(Attempt::Behind) } else { Err(failure) }
    }

    async fn nothing_happened(&self, accepted: &Accepted, slot: &Slot, head: &Head) -> Result<Attempt, Failure> {
        if self.is_behind(accepted, head).await? {
            return Ok(Attempt::Behind);
        }
        let entity = slot.lock();
        if entity.head != *head {
            return Ok(Attempt::Behind);
        }
        reply(accepted, &entity, Vec::new()).map(Attempt::Done)
    }

    async fn is_behind(&self, accepted: &Accepted, head: &Head) -> Result<bool, Failure> {
        let newest = self.store.head(&accepted.aggregate, Freshness::Leader);
        let newest = within(accepted.deadline, "looking up the newest event", newest.map(Ok)).await?;
        let newest = newest.map_err(|error| super::load::read_failure(&error))?;
        Ok(newest.revision() > head.revision())
    }

    async fn append(
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
                Ok(Attempt::Behind)
            }
            Ok(appended) => {
                self.counters.appends.add(1);
                self.counters.events_appended.add(summaries.len());
                self.evolve(accepted, slot, &head, &appended, decision, now)?;
                slot.tell();
                let until = appended.head.revision();
                self.answer(described, accepted, slot, until, summaries).await.map(Attempt::Done)
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
        let command = &accepted.metadata.command_id;
        self.guarded(&accepted.aggregate, || {
            let mut entity = slot.lock();
            if entity.head == *head {
                evolve(&mut *entity.state);
                for (place, event) in events.iter().enumerate() {
                    let revision = head.revision().plus(place + 1);
                    entity.note(command, revision, now, event.data.len(), Some(accepted.fingerprint));
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
        let entity = self.replayed(described, &accepted.aggregate, |event| event.revision <= until).await?;
        reply(accepted, &entity, events)
    }

    fn append_failure(&self, accepted: &Accepted, error: &AppendError) -> Failure {
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

    /// Waits a little before the next attempt, longer each time and never the same for two.
    async fn wait_to_retry(&self, attempt: u32) {
        let most = self.settings.retry_wait.saturating_mul(1 << attempt.min(6));
        let wait = most.mul_f64(rand::rng().random_range(0.1..1.0));
        tokio::time::sleep(wait).await;
    }
}

/// Checks what comes with the payload, and reads the payload as JSON.
fn accept(request: CommandRequest, deadline: Deadline) -> Result<Accepted, Failure> {
    let metadata = stored_metadata(request.metadata)?;
    let payload = serde_json::from_slice(&request.payload)
        .map_err(|error| Failure::invalid_request(format!("`command` is not JSON: {error}")))?;
    Ok(Accepted {
        fingerprint: Fingerprint::of(&request.command, &payload),
        aggregate: request.aggregate,
        metadata: Arc::new(metadata),
        return_mode: request.return_mode,
        expected: request.expected_revision,
        payload,
        deadline,
    })
}

fn stored_metadata(given: RequestMetadata) -> Result<Metadata, Failure> {
    let metadata = Metadata {
        command_id: given.command_id.unwrap_or_else(CommandId::generate),
        correlation_id: given.correlation_id,
        causation_id: given.causation_id,
        user_id: given.user_id,
        tenant_id: given.tenant_id,
        traceparent: given.traceparent,
    };
    match metadata.invalid_member() {
        None => Ok(metadata),
        Some(member) => Err(Failure::invalid_request(format!(
            "`metadata.{member}` is longer than {} bytes or holds a control character",
            crate::MAX_METADATA_LENGTH
        ))),
    }
}

fn new_events(accepted: &Accepted, decision: &Decision, now: chrono::DateTime<chrono::Utc>) -> Vec<NewEvent> {
    let new_event = |(place, event): (usize, &crate::description::EncodedEvent)| NewEvent {
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

fn summaries(events: &[NewEvent], before: Revision) -> Vec<EventSummary> {
    let summary = |(place, event): (usize, &NewEvent)| EventSummary {
        id: event.id,
        name: event.name.clone(),
        revision: before.plus(place + 1),
    };
    events.iter().enumerate().map(summary).collect()
}

/// The reply that shows the entity as it is.
fn reply(accepted: &Accepted, entity: &Entity, events: Vec<EventSummary>) -> Result<CommandReply, Failure> {
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

fn refused(aggregate: &AggregateId, refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Failure(failure) => failure,
        Refusal::Bug(error) => {
            tracing::error!(%aggregate, error = &error as &dyn std::error::Error, "an event cannot be stored");
            Failure::internal("an event of this command cannot be stored")
        }
        Refusal::Dependency { name, source } => {
            tracing::warn!(%aggregate, dependency = name, error = %source, "a handler could not ask outside");
            Failure::unavailable(name, format!("`{name}`, which this command asks, is not available"))
        }
    }
}

fn no_command(described: &AggregateType, name: &str) -> Failure {
    let name: String = name.chars().take(80).collect();
    Failure::invalid_request(format!("aggregate `{}` has no command `{name}`", described.kind()))
}

fn too_late(doing: &str) -> Failure {
    Failure::deadline_exceeded(format!("the deadline passed while {doing}"))
}

/// Waits for `work` until the deadline.
pub(super) async fn within<T>(
    deadline: Deadline,
    doing: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout_at(deadline, work).await.map_err(|_| too_late(doing))?
}
