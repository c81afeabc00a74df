//! Commands on one aggregate that wait together: decided one after the other on the evolving state, and stored by one
//! append. Each gets its own answer, and none before the append is confirmed.
//!
//! Only what is simple goes together. A command that may be a repeat, or meets anything odd, is carried out alone right
//! after, in its order; and when the append is refused, so are all.

use std::sync::Arc;

use chrono::SubsecRound;
use tokio::time::Instant;

use super::Inner;
use super::append::{new_events, refused, summaries, was_carried_out};
use super::cache::Slot;
use super::execute::too_late;
use super::index::CommandKey;
use super::job::{Accepted, Job};
use crate::call::{CommandReply, EventSummary, ReturnMode};
use crate::description::{AnyState, Decided};
use crate::store::{Append, AppendError, Appended, Head, MAX_EVENTS_PER_APPEND};
use crate::{CommandContext, Failure, NewEvent, Revision, Sequence};

/// How many commands one turn takes along at most.
pub(super) const MOST_COMPANY: usize = 127;

/// What was decided for one command, to be told once the append is confirmed.
struct Told {
    job: Job,
    outcome: Outcome,
}

enum Outcome {
    /// Its events are part of the append; the state was so after them.
    Events { events: Vec<EventSummary>, revision: Revision, state: Option<bytes::Bytes> },
    /// It is refused, or the state cannot be shown.
    Failure(Failure),
}

/// Commands decided together, so far.
struct Joint {
    head: Head,
    state: Box<dyn AnyState>,
    events: Vec<NewEvent>,
    told: Vec<Told>,
    /// To be carried out one by one, in this order.
    alone: Vec<Job>,
    /// Whether the state can still be built upon.
    sound: bool,
}

impl Inner {
    /// Carries out a command that has its turn and those that came along, and answers all of them.
    pub(super) async fn carry_out_together(&self, first: Job, company: Vec<Job>, slot: &Slot) {
        let mut joint = {
            let entity = slot.lock();
            let (head, state) = (entity.head.clone(), entity.state.clone_box());
            Joint { head, state, events: Vec::new(), told: Vec::new(), alone: Vec::new(), sound: true }
        };
        for job in std::iter::once(first).chain(company) {
            // Nobody waits for it any more, and nothing of it has happened.
            if !job.answer.is_closed() && job.accepted.is_in_time() {
                self.decide_in(&mut joint, job, slot);
            } else {
                let _ = job.answer.send(Err(too_late("waiting in line")));
            }
        }
        let mut alone = std::mem::take(&mut joint.alone);
        if joint.events.is_empty() || !joint.sound {
            // Nothing confirms that the state was the newest, so nobody may be told no.
            alone.splice(0..0, joint.told.into_iter().map(|told| told.job));
        } else if let Err(refused) = self.append_joint(joint, slot).await {
            alone.splice(0..0, refused);
        }
        for job in alone {
            self.carry_out_alone(job, slot).await;
        }
    }

    async fn carry_out_alone(&self, mut job: Job, slot: &Slot) {
        let (unheard, _) = tokio::sync::oneshot::channel();
        let answer = std::mem::replace(&mut job.answer, unheard);
        // The parsed payload may have been used up; then it is read again.
        let done = self.carry_out(job, slot).await;
        let _ = answer.send(done);
    }

    /// Decides one command on the state that those before it left.
    fn decide_in(&self, joint: &mut Joint, mut job: Job, slot: &Slot) {
        let revision = joint.head.revision().plus(joint.events.len());
        let Some(payload) = job.parsed.take() else { return joint.alone.push(job) };
        if !joint.sound || joint.events.len() >= MAX_EVENTS_PER_APPEND / 2 || joint.may_be_a_repeat(&job.accepted, slot)
        {
            job.parsed = Some(payload);
            return joint.alone.push(job);
        }
        if let Some(expected) = job.accepted.expected.filter(|expected| *expected != revision) {
            let outcome = Outcome::Failure(Failure::conflict(expected, revision));
            return joint.told.push(Told { job, outcome });
        }
        let now = self.clock.now().trunc_subsecs(6);
        let context = CommandContext {
            aggregate: job.accepted.aggregate.clone(),
            revision,
            now,
            metadata: Arc::clone(&job.accepted.metadata),
        };
        let Ok(command) = job.command() else { return joint.alone.push(job) };
        let since = self.watch();
        let decided = self.guarded(&job.accepted.aggregate, || command.decide(&*joint.state, payload, context));
        let decided = match decided {
            Err(panicked) => Err(panicked),
            // Not for company; its payload is read again.
            Ok(Decided::Later(_)) => return joint.alone.push(job),
            Ok(Decided::Now(decided)) => Ok(decided),
        };
        self.tell_decided(since, &job.accepted, command, &decided);
        let decision = match decided {
            Err(panicked) => return joint.told.push(Told { job, outcome: Outcome::Failure(panicked) }),
            Ok(Err(refusal)) => {
                let outcome = Outcome::Failure(refused(&job.accepted.aggregate, refusal));
                return joint.told.push(Told { job, outcome });
            }
            Ok(Ok(decision)) => decision,
        };
        if let Err(failure) = self.settings.bounds.check(&decision.events) {
            return joint.told.push(Told { job, outcome: Outcome::Failure(failure) });
        }
        let events = new_events(&job.accepted, &decision, now);
        if joint.events.len() + events.len() > MAX_EVENTS_PER_APPEND {
            return joint.alone.push(job);
        }
        let told = summaries(&events, revision);
        if self.guarded(&job.accepted.aggregate, || (decision.evolve)(&mut *joint.state)).is_err() {
            // What is half evolved cannot be built upon; each finds out alone what its state is.
            joint.sound = false;
            return joint.alone.push(job);
        }
        let after = revision.plus(events.len());
        joint.events.extend(events);
        let outcome = match job.accepted.return_mode {
            ReturnMode::Revision => Outcome::Events { events: told, revision: after, state: None },
            ReturnMode::Entity => match joint.state.to_json() {
                Ok(state) => Outcome::Events { events: told, revision: after, state: Some(state.into()) },
                Err(error) => {
                    tracing::error!(aggregate = %job.accepted.aggregate, %error, "the state cannot be written as JSON");
                    let failure = Failure::internal("the state cannot be written as JSON");
                    Outcome::Failure(was_carried_out(&failure, after))
                }
            },
        };
        joint.told.push(Told { job, outcome });
    }

    /// Stores the events and tells everybody. Gives the commands back when the append was refused.
    async fn append_joint(&self, joint: Joint, slot: &Slot) -> Result<(), Vec<Job>> {
        let Joint { head, state, events, told, .. } = joint;
        let Some(aggregate) = told.first().map(|told| told.job.accepted.aggregate.clone()) else { return Ok(()) };
        let append = Append { aggregate: aggregate.clone(), head: head.clone(), events: events.clone() };
        match self.store.append(append).await {
            Ok(appended) if !appended.duplicate => {
                self.counters.appends.add(1);
                self.counters.joint_appends.add(1);
                self.counters.events_appended.add(events.len());
                self.take_in(&told, slot, &head, &appended, state, &events);
                slot.tell();
                for told in told {
                    tell(told, &appended.head);
                }
                Ok(())
            }
            // Some of the commands are stored, by this append or by others; each finds out by itself.
            Ok(_) => {
                self.counters.conflicts.add(1);
                let stored = |mut told: Told| {
                    told.job.stored = true;
                    told.job
                };
                Err(told.into_iter().map(stored).collect())
            }
            Err(AppendError::Conflict { .. } | AppendError::TooLarge { .. }) => {
                self.counters.conflicts.add(1);
                Err(told.into_iter().map(|told| told.job).collect())
            }
            Err(error) => {
                for Told { job, .. } in told {
                    let failure = self.append_failure(&job.accepted, &error);
                    let _ = job.answer.send(Err(failure));
                }
                Ok(())
            }
        }
    }

    /// Makes the state with all the events the cached one, unless a reader has gone further meanwhile.
    fn take_in(
        &self,
        told: &[Told],
        slot: &Slot,
        head: &Head,
        appended: &Appended,
        state: Box<dyn AnyState>,
        events: &[NewEvent],
    ) {
        let mut entity = slot.lock();
        if entity.head != *head {
            return;
        }
        entity.state = state;
        for (place, event) in events.iter().enumerate() {
            let command = &event.metadata.command_id;
            let fingerprint = told
                .iter()
                .find(|told| told.job.accepted.metadata.command_id == *command)
                .map(|told| told.job.accepted.fingerprint);
            entity.note(
                CommandKey::of(command),
                head.revision().plus(place + 1),
                event.time,
                event.data.len(),
                fingerprint,
            );
        }
        entity.head = appended.head.clone();
    }
}

impl Joint {
    /// Whether the command may have been carried out before: by what is known of the history, or earlier in this turn.
    fn may_be_a_repeat(&self, accepted: &Accepted, slot: &Slot) -> bool {
        let command = &accepted.metadata.command_id;
        if self.told.iter().any(|told| told.job.accepted.metadata.command_id == *command) {
            return true;
        }
        let entity = slot.lock();
        entity.commands.seen(accepted.key).is_some() || entity.commands.doubtful(command).is_some()
    }
}

impl Accepted {
    fn is_in_time(&self) -> bool {
        Instant::now() < self.deadline
    }
}

fn tell(told: Told, head: &Head) {
    let Told { job, outcome } = told;
    let answer = match outcome {
        Outcome::Failure(failure) => Err(failure),
        Outcome::Events { events, revision, state } => {
            // The events of one append stand one right behind the other.
            let back = head.revision().get().saturating_sub(revision.get());
            Ok(CommandReply {
                revision,
                sequence: Sequence::new(head.sequence().get().saturating_sub(back)),
                events,
                state,
                aggregate: job.accepted.aggregate,
                command_id: job.accepted.metadata.command_id.clone(),
                correlation_id: job.accepted.metadata.correlation_id.clone(),
                replayed: false,
            })
        }
    };
    // Whoever does not wait any more learns it with the next try.
    let _ = job.answer.send(answer);
}
