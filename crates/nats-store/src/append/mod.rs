//! Appends: sent, and when the answer leaves a doubt, settled before anything is said.

mod message;
mod oversized;
mod publish;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use headwater_core::store::{Append, AppendError, Appended, Head, StoreError, Together};
use headwater_core::{Revision, Sequence};

pub(crate) use self::message::EventMessage;
pub(crate) use self::publish::{Published, Refusal};
use crate::journal::Journal;
use message::SizeLimits;
use settle::Settlement;

/// How long an append waits for a connection that is down at the moment.
const GRACE: Duration = Duration::from_millis(500);

impl Journal {
    /// Appends events to one aggregate, all or none.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Ok(Appended::new(append.head));
        }
        let count = append.events.len();
        let outcome = self.append_events(&append).await;
        match &outcome {
            Ok(appended) => {
                self.counters.appends.increment();
                match appended.duplicate {
                    true => self.counters.duplicates.increment(),
                    false => self.counters.events.add(count),
                }
            }
            Err(AppendError::Conflict { .. }) => self.counters.conflicts.increment(),
            Err(AppendError::OutcomeUnknown { .. }) => self.counters.unknowns.increment(),
            Err(AppendError::Unavailable { .. }) => self.counters.unavailable.increment(),
            Err(_) => {}
        }
        outcome
    }

    async fn append_events(&self, append: &Append) -> Result<Appended, AppendError> {
        if !holds_together(&append.head) {
            return Err(conflict(append, None));
        }
        let connection = &self.api.connection;
        if !connection.is_up() {
            Box::pin(connection.ready(GRACE)).await.map_err(|down| {
                let source = StoreError::new("the connection to NATS is down").caused_by(down);
                AppendError::Unavailable { aggregate: append.aggregate.clone(), source }
            })?;
        }
        let limits = SizeLimits { event: self.config.max_event_size, message: connection.borrowed().1.max_payload() };
        let messages = message::messages(&self.subjects, append, limits)?;
        match self.send(append, messages, self.config.ack_timeout.get()).await {
            Published::Stored { last, together } => Ok(stored(append, last, together)),
            // Rare, and large: what most appends never need takes no room in their future.
            doubtful => Box::pin(self.settle(append, limits, doubtful)).await,
        }
    }

    /// Finds out what became of an append whose first attempt did not simply succeed.
    async fn settle(&self, append: &Append, limits: SizeLimits, first: Published) -> Result<Appended, AppendError> {
        let messages = message::messages(&self.subjects, append, limits)?;
        Settlement::new(self, append, messages).run(first).await
    }
}

/// A head that no store made could pass the server's check, which sees only its sequence, and break the history.
fn holds_together(head: &Head) -> bool {
    let (revision, known) = (head.revision().get(), head.recent().len() as u64);
    (revision == 0) == (known == 0) && known <= revision
}

/// An append whose last event was just stored at the sequence `last`.
fn stored(append: &Append, last: u64, together: Option<Arc<Together>>) -> Appended {
    let count = append.events.len();
    let first = last.saturating_sub(count as u64 - 1);
    let sequences = (0..count).map(|place| Sequence::new(first + place as u64));
    Appended { together, ..Appended::new(append.head.after(sequences)) }
}

fn conflict(append: &Append, actual: Option<Revision>) -> AppendError {
    AppendError::Conflict { aggregate: append.aggregate.clone(), expected: append.head.revision(), actual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_no_store_made_is_noticed() {
        let head = |revision, recent: &[u64]| {
            Head::new(Revision::new(revision), recent.iter().copied().map(Sequence::new).collect())
        };
        for good in [Head::EMPTY, head(1, &[7]), head(50, &[9, 7]), head(2, &[9, 7])] {
            assert!(holds_together(&good), "{good:?}");
        }
        for bad in [head(5, &[]), head(0, &[7]), head(1, &[9, 7])] {
            assert!(!holds_together(&bad), "{bad:?}");
        }
    }
}
