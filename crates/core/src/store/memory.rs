//! The event store in memory: for unit tests, doc examples and services without a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;

use super::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, ReadError,
    ReadOptions, StartFrom, StoreError,
};
use crate::{AggregateId, EventId, RecordedEvent, Revision, Sequence};

/// Keeps events in memory and forgets them when dropped. Clones share the same events.
///
/// It behaves as the store on JetStream does, which the conformance suite shows; it only has no
/// disk and no network to lose.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    journal: Mutex<Journal>,
    /// The number of stored events; subscriptions wait on it.
    stored: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Journal {
    events: Vec<RecordedEvent>,
    /// Places in `events`, oldest first.
    aggregates: HashMap<AggregateId, Vec<usize>>,
    /// Places in `events`.
    ids: HashMap<EventId, usize>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.journal().events.len()
    }

    /// Whether it holds no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        // Every change is made after its checks and cannot panic half-way, so a poisoned lock guards whole data.
        self.shared.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    fn places(&self, aggregate: &AggregateId) -> &[usize] {
        self.aggregates.get(aggregate).map_or(&[], Vec::as_slice)
    }

    fn head_at(&self, places: &[usize]) -> Head {
        let recent = places.iter().rev().take(super::MAX_PREVIOUS).map(|place| self.events[*place].sequence).collect();
        Head::new(Revision::new(places.len() as u64), recent)
    }

    /// The answer to an append whose first event is stored already.
    fn repeated(&self, append: &Append) -> Option<Appended> {
        let first = &self.events[*self.ids.get(&append.events.first()?.id)?];
        if first.aggregate != append.aggregate {
            return None;
        }
        let last = first.revision.get() as usize - 1 + append.events.len();
        let places = self.places(&append.aggregate).get(..last)?;
        Some(Appended { head: self.head_at(places), duplicate: true })
    }

    fn append(&mut self, append: Append) -> Result<Appended, AppendError> {
        if let Some(repeated) = self.repeated(&append) {
            return Ok(repeated);
        }
        let head = self.head_at(self.places(&append.aggregate));
        if head.revision() != append.head.revision() || head.sequence() != append.head.sequence() {
            return Err(AppendError::Conflict {
                aggregate: append.aggregate,
                expected: append.head.revision(),
                actual: Some(head.revision()),
            });
        }
        let mut sequences = Vec::with_capacity(append.events.len());
        for event in append.events {
            let place = self.events.len();
            let sequence = Sequence::new(place as u64 + 1);
            self.ids.insert(event.id, place);
            let places = self.aggregates.entry(append.aggregate.clone()).or_default();
            places.push(place);
            let revision = Revision::new(places.len() as u64);
            self.events.push(RecordedEvent { aggregate: append.aggregate.clone(), revision, sequence, event });
            sequences.push(sequence);
        }
        Ok(Appended { head: head.after(sequences.into_iter()), duplicate: false })
    }

    /// The place in `events` a subscription starts at.
    fn start(&self, from: StartFrom) -> usize {
        match from {
            StartFrom::Beginning => 0,
            StartFrom::After(sequence) => usize::try_from(sequence.get()).unwrap_or(usize::MAX),
            StartFrom::Time(time) => {
                self.events.iter().position(|event| event.event.time >= time).unwrap_or(self.events.len())
            }
            StartFrom::Now => self.events.len(),
        }
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Ok(Appended { head: append.head, duplicate: false });
        }
        let (appended, stored) = {
            let mut journal = self.journal();
            let appended = journal.append(append)?;
            (appended, journal.events.len())
        };
        // Two appends may get here in either order; the count only ever grows.
        self.shared.stored.send_if_modified(|count| std::mem::replace(count, stored.max(*count)) < stored);
        Ok(appended)
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        let journal = self.journal();
        let places = journal.places(aggregate);
        let after = usize::try_from(read.after.get()).unwrap_or(usize::MAX).min(places.len());
        let events = places[after..].iter().take(read.limit.unwrap_or(usize::MAX));
        Ok(History {
            events: events.map(|place| journal.events[*place].clone()).collect(),
            head: journal.head_at(places),
        })
    }

    async fn head(&self, aggregate: &AggregateId, _: Freshness) -> Result<Head, ReadError> {
        let journal = self.journal();
        Ok(journal.head_at(journal.places(aggregate)))
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        let next = self.journal().start(from);
        let stored = self.shared.stored.subscribe();
        let events =
            stream::unfold((self.clone(), stored, next, filter), |(store, mut stored, mut next, filter)| async move {
                loop {
                    let event = store.journal().events.get(next).cloned();
                    match event {
                        Some(event) => {
                            next += 1;
                            if filter.shows(&event) {
                                return Some((Ok(event), (store, stored, next, filter)));
                            }
                        }
                        None => {
                            let beyond = next;
                            // The sender lives in `store`, which this stream holds, so waiting cannot fail.
                            stored.wait_for(|count| *count > beyond).await.ok()?;
                        }
                    }
                }
            });
        Ok(events.boxed())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
