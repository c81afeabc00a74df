//! Waiting for a revision that is not there yet: told by whoever commits it, here or elsewhere.

use std::time::Duration;

use futures_util::StreamExt;

use super::cache::Slot;
use super::{Deadline, Inner};
use crate::store::{EventFilter, EventStream, Freshness, StartFrom};
use crate::{AggregateId, AggregateType, Failure, Revision};

/// How many waiting queries may follow the journal at once; on JetStream each is a consumer. The
/// others look again now and then.
pub(super) const FOLLOWERS: usize = 32;

/// The first and the longest time between two looks, for a query that cannot be told.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// How often a query that follows the journal looks all the same: a lost connection may keep the
/// news from it for a while.
const SAFETY_LOOK: Duration = Duration::from_millis(500);

impl Inner {
    /// Waits until the aggregate in memory has at least this revision.
    ///
    /// A commit of this instance wakes the query through the slot, one of another instance through
    /// the journal.
    pub(super) async fn wait_for(
        &self,
        described: &AggregateType,
        aggregate: &AggregateId,
        slot: &Slot,
        at_least: Revision,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        if slot.lock().revision() >= at_least
            || self.catch_up(described, aggregate, slot, Freshness::Leader).await? >= at_least
        {
            return Ok(());
        }
        let place = self.followers.try_acquire().ok();
        let mut news = match &place {
            Some(_) => self.follow(aggregate, slot).await,
            None => None,
        };
        let mut pause = if news.is_some() { SAFETY_LOOK } else { LOOKS.0 };
        loop {
            let changed = slot.changed();
            // The commit may have come before the wait for it began.
            if slot.lock().revision() >= at_least {
                return Ok(());
            }
            let told = tokio::select! {
                () = changed => true,
                more = next(&mut news) => more,
                () = tokio::time::sleep_until(deadline.min(Deadline::now() + pause)) => false,
            };
            if Deadline::now() >= deadline {
                let message = format!("{aggregate} did not reach revision {at_least} in time");
                return Err(Failure::deadline_exceeded(message));
            }
            if slot.lock().revision() >= at_least
                || self.catch_up(described, aggregate, slot, Freshness::Leader).await? >= at_least
            {
                return Ok(());
            }
            if !told && news.is_none() {
                pause = (pause * 2).min(LOOKS.1);
            }
        }
    }

    async fn follow(&self, aggregate: &AggregateId, slot: &Slot) -> Option<EventStream> {
        let after = StartFrom::After(slot.lock().head.sequence());
        let filter = EventFilter::all().kind(aggregate.kind().clone()).aggregate(aggregate.clone());
        match self.store.subscribe(filter, after).await {
            Ok(news) => Some(news),
            Err(error) => {
                tracing::debug!(%aggregate, %error, "the journal cannot be followed; looking again now and then");
                None
            }
        }
    }
}

/// Waits for an event; for ever without a stream. Says whether one came.
async fn next(news: &mut Option<EventStream>) -> bool {
    match news {
        None => std::future::pending().await,
        Some(stream) => match stream.next().await {
            Some(Ok(_)) => true,
            Some(Err(_)) | None => {
                *news = None;
                false
            }
        },
    }
}
