//! One run of one case: a store, aggregates nobody else has, and the checks that the cases share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use futures_util::StreamExt;
use headwater_core::store::{
    Append, AppendError, Appended, EventStore, EventStream, Freshness, Head, History, MAX_PREVIOUS, ReadError,
    ReadOptions,
};
use headwater_core::{AggregateId, CommandId, EventId, JSON, Metadata, Name, NewEvent, RecordedEvent, Revision};
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

/// How long one event of a subscription may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// One run of one case. Clones are the same run, for tasks of their own.
#[derive(Clone)]
pub(super) struct Trial {
    store: Arc<dyn EventStore>,
    kind: Name,
}

impl Trial {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, kind: unique_name("k") }
    }

    pub(super) fn store(&self) -> &dyn EventStore {
        &*self.store
    }

    /// The aggregate type that only this run uses.
    pub(super) fn kind(&self) -> Name {
        self.kind.clone()
    }

    pub(super) fn aggregate(&self, id: &str) -> AggregateId {
        AggregateId::of(self.kind(), id).expect("the suite uses ids that follow the rule")
    }

    pub(super) async fn try_append(
        &self,
        aggregate: &AggregateId,
        head: &Head,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        let append = Append { aggregate: aggregate.clone(), head: head.clone(), events: events.to_vec() };
        self.store().append(append).await
    }

    /// Appends and expects the events to be stored now, not earlier.
    pub(super) async fn append(&self, aggregate: &AggregateId, head: &Head, events: &[NewEvent]) -> Head {
        let appended = ok(self.try_append(aggregate, head, events).await);
        assert!(!appended.duplicate, "the first append to {aggregate} was taken for a repeated one");
        assert_eq!(
            appended.head.revision(),
            head.revision().plus(events.len()),
            "{} events appended to {aggregate} at revision {}",
            events.len(),
            head.revision()
        );
        appended.head
    }

    /// Appends and expects the answer to be that the events are stored already, with `head` as it was then.
    pub(super) async fn append_again(
        &self,
        aggregate: &AggregateId,
        head: &Head,
        events: &[NewEvent],
        original: &Head,
    ) {
        let appended = ok(self.try_append(aggregate, head, events).await);
        assert!(appended.duplicate, "a repeated append to {aggregate} was taken for a new one");
        assert_eq!(appended.head, *original, "the head after the first append to {aggregate}");
    }

    /// Appends behind a head that does not hold, and expects to hear so.
    pub(super) async fn expect_conflict(&self, aggregate: &AggregateId, head: &Head, events: &[NewEvent]) {
        let actual_head = self.head(aggregate).await;
        match self.try_append(aggregate, head, events).await {
            Err(AppendError::Conflict { aggregate: of, expected, actual }) => {
                assert_eq!(of, *aggregate, "the aggregate that the conflict names");
                assert_eq!(expected, head.revision(), "the expected revision that the conflict names");
                if let Some(actual) = actual {
                    assert_eq!(actual, actual_head.revision(), "the actual revision that the conflict names");
                }
            }
            other => panic!("an append to {aggregate} behind its head is a conflict, not {other:?}"),
        }
    }

    pub(super) async fn read(&self, aggregate: &AggregateId, options: ReadOptions) -> History {
        ok(self.store().read(aggregate, options.freshness(Freshness::Leader)).await)
    }

    pub(super) async fn head(&self, aggregate: &AggregateId) -> Head {
        ok(self.store().head(aggregate, Freshness::Leader).await)
    }

    /// The whole history, after checking that it is one.
    pub(super) async fn history(&self, aggregate: &AggregateId) -> History {
        let history = self.read(aggregate, ReadOptions::all()).await;
        assert_whole(aggregate, &history);
        history
    }

    /// Reads everything and expects exactly `events`; returns the head.
    pub(super) async fn expect_history(&self, aggregate: &AggregateId, events: &[NewEvent]) -> Head {
        let history = self.history(aggregate).await;
        assert_stored(&history.events, events);
        assert_eq!(self.head(aggregate).await, history.head, "the head of {aggregate}, asked for by itself");
        history.head
    }
}

/// Checks that a history read from its beginning has no gaps, grows, and ends at its head.
pub(super) fn assert_whole(aggregate: &AggregateId, history: &History) {
    for (place, event) in history.events.iter().enumerate() {
        assert_eq!(event.aggregate, *aggregate, "whose event it is");
        assert_eq!(event.revision, Revision::ZERO.plus(place + 1), "the revisions of {aggregate} have no gaps");
    }
    let sequences: Vec<_> = history.events.iter().map(|event| event.sequence).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "the sequences of {aggregate} grow: {sequences:?}");
    let recent: Vec<_> = sequences.iter().rev().take(MAX_PREVIOUS).copied().collect();
    let head = Head::new(Revision::ZERO.plus(history.events.len()), recent);
    assert_eq!(history.head, head, "the head of {aggregate} names its last {MAX_PREVIOUS} events, newest first");
}

/// Checks that what was read is what was written.
pub(super) fn assert_stored(read: &[RecordedEvent], written: &[NewEvent]) {
    let read_ids: Vec<_> = read.iter().map(|event| event.event.id).collect();
    let written_ids: Vec<_> = written.iter().map(|event| event.id).collect();
    assert_eq!(read_ids, written_ids, "the events that are stored, and their order");
    for (read, written) in read.iter().zip(written) {
        let (id, read) = (&read.aggregate, &read.event);
        assert_eq!(read.name, written.name, "name, {id}");
        assert_eq!(read.schema_version, written.schema_version, "schema version, {id}");
        assert_eq!(read.time, written.time, "time, {id}");
        assert_eq!(read.content_type, written.content_type, "content type, {id}");
        assert_eq!(read.data, written.data, "data as {}, {id}", written.content_type);
        assert_eq!(read.metadata, written.metadata, "metadata, {id}");
    }
}

/// The events of a new command.
pub(super) fn events(aggregate: &AggregateId, count: usize) -> Vec<NewEvent> {
    events_of(&CommandId::generate(), aggregate, count)
}

/// The events of this command: called twice, it gives the same ones.
pub(super) fn events_of(command: &CommandId, aggregate: &AggregateId, count: usize) -> Vec<NewEvent> {
    const NAMES: [&str; 3] = ["noted", "item-added", "counted"];
    let metadata = Arc::new(Metadata::new(command.clone()));
    let event = |place: usize| NewEvent {
        id: EventId::derive(command, aggregate, place),
        name: name(NAMES[place % NAMES.len()]),
        schema_version: 1,
        time: now(),
        content_type: JSON.into(),
        data: Bytes::from(format!(r#"{{"place":{place},"text":"a few words"}}"#)),
        metadata: Arc::clone(&metadata),
    };
    (0..count).map(event).collect()
}

/// One event with this name.
pub(super) fn event_called(event_name: &Name, aggregate: &AggregateId) -> NewEvent {
    NewEvent { name: event_name.clone(), ..one(aggregate) }
}

/// One event of a new command.
pub(super) fn one(aggregate: &AggregateId) -> NewEvent {
    events(aggregate, 1).remove(0)
}

pub(super) fn name(value: &'static str) -> Name {
    Name::new(value).expect("the suite uses names that follow the rule")
}

/// A name that nobody else uses.
pub(super) fn unique_name(prefix: &str) -> Name {
    Name::new(format!("{prefix}{}", Uuid::new_v4().simple())).expect("a letter and 32 hex digits are a name")
}

/// The time, as exactly as a store keeps it.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// The value, or a panic with the whole story of the error.
pub(super) fn ok<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        let mut story = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            story = format!("{story}: {error}");
            cause = error.source();
        }
        panic!("{story}")
    })
}

/// Random numbers, and the seed to name when a check fails.
pub(super) fn random() -> (StdRng, u64) {
    let seed = rand::random();
    (StdRng::seed_from_u64(seed), seed)
}

/// The next event of a subscription.
pub(super) async fn next(stream: &mut EventStream) -> RecordedEvent {
    ok(in_time("an event of the subscription", stream.next())
        .await
        .unwrap_or_else(|| Err(ReadError::Unavailable(headwater_core::store::StoreError::new("the stream ended")))))
}

/// The next `count` events of a subscription.
pub(super) async fn take(stream: &mut EventStream, count: usize) -> Vec<RecordedEvent> {
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        events.push(next(stream).await);
    }
    events
}

/// The output of `future`, which has to come soon.
pub(super) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// The outputs of tasks that run side by side, in the order they were given.
pub(super) async fn side_by_side<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut outputs = Vec::with_capacity(running.len());
    for task in running {
        outputs.push(ok(in_time("a task", task).await));
    }
    outputs
}
