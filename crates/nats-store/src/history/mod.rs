//! The history of one aggregate: its last event by subject, the others by the places that each event names.
//!
//! No consumer is made and nothing is searched: one look-up finds the last event, which names up to 32 places before
//! it; those are fetched in parallel, and the oldest of them names the next 32. Whoever knows the head already spares
//! the first look-up, and has the places of the last 32 at once.

mod event;
mod walk;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use headwater_core::store::{Freshness, Head, History, ReadError, ReadOptions};
use headwater_core::{AggregateId, Revision};
use headwater_nats::event::StoredEvent;
use tokio::time::Instant;

use crate::journal::Journal;
use walk::Walk;

/// Look-ups of one read under way at once: as many as one event names places.
const LOOKUPS_PER_READ: usize = headwater_core::store::MAX_PREVIOUS;

impl Journal {
    /// Events of one aggregate, and where its history ends.
    pub(crate) async fn read(&self, aggregate: &AggregateId, options: ReadOptions) -> Result<History, ReadError> {
        self.counters.reads.increment();
        let (head, last) = match options.known_head {
            Some(head) => (head, None),
            None => {
                let deadline = Instant::now() + self.config.lookup_timeout.get();
                let last = self.last_event(aggregate, options.freshness, deadline).await?;
                (last.as_ref().map_or(Head::EMPTY, head_at), last)
            }
        };
        let limit = options.limit.map_or(u64::MAX, |limit| limit as u64);
        let to = Revision::new(options.after.get().saturating_add(limit)).min(head.revision());
        if to <= options.after {
            return Ok(History { events: Vec::new(), head });
        }
        let from = options.after.next();
        let walk = last.map_or_else(|| Walk::from_head(&head, from, to), |last| Walk::new(last, from, to));
        let events = self.walk(aggregate, walk).await?;
        Ok(History { events: events.into_iter().map(|event| event.recorded).collect(), head })
    }

    /// Where the history of one aggregate ends.
    pub(crate) async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        self.counters.reads.increment();
        let deadline = Instant::now() + self.config.lookup_timeout.get();
        let last = self.last_event(aggregate, freshness, deadline).await?;
        Ok(last.as_ref().map_or(Head::EMPTY, head_at))
    }

    /// The events of revision `from` to `to`, both included, found by way of a later one or the last of them. Oldest
    /// first and without gaps.
    pub(crate) async fn events(
        &self,
        aggregate: &AggregateId,
        last: StoredEvent,
        from: Revision,
        to: Revision,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.walk(aggregate, Walk::new(last, from, to)).await
    }

    async fn walk(&self, aggregate: &AggregateId, mut walk: Walk) -> Result<Vec<StoredEvent>, ReadError> {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < LOOKUPS_PER_READ
                && let Some((revision, sequence)) = walk.next_place()
            {
                under_way.push(self.event_at(aggregate, revision, sequence));
            }
            match under_way.next().await {
                Some(event) => walk.take(event?),
                None => break,
            }
        }
        walk.finish().map_err(|gap| event::broken(aggregate, gap.revision, gap.what))
    }
}

/// Where the history ended with this event.
pub(crate) fn head_at(event: &StoredEvent) -> Head {
    let recent = std::iter::once(event.recorded.sequence).chain(event.previous.iter().copied()).collect();
    Head::new(event.recorded.revision, recent)
}
