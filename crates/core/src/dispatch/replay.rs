//! Answering a repeated command with what the first attempt did.

use super::Inner;
use std::sync::Arc;

use super::cache::Slot;
use super::index::Seen;
use super::job::Accepted;
use super::load::read_failure;
use crate::call::{CommandReply, EventSummary};
use crate::description::{CommandType, Decided, EncodedEvent};
use crate::store::{Freshness, MAX_EVENTS_PER_APPEND, ReadOptions};
use crate::{AggregateType, CommandContext, Failure, FailureCode, RecordedEvent, Revision};

/// How many events to read at first when looking for those of one command.
const FIRST_GUESS: usize = 32;

impl Inner {
    /// The original reply, when the aggregate's history shows that this command was carried out;
    /// none when it was not. The same id on another command or payload is a conflict.
    pub(super) async fn replay(
        &self,
        described: &AggregateType,
        command: &CommandType,
        accepted: &Accepted,
        slot: &Slot,
    ) -> Result<Option<CommandReply>, Failure> {
        let Some(seen) = self.seen(accepted, slot).await? else { return Ok(None) };
        let events = self.events_of(accepted, seen.first).await?;
        let Some(last) = events.last() else { return Ok(None) };
        let same = match seen.fingerprint {
            Some(fingerprint) => fingerprint == accepted.fingerprint,
            None => self.would_have_caused(described, command, accepted, &events).await?,
        };
        if !same {
            let id = &accepted.metadata.command_id;
            let failure = Failure::new(FailureCode::Conflict, format!("commandId `{id}` belongs to another command"));
            return Err(failure.detail("reason", "command-id-reused"));
        }
        self.counters.replays.add(1);
        let summaries = events.iter().map(summary).collect();
        let original = self.answer(described, accepted, slot, last.revision, summaries).await?;
        Ok(Some(CommandReply { replayed: true, ..original }))
    }

    /// Whether there is anything to find out before the command may be taken for a new one.
    pub(super) fn may_be_a_repeat(&self, accepted: &Accepted, slot: &Slot) -> bool {
        let (command, entity) = (&accepted.metadata.command_id, slot.lock());
        entity.commands.seen(accepted.key).is_some() || entity.commands.doubtful(command).is_some()
    }

    /// Where the command may have been carried out. Where the aggregate's snapshot left its older
    /// commands out, and the command's id does not show that it is newer, they are read once.
    async fn seen(&self, accepted: &Accepted, slot: &Slot) -> Result<Option<Seen>, Failure> {
        let command = &accepted.metadata.command_id;
        let doubtful = {
            let entity = slot.lock();
            match entity.commands.seen(accepted.key) {
                Some(seen) => return Ok(Some(seen)),
                None => entity.commands.doubtful(command),
            }
        };
        let Some(forgotten) = doubtful else { return Ok(None) };
        let limit = usize::try_from(forgotten.until.get()).unwrap_or(usize::MAX);
        let options = ReadOptions::all().limit(limit).freshness(Freshness::Leader);
        let history = self.store.read(&accepted.aggregate, options).await.map_err(|error| read_failure(&error))?;
        self.counters.events_read.add(history.events.len());
        let mut entity = slot.lock();
        entity.commands.remember(&history.events);
        Ok(entity.commands.seen(accepted.key))
    }

    /// Whether the command, decided at the place in history where `events` are, leads to just
    /// these events. Deciding is pure and the events tell the time it had, so the same command
    /// does. A command that asked outside cannot be decided again: for it the names must do.
    async fn would_have_caused(
        &self,
        described: &AggregateType,
        command: &CommandType,
        accepted: &Accepted,
        events: &[RecordedEvent],
    ) -> Result<bool, Failure> {
        let Some(first) = events.first() else { return Ok(false) };
        let is_current = |event: &RecordedEvent| {
            let (name, version) = (&event.event.name, event.event.schema_version);
            described.events().any(|known| known.name == *name && known.schema_version == version)
        };
        if !events.iter().all(is_current) {
            // Written by an older version of the domain, which nobody can ask any more. The id has to be trusted.
            return Ok(true);
        }
        if !events.iter().all(|event| command.events().contains(&event.event.name.as_str())) {
            return Ok(false);
        }
        let before = self.replayed(described, &accepted.aggregate, |event| event.revision < first.revision).await?;
        let context = CommandContext {
            aggregate: accepted.aggregate.clone(),
            revision: before.revision(),
            now: first.event.time,
            metadata: Arc::clone(&first.event.metadata),
        };
        let payload = command.parse(&accepted.payload)?;
        let decided = self.guarded(&accepted.aggregate, || command.decide(&*before.state, payload, context))?;
        Ok(match decided {
            Decided::Later(_) => true,
            Decided::Now(Err(_)) => false,
            Decided::Now(Ok(decision)) => {
                let same = |(decided, stored): (&EncodedEvent, &RecordedEvent)| {
                    decided.name == stored.event.name && decided.data == stored.event.data
                };
                decision.events.len() == events.len() && decision.events.iter().zip(events).all(same)
            }
        })
    }

    /// The events of the command, which start at revision `first` if its id really is the one
    /// that was seen there.
    async fn events_of(&self, accepted: &Accepted, first: Revision) -> Result<Vec<RecordedEvent>, Failure> {
        let command = &accepted.metadata.command_id;
        let after = Revision::new(first.get().saturating_sub(1));
        // Few commands have more events than the first guess, and most histories do not end right behind them.
        for limit in [FIRST_GUESS, MAX_EVENTS_PER_APPEND] {
            let options = ReadOptions::after(after).limit(limit).freshness(Freshness::Leader);
            let mut events = self.store.read(&accepted.aggregate, options).await.map_err(|e| read_failure(&e))?.events;
            let same = events.iter().take_while(|event| event.event.metadata.command_id == *command).count();
            events.truncate(same);
            if same < limit || limit == MAX_EVENTS_PER_APPEND {
                return Ok(events);
            }
        }
        Ok(Vec::new())
    }
}

fn summary(event: &RecordedEvent) -> EventSummary {
    EventSummary { id: event.event.id, name: event.event.name.clone(), revision: event.revision }
}
