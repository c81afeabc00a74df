//! The messages that a processor has on its table, and the workers that sit at it: each takes the next one as soon as it is done
//! with its last, so that nobody has to be asked for each message.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::finished::Memory;
use super::hand::Hand;
use super::work::{Bench, Ended, Job};

/// What the processor's own task and its workers share.
pub(super) struct Table {
    bench: Arc<Bench>,
    laid: Mutex<Laid>,
    /// There is something for the processor's task to see.
    pub(super) changed: Notify,
}

/// What is on the table.
#[derive(Debug, Default)]
pub(super) struct Laid {
    pub(super) hand: Hand,
    pub(super) memory: Memory,
    /// How many workers wait with their message, for whatever it is.
    waiting: usize,
    /// Whether the processor's task waits for room.
    pub(super) is_full: bool,
}

/// A message that counts as running.
pub(super) struct Begun {
    sequence: u64,
    job: Job,
}

impl Table {
    pub(super) fn new(bench: Arc<Bench>) -> Arc<Self> {
        Arc::new(Self { bench, laid: Mutex::default(), changed: Notify::new() })
    }

    pub(super) fn laid(&self) -> MutexGuard<'_, Laid> {
        self.laid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message for one more worker, while fewer than `enough` workers have something to do.
    pub(super) fn begin(&self, enough: usize) -> Option<Begun> {
        let mut laid = self.laid();
        if laid.at_work() < enough { self.next(&mut laid) } else { None }
    }

    /// Whether there is a message for one more worker.
    pub(super) fn has_work(&self) -> bool {
        self.wants_worker(&self.laid())
    }

    /// Works on a message, and on one after the other as long as there is one to begin.
    pub(super) async fn work(self: Arc<Self>, first: Begun) {
        let mut next = Some(first);
        while let Some(Begun { sequence, job }) = next {
            let mut working = pin!(Arc::clone(&self.bench).work(job));
            next = match poll!(working.as_mut()) {
                Poll::Ready(ended) => self.put_away(sequence, ended, false),
                Poll::Pending => {
                    self.waits();
                    let ended = working.await;
                    self.put_away(sequence, ended, true)
                }
            };
            // Handlers that never wait are not to keep others from their turn.
            tokio::task::consume_budget().await;
        }
    }

    /// A worker waits: another one may go on with what can be begun.
    fn waits(&self) {
        let mut laid = self.laid();
        laid.waiting += 1;
        let is_help_wanted = self.wants_worker(&laid);
        drop(laid);
        if is_help_wanted {
            self.changed.notify_one();
        }
    }

    /// Does what follows from the end of a message's work; the next one, if there is one to begin.
    fn put_away(&self, sequence: u64, ended: Ended, has_waited: bool) -> Option<Begun> {
        let mut laid = self.laid();
        if has_waited {
            laid.waiting -= 1;
        }
        let is_paused = laid.put_away(sequence, ended);
        let is_told = is_paused || laid.is_full;
        let next = self.next(&mut laid);
        self.count(&laid);
        drop(laid);
        if is_told {
            self.changed.notify_one();
        }
        next
    }

    fn next(&self, laid: &mut Laid) -> Option<Begun> {
        if laid.hand.running() >= self.bench.settings.concurrency {
            return None;
        }
        let (sequence, held) = laid.hand.next()?;
        let job = Job { slot: Arc::clone(&held.slot), key: held.key.clone(), past: held.past.clone() };
        Some(Begun { sequence, job })
    }

    fn wants_worker(&self, laid: &Laid) -> bool {
        laid.hand.running() < self.bench.settings.concurrency && laid.hand.has_ready()
    }

    /// Shows how many messages are in hand.
    pub(super) fn count(&self, laid: &Laid) {
        self.bench.counters.in_hand.store(laid.hand.len() as u64, Ordering::Relaxed);
    }
}

impl Laid {
    /// How many workers have something to do and do not wait.
    fn at_work(&self) -> usize {
        self.hand.running().saturating_sub(self.waiting)
    }

    /// What follows from the end of a message's work; whether it is to go on after a pause.
    fn put_away(&mut self, sequence: u64, ended: Ended) -> bool {
        match ended {
            Ended::Finished => {
                self.hand.finished(sequence);
                self.memory.finish(sequence);
                false
            }
            Ended::GivenBack(past) => {
                self.hand.finished(sequence);
                self.memory.give_back(sequence, past);
                false
            }
            Ended::Again(pause, past) => {
                let now = Instant::now();
                // A pause beyond what a clock can count is as good as a day.
                let until = now.checked_add(pause).unwrap_or(now + Duration::from_secs(24 * 3600));
                self.hand.pause(sequence, until, past);
                true
            }
        }
    }
}
