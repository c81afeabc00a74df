//! The event store in memory: for unit tests, doc examples and services without a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;

use super::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History,
    MAX_EVENTS_PER_APPEND, ReadError, ReadOptions, StartFrom, StoreError,
};
use crate::{AggregateId, Clock, EventId, RecordedEvent, Revision, Sequence, SystemClock};

/// Keeps events in memory and forgets them when dropped. Clones share the same events.
///
/// It behaves as the store on JetStream does, which the conformance suite shows; it only has no
/// disk and no network to lose.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    journal: Mutex<Journal>,
    /// The number of stored events; subscriptions wait on it.
    stored: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Journal {
    events: Vec<StoredEvent>,
    aggregates: HashMap<AggregateId, Own>,
}

#[derive(Debug)]
struct StoredEvent {
    at: DateTime<Utc>,
    event: RecordedEvent,
}

/// What one aggregate has in the journal.
#[derive(Debug, Default)]
struct Own {
    /// Places in the journal's events, oldest first.
    places: Vec<usize>,
    /// Where in `places` an event stands.
    ids: HashMap<EventId, usize>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that takes the time of storing, which [`StartFrom::Time`] goes by, from `clock`.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, journal: Mutex::default(), stored: watch::Sender::default() }) }
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
        self.aggregates.get(aggregate).map_or(&[], |own| &own.places)
    }

    fn event(&self, place: usize) -> &RecordedEvent {
        &self.events[place].event
    }

    fn head_at(&self, places: &[usize]) -> Head {
        let recent = places.iter().rev().take(super::MAX_PREVIOUS).map(|place| self.event(*place).sequence).collect();
        Head::new(Revision::new(places.len() as u64), recent)
    }

    /// The answer to an append that is stored already. A command that was decided anew may bring other events than
    /// the first time, with some ids in common: what counts is what was stored, all the events of that command.
    fn repeated(&self, append: &Append) -> Option<Appended> {
        let own = self.aggregates.get(&append.aggregate)?;
        let start = append.events.iter().find_map(|event| own.ids.get(&event.id))?;
        let command = |place: &usize| &self.event(*place).event.metadata.command_id;
        let stored = &own.places[*start..];
        let count = stored.iter().take_while(|place| command(place) == command(&stored[0])).count();
        Some(Appended::before(self.head_at(&own.places[..start + count])))
    }

    fn append(&mut self, append: Append, at: DateTime<Utc>) -> Result<Appended, AppendError> {
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
        let own = self.aggregates.entry(append.aggregate.clone()).or_default();
        let mut sequences = Vec::with_capacity(append.events.len());
        for event in append.events {
            let place = self.events.len();
            let sequence = Sequence::new(place as u64 + 1);
            own.ids.insert(event.id, own.places.len());
            own.places.push(place);
            let revision = Revision::new(own.places.len() as u64);
            let event = RecordedEvent { aggregate: append.aggregate.clone(), revision, sequence, event };
            self.events.push(StoredEvent { at, event });
            sequences.push(sequence);
        }
        Ok(Appended::new(head.after(sequences.into_iter())))
    }

    /// The place in `events` a subscription starts at.
    fn start(&self, from: StartFrom) -> usize {
        let end = self.events.len();
        match from {
            StartFrom::Beginning => 0,
            StartFrom::After(sequence) => usize::try_from(sequence.get()).unwrap_or(usize::MAX),
            StartFrom::Time(time) => self.events.iter().position(|event| event.at >= time).unwrap_or(end),
            StartFrom::Now => end,
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
            return Ok(Appended::new(append.head));
        }
        if append.events.len() > MAX_EVENTS_PER_APPEND {
            let what = format!("{} events at once; at most {MAX_EVENTS_PER_APPEND} are allowed", append.events.len());
            return Err(AppendError::TooLarge { aggregate: append.aggregate, what });
        }
        let (appended, stored) = {
            let mut journal = self.journal();
            let appended = journal.append(append, self.shared.clock.now())?;
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
            events: events.map(|place| journal.event(*place).clone()).collect(),
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
                    let event = store.journal().events.get(next).map(|stored| stored.event.clone());
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::{CommandId, JSON, Metadata, Name, NewEvent};

    /// Counts seconds, as many as it is told.
    #[derive(Debug, Default)]
    struct Told(AtomicI64);

    impl Clock for Told {
        fn now(&self) -> DateTime<Utc> {
            seconds(self.0.load(Ordering::Relaxed))
        }
    }

    fn seconds(count: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(count, 0).unwrap()
    }

    async fn append(store: &MemoryStore, id: &str) {
        let aggregate = AggregateId::new("receipt", id).unwrap();
        let command = CommandId::generate();
        let event = NewEvent {
            id: EventId::derive(&command, &aggregate, 0),
            name: Name::new("opened").unwrap(),
            schema_version: 1,
            time: seconds(0),
            content_type: JSON.into(),
            data: "null".into(),
            metadata: Arc::new(Metadata::new(command)),
        };
        store.append(Append { aggregate, head: Head::EMPTY, events: vec![event] }).await.unwrap();
    }

    #[tokio::test]
    async fn the_time_of_storing_comes_from_the_clock_it_was_given() {
        let clock = Arc::new(Told::default());
        let store = MemoryStore::with_clock(clock.clone());
        for second in [10, 20, 30] {
            clock.0.store(second, Ordering::Relaxed);
            append(&store, &second.to_string()).await;
        }
        for (from, first) in [(0, "10"), (10, "10"), (11, "20"), (30, "30")] {
            let mut events = store.subscribe(EventFilter::all(), StartFrom::Time(seconds(from))).await.unwrap();
            assert_eq!(events.next().await.unwrap().unwrap().aggregate.id(), first, "from {from}");
        }
    }

    #[tokio::test]
    async fn clones_share_their_events_and_new_stores_do_not() {
        let store = MemoryStore::new();
        append(&store.clone(), "1").await;
        assert_eq!((store.len(), store.is_empty()), (1, false));
        assert!(MemoryStore::new().is_empty());
    }

    #[tokio::test]
    async fn an_append_without_events_stores_nothing() {
        let store = MemoryStore::new();
        let aggregate = AggregateId::new("receipt", "1").unwrap();
        let appended = store.append(Append { aggregate, head: Head::EMPTY, events: Vec::new() }).await.unwrap();
        assert_eq!((appended.head, appended.duplicate, store.len()), (Head::EMPTY, false, 0));
    }
}
