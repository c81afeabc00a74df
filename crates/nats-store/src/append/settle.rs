//! What became of an append: from its acknowledgement, or by finding out.
//!
//! An answer is given only when it is certain. An append is *stored* when the server says so or its events are found in
//! the history. It is *refused* when the history has moved on without it: its expectation can then never hold again, so
//! that no late copy of it can be stored either. That an event is not found proves nothing, because the message
//! may still be on its way; then the same message is sent again, which the server takes at most once.

use std::time::Duration;

use headwater_core::store::{
    Append, AppendError, Appended, Freshness, Head, MAX_EVENTS_PER_APPEND, ReadError, StoreError,
};
use headwater_core::{Revision, Sequence};
use headwater_nats::event::StoredEvent;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::message::EventMessage;
use super::publish::{Published, Refusal};
use super::{GRACE, conflict, stored};
use crate::backoff::Backoff;
use crate::history::head_at;
use crate::journal::{Journal, Which};

/// How far back the events of an earlier attempt are searched for.
const SEARCHED: u64 = 2 * MAX_EVENTS_PER_APPEND as u64;

/// How often a batch that is said to hold a known event is sent while no such event is found. On a replicated stream
/// the event may still be on its way into the history.
const MOST_MISSES: u32 = 5;

/// How often an append that could not even be sent is tried.
const MOST_UNSENT: u32 = 3;

/// One append on its way to an answer.
pub(super) struct Settlement<'a> {
    journal: &'a Journal,
    append: &'a Append,
    messages: Vec<EventMessage>,
    deadline: Instant,
    /// Whether an attempt was sent whose fate is not known.
    unsure: bool,
    /// Whether others were seen to write to the same history.
    contended: bool,
    misses: u32,
    unsent: u32,
    backoff: Backoff,
}

/// What follows from an attempt.
enum Step {
    Done(Result<Appended, AppendError>),
    Again(StoreError),
}

/// What the history says about an append.
enum Found {
    /// Its events are there, and the history ended so right after them.
    Ours(Head),
    /// They are not, and others stand where they should.
    Others(Revision),
    /// They are not, and nothing else is.
    Nothing,
}

impl<'a> Settlement<'a> {
    /// The settling of an append whose first attempt has had its time.
    pub(super) fn new(journal: &'a Journal, append: &'a Append, messages: Vec<EventMessage>) -> Self {
        Self {
            journal,
            append,
            messages,
            deadline: Instant::now() + journal.config.settle_timeout.get(),
            unsure: false,
            contended: false,
            misses: 0,
            unsent: 0,
            backoff: Backoff::new(Duration::from_millis(5), Duration::from_millis(500)),
        }
    }

    /// Goes on from what became of the first attempt, with further ones as long as there is doubt.
    pub(super) async fn run(mut self, first: Published) -> Result<Appended, AppendError> {
        let mut published = first;
        loop {
            let setback = match self.judge(published).await {
                Step::Done(outcome) => return outcome,
                Step::Again(setback) => setback,
            };
            debug!(aggregate = %self.append.aggregate, unsure = self.unsure, %setback, "an append is sent again");
            let pause = self.backoff.next_pause();
            if pause >= self.remaining() {
                return Err(self.give_up(setback));
            }
            sleep(pause).await;
            // Without an attempt under way nothing is lost by giving up soon.
            let patience = if self.unsure { self.remaining() } else { self.remaining().min(GRACE) };
            if let Err(down) = self.journal.api.connection.ready(patience).await {
                return Err(self.give_up(StoreError::new("the connection to NATS is down").caused_by(down)));
            }
            self.journal.counters.resends.increment();
            let limit = self.journal.config.ack_timeout.get().min(self.remaining());
            published = self.journal.send(self.append, self.messages.clone(), limit).await;
        }
    }

    async fn judge(&mut self, published: Published) -> Step {
        match published {
            Published::Stored { last, together } => Step::Done(Ok(stored(self.append, last, together))),
            Published::Duplicate { sequence } => self.duplicate(sequence).await,
            Published::Refused(Refusal::Moved) => self.moved().await,
            Published::Refused(Refusal::InProcess) => {
                self.contended = true;
                Step::Again(StoreError::new("another append to the same aggregate is under way"))
            }
            Published::Refused(Refusal::Known) => self.known().await,
            Published::Refused(Refusal::TooLarge(error)) if !self.unsure => {
                let (aggregate, what) = (self.append.aggregate.clone(), error.to_string());
                Step::Done(Err(AppendError::TooLarge { aggregate, what }))
            }
            Published::Refused(Refusal::TooLarge(error)) => {
                self.unable(StoreError::new("the append is too large").caused_by(error)).await
            }
            Published::Refused(Refusal::Unable(error)) => self.unable(error).await,
            Published::NotSent(error) if !self.unsure => {
                // The connection may have dropped just before, and be back in a moment.
                self.unsent += 1;
                if self.unsent < MOST_UNSENT { Step::Again(error) } else { Step::Done(Err(self.give_up(error))) }
            }
            Published::NotSent(error) | Published::NotNow(error) | Published::Refused(Refusal::Incomplete(error)) => {
                Step::Again(error)
            }
            Published::Lost(error) => self.lost(error).await,
        }
    }

    /// A message with the first event's id is stored. The server remembers ids for the stream as a whole, so it has to
    /// be seen that it is the same event.
    async fn duplicate(&mut self, sequence: u64) -> Step {
        match self.ours_at(sequence).await {
            Ok(Some(head)) => Step::Done(Ok(Appended::before(head))),
            Ok(None) => Step::Done(Err(self.foreign_id(&format!("the message at sequence {sequence} has it")))),
            Err(error) => {
                self.unsure = true;
                Step::Again(StoreError::new("a repeated append could not be looked up").caused_by(error))
            }
        }
    }

    /// The history does not end where the append expected it: because of others, or of an earlier attempt at it.
    async fn moved(&mut self) -> Step {
        self.contended = true;
        match self.look_up(self.append.head.revision()).await {
            Ok(Found::Ours(head)) => Step::Done(Ok(Appended::before(head))),
            Ok(Found::Others(actual)) => Step::Done(Err(conflict(self.append, Some(actual)))),
            Ok(Found::Nothing) => Step::Again(StoreError::new("the end of the history could not be made out")),
            // Refused it is, and the events it names are not known to be stored by anybody.
            Err(_) if !self.unsure => Step::Done(Err(conflict(self.append, None))),
            Err(error) => self.unsettled(error),
        }
    }

    /// Some event of the append is stored already; the answer does not say where.
    async fn known(&mut self) -> Step {
        self.misses += 1;
        match self.look_up(Revision::ZERO).await {
            Ok(Found::Ours(head)) => Step::Done(Ok(Appended::before(head))),
            Ok(_) if self.unsure || self.misses < MOST_MISSES => {
                Step::Again(StoreError::new("a repeated append is not to be found yet"))
            }
            Ok(_) => Step::Done(Err(self.foreign_id("no event of this aggregate has it"))),
            Err(error) => {
                self.unsure = true;
                self.unsettled(error)
            }
        }
    }

    /// The server cannot store it now; an earlier attempt may have been stored.
    async fn unable(&mut self, error: StoreError) -> Step {
        if !self.unsure {
            return Step::Done(Err(self.give_up(error)));
        }
        match self.look_up(self.append.head.revision()).await {
            Ok(Found::Ours(head)) => Step::Done(Ok(Appended::before(head))),
            Ok(Found::Others(actual)) => Step::Done(Err(conflict(self.append, Some(actual)))),
            Ok(Found::Nothing) | Err(_) => Step::Done(Err(self.give_up(error))),
        }
    }

    async fn lost(&mut self, error: StoreError) -> Step {
        self.unsure = true;
        self.journal.counters.lost_acks.increment();
        let connection = &self.journal.api.connection;
        if connection.ready(self.remaining()).await.is_err() {
            return Step::Again(error);
        }
        match self.look_up(self.append.head.revision()).await {
            Ok(Found::Ours(head)) => Step::Done(Ok(Appended::before(head))),
            Ok(Found::Others(actual)) => Step::Done(Err(conflict(self.append, Some(actual)))),
            Ok(Found::Nothing) | Err(ReadError::Unavailable(_)) => Step::Again(error),
            Err(broken) => self.unsettled(broken),
        }
    }

    /// What to do when the history cannot be read: try again, unless reading it again will not help.
    fn unsettled(&mut self, error: ReadError) -> Step {
        match error {
            ReadError::Unavailable(error) => Step::Again(error),
            broken => Step::Done(Err(self.give_up(StoreError::new("the history cannot be read").caused_by(broken)))),
        }
    }

    /// Looks for the append's events in the history after `after`.
    async fn look_up(&mut self, after: Revision) -> Result<Found, ReadError> {
        self.journal.counters.settlements.increment();
        let (aggregate, head) = (&self.append.aggregate, &self.append.head);
        let deadline = Instant::now() + self.journal.config.lookup_timeout.get().min(self.remaining());
        let Some(last) = self.journal.last_event(aggregate, Freshness::Leader, deadline).await? else {
            let expected_none = head.sequence() == Sequence::ZERO;
            return Ok(if expected_none { Found::Nothing } else { Found::Others(Revision::ZERO) });
        };
        let (newest, unmoved) = (last.recorded.revision, last.recorded.sequence == head.sequence());
        let after = Revision::new(after.get().max(newest.get().saturating_sub(SEARCHED)));
        if newest > after {
            let events = self.journal.events(aggregate, last, after.next(), newest).await?;
            if let Some(head) = self.end_of_ours(&events) {
                return Ok(Found::Ours(head));
            }
        }
        Ok(if unmoved { Found::Nothing } else { Found::Others(newest) })
    }

    /// Whether the event at this sequence is one of the append's; the end of the history right after all of them.
    async fn ours_at(&mut self, sequence: u64) -> Result<Option<Head>, ReadError> {
        self.journal.counters.settlements.increment();
        let aggregate = &self.append.aggregate;
        let Some(message) = self.journal.fetch(&Which::At(sequence), Freshness::Leader).await? else {
            return Ok(None);
        };
        let Ok(found) = self.journal.decode(aggregate, &message) else {
            return Ok(None);
        };
        let deadline = Instant::now() + self.journal.config.lookup_timeout.get();
        let Some(last) = self.journal.last_event(aggregate, Freshness::Leader, deadline).await? else {
            return Ok(None);
        };
        let first = found.recorded.revision;
        let end = last.recorded.revision.min(first.plus(MAX_EVENTS_PER_APPEND)).max(first);
        let events = self.journal.events(aggregate, last, first, end).await?;
        Ok(self.end_of_ours(&events))
    }

    /// Where the history ended after the last of the stored events that belong to the append's command. One id in
    /// common tells them: decided anew, the same command may have brought fewer events, or more.
    fn end_of_ours(&self, events: &[StoredEvent]) -> Option<Head> {
        let ours = |event: &StoredEvent| self.append.events.iter().any(|own| own.id == event.recorded.event.id);
        let command = |event: &StoredEvent| event.recorded.event.metadata.command_id.clone();
        let first = events.iter().position(ours)?;
        let stored = &events[first..];
        let last = stored.iter().take_while(|event| command(event) == command(&stored[0])).last()?;
        Some(head_at(last))
    }

    /// What to say when there is no time left, or no use in going on.
    fn give_up(&self, source: StoreError) -> AppendError {
        let aggregate = self.append.aggregate.clone();
        if self.unsure {
            warn!(%aggregate, error = %source, "the outcome of an append is unknown");
            return AppendError::OutcomeUnknown { aggregate, source };
        }
        if self.contended {
            return conflict(self.append, None);
        }
        AppendError::Unavailable { aggregate, source }
    }

    fn foreign_id(&self, where_it_is: &str) -> AppendError {
        let message = format!("an event id of the append is taken by another aggregate: {where_it_is}");
        AppendError::Unavailable { aggregate: self.append.aggregate.clone(), source: StoreError::new(message) }
    }

    /// The time that is left after the first attempt.
    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
