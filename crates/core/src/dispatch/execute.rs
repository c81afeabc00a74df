//! A command's way: checked, in its lane, decided, appended, answered.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chrono::SubsecRound;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rand::Rng;

use super::append::{may_be_carried_out, refused, reply};
use super::cache::Slot;
use super::job::{Accepted, Job, Ready};
use super::joint;
use super::lane::{Granted, TakenAlong, Ticket, Turn};
use super::{Deadline, Dispatcher, Inner};
use crate::call::{CommandReply, CommandRequest};
use crate::description::{CommandType, Decided, ParsedCommand};
use crate::store::{Freshness, Head};
use crate::{AggregateType, CommandContext, Failure};

/// A command that has its place in the lane; awaiting it runs it. Dropping it before it was
/// polled to the append leaves nothing behind; dropping it later may leave its events stored.
#[must_use = "a command runs when it is awaited"]
pub struct PendingCommand {
    running: BoxFuture<'static, Result<CommandReply, Failure>>,
}

impl Future for PendingCommand {
    type Output = Result<CommandReply, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.running.poll_unpin(context)
    }
}

impl std::fmt::Debug for PendingCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingCommand").finish_non_exhaustive()
    }
}

/// What one attempt came to.
pub(super) enum Attempt {
    Done(CommandReply),
    /// Another writer was faster, or the state was behind: bring it up to date and decide again.
    Behind,
    /// The command's events are in the journal, by this attempt or an earlier one: bring the state up to date and answer
    /// from there.
    Stored,
}

impl Dispatcher {
    /// Takes a place for the command in its aggregate's lane and returns what runs it. Places are
    /// given in the order of these calls, so an edge that calls it as requests arrive keeps their
    /// order, even when it then awaits the commands on many tasks.
    ///
    /// The command fails with the protocol's codes: see [`Failure`].
    pub fn submit(&self, request: CommandRequest, deadline: Deadline) -> PendingCommand {
        let entered = self.inner.lanes.enter(&request.aggregate).map_err(|_| {
            Failure::unavailable("overloaded", format!("too many commands wait for {}", request.aggregate))
                .detail("limit", "aggregate")
        });
        PendingCommand { running: Arc::clone(&self.inner).run(request, entered, deadline).boxed() }
    }

    /// Runs a command. The same as awaiting [`submit`](Self::submit).
    ///
    /// # Errors
    /// The protocol's failures.
    pub async fn execute(&self, request: CommandRequest, deadline: Deadline) -> Result<CommandReply, Failure> {
        self.submit(request, deadline).await
    }
}

impl Inner {
    async fn run(
        self: Arc<Self>,
        request: CommandRequest,
        entered: Result<Ticket<Job>, Failure>,
        deadline: Deadline,
    ) -> Result<CommandReply, Failure> {
        let ticket = entered?;
        // Checked before the turn comes, so that a long check holds nobody up.
        let (job, answer) = self.prepare(request, deadline)?;
        let (turn, job) = match ticket {
            Ticket::First(turn) => (turn, job),
            Ticket::Waiting(mut waiting) => {
                let kept = if job.may_go_along { waiting.park(job) } else { Some(job) };
                match tokio::time::timeout_at(deadline, waiting.turn()).await {
                    Err(_) => return Err(too_late("waiting in line")),
                    // Whoever took the job along sees it through, and is bound by the store's limits.
                    Ok(Err(TakenAlong)) => return answer.await.unwrap_or_else(|_| Err(dropped())),
                    Ok(Ok(Granted { turn, job })) => (turn, job.or(kept).ok_or_else(dropped)?),
                }
            }
        };
        let slot = match self.cached(&job.accepted.aggregate) {
            Some(slot) => slot,
            None => {
                let loading = Box::pin(self.load_anew(&job.described, &job.accepted.aggregate));
                within(deadline, "loading the aggregate", loading).await?
            }
        };
        let aggregate = job.accepted.aggregate.clone();
        let done = match self.company(&turn, &job) {
            None => self.carry_out(job, &slot).await,
            Some(jobs) => {
                Box::pin(self.carry_out_together(job, jobs, &slot)).await;
                answer.await.unwrap_or_else(|_| Err(dropped()))
            }
        };
        if done.is_ok() {
            let slot = self.cache.put(&aggregate, slot);
            self.snapshot_when_due(&aggregate, &slot);
        }
        drop(turn);
        done
    }

    /// Who comes along with the command that has the turn, when the store says that it pays.
    fn company(&self, turn: &Turn<Job>, job: &Ready) -> Option<Vec<Job>> {
        if !job.may_go_along {
            return None;
        }
        let waiting = turn.parked();
        (waiting > 0 && self.store.prefers_one_append(waiting + 1)).then(|| turn.take_along(joint::MOST_COMPANY))
    }

    /// Carries one command out: decides, appends, and again after a conflict.
    pub(super) async fn carry_out(&self, mut job: Job, slot: &Slot) -> Result<CommandReply, Failure> {
        let done = self.see_through(&mut job, slot).await;
        done.map_err(|failure| if job.stored { may_be_carried_out(failure) } else { failure })
    }

    async fn see_through(&self, job: &mut Ready, slot: &Slot) -> Result<CommandReply, Failure> {
        let deadline = job.accepted.deadline;
        for attempt in 1..=self.settings.attempts {
            let payload = match job.parsed.take() {
                Some(payload) => payload,
                None => job.command()?.parse(&job.accepted.payload)?,
            };
            match self.attempt(&job.described, job.command()?, payload, &job.accepted, slot).await? {
                Attempt::Done(reply) => return Ok(reply),
                behind @ (Attempt::Behind | Attempt::Stored) => {
                    job.stored |= matches!(behind, Attempt::Stored);
                    self.wait_to_retry(attempt).await;
                    let fresh = self.catch_up(&job.described, &job.accepted.aggregate, slot, Freshness::Leader);
                    within(deadline, "reading the newest events", Box::pin(fresh)).await?;
                }
            }
        }
        let aggregate = &job.accepted.aggregate;
        Err(Failure::unavailable("contended", format!("other writers kept changing {aggregate}")))
    }

    async fn attempt(
        &self,
        described: &AggregateType,
        command: &CommandType,
        payload: ParsedCommand,
        accepted: &Accepted,
        slot: &Slot,
    ) -> Result<Attempt, Failure> {
        if self.may_be_a_repeat(accepted, slot)
            && let Some(reply) = Box::pin(self.replay(described, command, accepted, slot)).await?
        {
            return Ok(Attempt::Done(reply));
        }
        let head = slot.lock().head.clone();
        if let Some(expected) = accepted.expected.filter(|expected| *expected != head.revision()) {
            let failure = Failure::conflict(expected, head.revision());
            return Box::pin(self.unless_behind(accepted, &head, failure)).await;
        }
        let context = CommandContext {
            aggregate: accepted.aggregate.clone(),
            revision: head.revision(),
            // As exactly as the protocol writes times: asked for as of its own time, an event is there.
            now: self.clock.now().trunc_subsecs(6),
            metadata: Arc::clone(&accepted.metadata),
        };
        let now = context.now;
        let since = self.watch();
        let decided = self.guarded(&accepted.aggregate, || {
            let entity = slot.lock();
            command.decide(&*entity.state, payload, context)
        });
        let decided = match decided {
            Err(panicked) => Err(panicked),
            Ok(Decided::Now(decided)) => Ok(decided),
            Ok(Decided::Later(deciding)) => {
                let deciding = self.guarded_async(&accepted.aggregate, deciding);
                Box::pin(self.handled(command.name().as_str(), accepted.deadline, deciding)).await
            }
        };
        self.tell_decided(since, accepted, command, &decided);
        match decided? {
            Err(refusal) => Box::pin(self.unless_behind(accepted, &head, refused(&accepted.aggregate, refusal))).await,
            Ok(decision) if decision.events.is_empty() => Box::pin(self.nothing_happened(accepted, slot, &head)).await,
            Ok(decision) => match self.settings.bounds.check(&decision.events) {
                Err(failure) => Box::pin(self.unless_behind(accepted, &head, failure)).await,
                Ok(()) => self.append(described, accepted, slot, head, decision, now).await,
            },
        }
    }

    /// Gives the failure to the caller if the state it was decided on is the newest one, and
    /// otherwise asks for another attempt: a stale state must not say no.
    async fn unless_behind(&self, accepted: &Accepted, head: &Head, failure: Failure) -> Result<Attempt, Failure> {
        if self.is_behind(accepted, head).await? { Ok(Attempt::Behind) } else { Err(failure) }
    }

    async fn nothing_happened(&self, accepted: &Accepted, slot: &Slot, head: &Head) -> Result<Attempt, Failure> {
        if self.is_behind(accepted, head).await? {
            return Ok(Attempt::Behind);
        }
        let entity = slot.lock();
        if entity.head != *head {
            return Ok(Attempt::Behind);
        }
        reply(accepted, &entity, Vec::new()).map(Attempt::Done)
    }

    async fn is_behind(&self, accepted: &Accepted, head: &Head) -> Result<bool, Failure> {
        let newest = self.store.head(&accepted.aggregate, Freshness::Leader);
        let newest = within(accepted.deadline, "looking up the newest event", newest.map(Ok)).await?;
        let newest = newest.map_err(|error| super::load::read_failure(&error))?;
        Ok(newest.revision() > head.revision())
    }

    /// Waits a little before the next attempt, longer each time and never the same for two.
    async fn wait_to_retry(&self, attempt: u32) {
        let most = self.settings.retry_wait.saturating_mul(1 << attempt.min(6));
        let wait = most.mul_f64(rand::rng().random_range(0.1..1.0));
        tokio::time::sleep(wait).await;
    }
}

/// Cannot happen while every job that is taken along is answered.
fn dropped() -> Failure {
    Failure::outcome_unknown("the command was lost on its way; send the same commandId again to settle it")
}

pub(super) fn too_late(doing: &str) -> Failure {
    Failure::deadline_exceeded(format!("the deadline passed while {doing}"))
}

/// Waits for `work` until the deadline.
pub(super) async fn within<T>(
    deadline: Deadline,
    doing: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout_at(deadline, work).await.map_err(|_| too_late(doing))?
}
