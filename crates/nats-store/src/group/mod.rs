//! Group commit: appends of several aggregates in one atomic batch.
//!
//! On a single server with file storage a batch costs 2 to 5 ms whatever is in it, and batches of one stream are committed
//! one after the other. So appends of several events that come while a batch is under way wait for it and then go out
//! together; each has its own expectation, and each gets its own answer. One-event appends go out at once as plain
//! publishes, unless the server makes each of them so expensive that waiting for company is cheaper (see [`model`]).
//!
//! An aggregate is in a batch once: the server would take two appends with the same expectation. One whose append is under
//! way has no other, since commands on one aggregate wait for each other in the dispatcher's lanes.

mod model;
mod turn;

use std::sync::{Arc, Weak};

use headwater_core::store::{Append, Head, StoreError};
use headwater_core::{AggregateId, Metadata};
use headwater_nats::telemetry::context::is_sampled;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::model::Model;
use crate::append::{EventMessage, Published};
use crate::config::CommitMode;
use crate::journal::Journal;
use crate::stats::GroupStats;

/// How many appends may wait for a batch; further ones wait for a place.
const QUEUE: usize = 4096;

/// The last server whose batches over several aggregates are unsafe: it may refuse a batch whose expectations all hold,
/// when their filters have the same length (nats-server issue 8376).
const LAST_UNSAFE_SERVER: (u64, u64, u64) = (2, 14, 3);

/// The way to the committing task, and what it goes by.
pub(crate) struct Group {
    queue: mpsc::Sender<Member>,
    mode: CommitMode,
    /// Whether the stream is replicated. Its batches cost no more than publishes then, and sharing one brings nothing.
    replicated: bool,
    model: Model,
}

/// One append on its way into a batch.
pub(crate) struct Member {
    pub(crate) aggregate: AggregateId,
    pub(crate) head: Head,
    pub(crate) messages: Vec<EventMessage>,
    /// What travels beside its command, when that is part of a recorded trace.
    pub(crate) traced: Option<Arc<Metadata>>,
    pub(crate) answer: oneshot::Sender<Published>,
}

/// Appends that wait for a batch, until the committing task takes them.
pub(crate) struct Waiting(mpsc::Receiver<Member>);

impl Group {
    pub(crate) fn new(mode: CommitMode, replicated: bool) -> (Self, Waiting) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self { queue, mode, replicated, model: Model::default() }, Waiting(waiting))
    }

    pub(crate) fn stats(&self) -> GroupStats {
        self.model.stats(self.mode)
    }
}

impl Journal {
    /// Whether `waiting` appends to one aggregate are cheaper as one.
    pub(crate) fn prefers_one_append(&self, waiting: usize) -> bool {
        match self.group.mode {
            CommitMode::Pipelined => false,
            CommitMode::Grouped => waiting > 1,
            CommitMode::Auto => self.group.model.prefers_one_append(waiting),
        }
    }

    /// Sends the messages of one append once, alone or in company, and waits for what the server says.
    pub(crate) async fn send(
        &self,
        append: &Append,
        messages: Vec<EventMessage>,
        limit: std::time::Duration,
    ) -> Published {
        let single = messages.len() == 1;
        let counted = single.then(|| self.group.model.single_begins());
        let wants_company = match self.group.mode {
            CommitMode::Pipelined => false,
            CommitMode::Grouped => true,
            CommitMode::Auto => !single || self.group.model.groups_singles(),
        };
        if wants_company && self.takes_company() {
            return self.join(append, messages).await;
        }
        let published = self.publish(messages, limit).await;
        if let (Some(counted), Published::Stored { .. }) = (counted, &published) {
            counted.acknowledged();
        }
        published
    }

    /// Whether a batch may hold several aggregates, and gains by it.
    fn takes_company(&self) -> bool {
        let safe = self.api.connection.server_info().is_some_and(|server| {
            (server.version.major, server.version.minor, server.version.patch) > LAST_UNSAFE_SERVER
        });
        safe && !self.group.replicated
    }

    async fn join(&self, append: &Append, messages: Vec<EventMessage>) -> Published {
        let (answer, answered) = oneshot::channel();
        let (aggregate, head, traced) = (append.aggregate.clone(), append.head.clone(), traced(append));
        let member = Member { aggregate, head, messages, traced, answer };
        if self.group.queue.send(member).await.is_err() {
            return Published::NotSent(StoreError::new("the journal is closed"));
        }
        // The task answers every member; it only goes away with the store, and an append may be under way then.
        answered.await.unwrap_or_else(|_| Published::Lost(StoreError::new("the journal was closed")))
    }
}

/// What travels beside the append's command, when that is part of a recorded trace.
fn traced(append: &Append) -> Option<Arc<Metadata>> {
    let metadata = &append.events.first()?.metadata;
    metadata.traceparent.as_deref().is_some_and(is_sampled).then(|| Arc::clone(metadata))
}

impl Waiting {
    /// The committing task: one batch after the other, for as long as the journal lives.
    pub(crate) async fn commit(mut self, journal: Weak<Journal>) {
        let mut held = Vec::new();
        loop {
            let first = match held.is_empty() {
                false => held.remove(0),
                true => match self.0.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            // Whoever is ready at this moment gets the chance to come along.
            tokio::task::yield_now().await;
            let turn = turn::Turn::gather(first, &mut held, &mut self.0);
            let Some(journal) = journal.upgrade() else { return };
            let started = Instant::now();
            let messages = turn.messages();
            if turn.commit(&journal).await {
                journal.group.model.batch_took(started.elapsed(), messages);
            }
        }
    }
}
