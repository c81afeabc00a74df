//! The event store port: bytes and names, no aggregate types.
//!
//! Two adapters come with the toolkit, [`MemoryStore`] here and one on JetStream in its own
//! crate; both pass the same conformance suite, and so should yours.

mod error;
mod filter;
mod head;
mod memory;
mod snapshot;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

pub use error::{AppendError, ReadError, StoreError};
pub use filter::{EventFilter, StartFrom};
pub use head::{Head, MAX_PREVIOUS};
pub use memory::MemoryStore;
pub use snapshot::{MemorySnapshots, SnapshotStore};

use crate::{AggregateId, Metadata, NewEvent, RecordedEvent, Revision};

/// The most events one append may have; JetStream takes no larger atomic batch (ADR-50).
pub const MAX_EVENTS_PER_APPEND: usize = 1000;

/// Where events are kept. Called by the dispatcher from many tasks at once.
///
/// What every store promises, and the conformance suite shows:
/// - an append stores all of its events or none, with revisions that follow on the head's;
/// - an append whose head is not the aggregate's is a [`Conflict`](AppendError::Conflict), for
///   the first event of an aggregate too;
/// - an append that repeats a stored one is recognised, whatever its head, and answered with
///   where the history ended the first time. One event id in common is enough: a command that
///   was decided anew may bring fewer or more events than the first time;
/// - an append that may or may not have been stored is [`OutcomeUnknown`](AppendError::OutcomeUnknown),
///   never a failure;
/// - a read returns events in order without gaps, or an error that names aggregate and revision.
///
/// A dropped `append` future may have stored its events, and never a part of them.
#[async_trait]
pub trait EventStore: Send + Sync + std::fmt::Debug + 'static {
    /// A short word for this kind of store, such as `memory`; shown in discovery.
    fn name(&self) -> &'static str;

    /// Appends events to one aggregate, all or none.
    ///
    /// # Errors
    /// See [`AppendError`].
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Whether `waiting` appends to one aggregate are cheaper as one append of all their events
    /// than one after the other. A hint from what the store has measured; no by default.
    fn prefers_one_append(&self, waiting: usize) -> bool {
        let _ = waiting;
        false
    }

    /// What the store has done and how it goes about it, for statistics: a JSON object, or null.
    fn stats(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Reads events of one aggregate, oldest first, and where its history ends. An aggregate
    /// without events is an empty history, not an error.
    ///
    /// # Errors
    /// See [`ReadError`].
    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError>;

    /// Where the history of one aggregate ends, without its events.
    ///
    /// # Errors
    /// See [`ReadError`].
    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError>;

    /// Events of many aggregates in journal order, from a place in the journal and then as they
    /// are stored. The stream ends after its first error; dropping it stops the reading.
    ///
    /// # Errors
    /// When the reading cannot be started.
    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError>;

    /// Whether events can be stored and read now; for health. Returns within a few seconds.
    ///
    /// # Errors
    /// What is wrong.
    async fn check(&self) -> Result<(), StoreError>;
}

/// Events as they come from [`EventStore::subscribe`].
pub type EventStream = BoxStream<'static, Result<RecordedEvent, ReadError>>;

/// Events for one aggregate.
#[derive(Debug, Clone)]
pub struct Append {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// Where its history must end for the append to hold; [`Head::EMPTY`] for a new aggregate.
    ///
    /// A repeated append is known by its events' ids. Only with a head that is after those events and yet behind the end
    /// of the history may a store answer with a conflict, instead of searching all of the history: the caller reads what
    /// is new and decides anew.
    pub head: Head,
    /// The events of one command, at least one and at most [`MAX_EVENTS_PER_APPEND`]. They get
    /// the revisions after the head's.
    pub events: Vec<NewEvent>,
}

/// What became of an append.
#[derive(Debug, Clone)]
pub struct Appended {
    /// Where the aggregate's history ended right after these events; for a duplicate, after the
    /// events that were stored the first time.
    pub head: Head,
    /// Whether the events had been stored before, by an earlier attempt at the same append.
    pub duplicate: bool,
    /// Which other appends were stored with this one, all or none of them. None when it was on its own.
    pub together: Option<Arc<Together>>,
}

impl Appended {
    /// Events that were stored on their own.
    #[must_use]
    pub fn new(head: Head) -> Self {
        Self { head, duplicate: false, together: None }
    }

    /// Events that had been stored before.
    #[must_use]
    pub fn before(head: Head) -> Self {
        Self { duplicate: true, ..Self::new(head) }
    }
}

/// Appends that a store put into one batch; for those who look on.
#[derive(Debug, Clone)]
pub struct Together {
    /// How many.
    pub appends: usize,
    /// The metadata of those whose command is part of a recorded trace.
    pub traced: Vec<Arc<Metadata>>,
}

/// Which events to read.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ReadOptions {
    /// Only events after this revision.
    pub after: Revision,
    /// At most this many of them, the oldest; all by default.
    pub limit: Option<usize>,
    /// How fresh the answer must be.
    pub freshness: Freshness,
    /// Where the history ends, when the caller has just looked that up: a store need not look
    /// again. Events beyond it may be missing from the answer.
    pub known_head: Option<Head>,
}

impl ReadOptions {
    /// The whole history.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only events after `revision`.
    pub fn after(revision: Revision) -> Self {
        Self { after: revision, ..Self::default() }
    }

    /// At most `limit` events, the oldest.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Up to a head that was just looked up.
    pub fn known_head(self, head: Head) -> Self {
        Self { known_head: Some(head), ..self }
    }

    /// With this freshness.
    pub fn freshness(self, freshness: Freshness) -> Self {
        Self { freshness, ..self }
    }
}

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Freshness {
    /// Whatever is fastest; on a replicated store it may miss the newest events.
    #[default]
    Fast,
    /// From the replica that takes the writes.
    Leader,
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct History {
    /// The events, oldest first, revisions without gaps.
    pub events: Vec<RecordedEvent>,
    /// Where the whole history ends, also when a limit cut the events.
    pub head: Head,
}
