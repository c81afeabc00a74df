//! Answering a repeated command with what the first attempt did.

use super::Inner;
use super::cache::Slot;
use super::execute::Accepted;
use super::load::read_failure;
use crate::call::{CommandReply, EventSummary};
use crate::store::{Freshness, MAX_EVENTS_PER_APPEND, ReadOptions};
use crate::{AggregateType, Failure, RecordedEvent, Revision};

/// How many events to read at first when looking for those of one command.
const FIRST_GUESS: usize = 32;

impl Inner {
    /// The original reply, when the aggregate's history shows that this command was carried out;
    /// none when it was not.
    pub(super) async fn replay(
        &self,
        described: &AggregateType,
        accepted: &Accepted,
        slot: &Slot,
    ) -> Result<Option<CommandReply>, Failure> {
        let Some(first) = slot.lock().commands.first(&accepted.metadata.command_id) else {
            return Ok(None);
        };
        let events = self.events_of(accepted, first).await?;
        let Some(last) = events.last() else { return Ok(None) };
        self.counters.replays.add(1);
        let summaries = events.iter().map(summary).collect();
        let original = self.answer(described, accepted, slot, last.revision, summaries).await?;
        Ok(Some(CommandReply { replayed: true, ..original }))
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
