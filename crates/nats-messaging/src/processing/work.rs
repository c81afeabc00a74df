//! One message on its way: through inbox and parking to its handler, and what is told to the server after that.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use tracing::{debug, error, warn};

use super::hand::{Past, Slot};
use super::settings::{AfterLast, Processing};
use super::stats::Counters;
use super::telemetry::ProcessTelemetry;
use crate::BoxError;
use crate::consume::{AckError, Delivery};
use crate::dead_letter::{Cause, DeadLetters, Letter, LetterError, Redriven, one_line};
use crate::deadline::within;
use crate::router::handler::{EventHandler, Outcome};

/// How long one answer to the server may take to be handed over.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// Why a message is to be given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doom {
    pub(super) cause: Cause,
    pub(super) reason: String,
}

/// What all messages of a processor share.
pub(super) struct Bench {
    pub(super) handler: Arc<dyn EventHandler>,
    pub(super) settings: Processing,
    pub(super) stream: Arc<str>,
    pub(super) consumer: Arc<str>,
    pub(super) counters: Arc<Counters>,
    pub(super) telemetry: Option<ProcessTelemetry>,
}

/// A message to be worked on.
pub(super) struct Job {
    pub(super) slot: Arc<Slot>,
    pub(super) key: Option<Arc<str>>,
    pub(super) past: Past,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is handled or given up, and the server was told.
    Finished,
    /// It was given back to the server and comes again.
    GivenBack(Past),
    /// It is to be worked on again here, after a pause.
    Again(Duration, Past),
}

impl Bench {
    /// Works on a message. Never panics: whatever the handler does, the message is answered for or stays in hand.
    pub(super) async fn work(self: Arc<Self>, job: Job) -> Ended {
        let past = job.past.clone();
        match AssertUnwindSafe(self.go(job)).catch_unwind().await {
            Ok(ended) => ended,
            Err(_) => self.trouble(past, "something that handling depends on panicked"),
        }
    }

    async fn go(&self, job: Job) -> Ended {
        if job.past.doom.is_some() {
            return self.give_up(job).await;
        }
        let delivery = job.slot.get();
        let redriven = Redriven::of(&delivery.message);
        if redriven.as_ref().is_some_and(|redriven| !redriven.is_for(&self.stream, &self.consumer)) {
            debug!(sequence = delivery.context.sequence, "a message was redriven for another consumer");
            Counters::add(&self.counters.duplicates);
            return self.finish(&job, delivery.ack()).await;
        }
        match self.was_handled(&delivery).await {
            Ok(false) => {}
            Ok(true) => {
                Counters::add(&self.counters.duplicates);
                return self.settle(&job, redriven.is_some()).await;
            }
            Err(error) => return self.trouble(job.past, &in_full(&*error)),
        }
        if redriven.is_none() {
            match self.wait_behind_a_dead_one(&job, &delivery).await {
                Ok(None) => {}
                Ok(Some(ended)) => return ended,
                Err(error) => return self.trouble(job.past, &in_full(&*error)),
            }
        }
        let may_be_given_up = !matches!(self.settings.after_last, AfterLast::KeepTrying);
        if may_be_given_up && self.settings.retry.is_hopeless(delivery.context.deliveries) {
            let reason = format!("delivered {} times and never answered for", delivery.context.deliveries);
            return self.doomed(job, Cause::Unanswered, reason).await;
        }
        self.handle(job, redriven.is_some()).await
    }

    async fn handle(&self, job: Job, redriven: bool) -> Ended {
        let delivery = job.slot.get();
        let attempt = delivery.context.deliveries + job.past.tries;
        let began = self.telemetry.as_ref().map(|telemetry| (telemetry, Instant::now()));
        let outcome = self.ask(delivery_for_attempt(&delivery, attempt)).await;
        if let Some((telemetry, began)) = began {
            telemetry.handled(began.elapsed(), &outcome);
        }
        match outcome {
            Outcome::Done => {
                Counters::add(&self.counters.handled);
                self.mark_handled(&delivery).await;
                self.settle(&job, redriven).await
            }
            Outcome::Poison { reason } => self.doomed(job, Cause::Poison, reason).await,
            Outcome::Retry { error, after } => self.failed(job, attempt, in_full(&*error), after).await,
            Outcome::Postpone { error, after, tried } => {
                self.postpone(job, attempt, in_full(&*error), after, tried).await
            }
        }
    }

    /// What becomes of a message whose handler has failed.
    async fn failed(&self, job: Job, attempt: u64, reason: String, after: Option<Duration>) -> Ended {
        Counters::add(&self.counters.failures);
        if self.settings.retry.is_last(attempt) {
            return self.doomed(job, Cause::Failed, reason).await;
        }
        self.again(job, attempt, &reason, after).await
    }

    /// Keeps a message in hand that cannot be handled for now. It is no attempt, unless that has been said too long of a
    /// message that was tried.
    async fn postpone(&self, mut job: Job, attempt: u64, reason: String, after: Duration, tried: bool) -> Ended {
        if tried {
            let first = *job.past.first_failed.get_or_insert_with(Utc::now);
            let since = Utc::now().signed_duration_since(first).to_std().unwrap_or_default();
            if !self.settings.retry.excuses(since) {
                return self.failed(job, attempt, reason, Some(after)).await;
            }
        }
        Counters::add(&self.counters.postponed);
        let sequence = job.slot.get().context.sequence;
        if tried {
            warn!(
                stream = %self.stream, consumer = %self.consumer, sequence, ?after, error = reason,
                "a message could not be handled because of what its handler needs, and waits"
            );
        } else {
            debug!(stream = %self.stream, consumer = %self.consumer, sequence, ?after, error = reason, "a message is put off");
        }
        Ended::Again(after, job.past)
    }

    /// Hands a message to the handler and takes a panic, or too long a time, for a failure.
    async fn ask(&self, delivery: Arc<Delivery>) -> Outcome {
        let limit = self.settings.handler_timeout;
        let handling = AssertUnwindSafe(async { self.handler.handle(delivery).await }).catch_unwind();
        match within(limit, handling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Retry { error: "the handler panicked".into(), after: None },
            Err(_) => Outcome::Retry { error: format!("the handler took longer than {limit:?}").into(), after: None },
        }
    }

    async fn again(&self, job: Job, attempt: u64, reason: &str, after: Option<Duration>) -> Ended {
        let delivery = job.slot.get();
        let pause = after.unwrap_or_else(|| self.settings.retry.pause(attempt));
        warn!(
            stream = %self.stream, consumer = %self.consumer, sequence = delivery.context.sequence, attempt, ?pause,
            error = reason, "a message could not be handled and is tried again"
        );
        let mut past = job.past;
        past.first_failed.get_or_insert_with(Utc::now);
        if job.key.is_some() {
            past.tries += 1;
            return Ended::Again(pause, past);
        }
        self.give_back(&job.slot, pause).await;
        Ended::GivenBack(past)
    }

    async fn doomed(&self, mut job: Job, cause: Cause, reason: String) -> Ended {
        job.past.first_failed.get_or_insert_with(Utc::now);
        job.past.doom = Some(Doom { cause, reason: one_line(&reason) });
        self.give_up(job).await
    }

    /// Does with a message that cannot be handled what the settings say.
    async fn give_up(&self, job: Job) -> Ended {
        let Some(doom) = job.past.doom.clone() else { return Ended::Finished };
        let delivery = job.slot.get();
        let sequence = delivery.context.sequence;
        match &self.settings.after_last {
            AfterLast::KeepTrying => {
                error!(
                    stream = %self.stream, consumer = %self.consumer, sequence, error = doom.reason,
                    "a message cannot be handled, and there are no dead letters: it is tried again"
                );
                let attempt = delivery.context.deliveries + job.past.tries;
                let pause = self.settings.retry.pause(attempt.max(8));
                let past = Past { doom: None, tries: job.past.tries + 1, ..job.past };
                if job.key.is_some() {
                    return Ended::Again(pause, past);
                }
                self.give_back(&job.slot, pause).await;
                Ended::GivenBack(past)
            }
            AfterLast::Discard => {
                error!(
                    stream = %self.stream, consumer = %self.consumer, sequence, error = doom.reason,
                    "a message cannot be handled and is discarded"
                );
                Counters::add(&self.counters.discarded);
                self.finish(&job, delivery.term(doom.reason)).await
            }
            AfterLast::DeadLetter(letters) => {
                let letter = self.letter(&job, &delivery, &doom);
                let kept = keep(letters, &letter).await;
                match kept {
                    Ok(()) => {
                        warn!(
                            stream = %self.stream, consumer = %self.consumer, sequence, cause = doom.cause.as_str(),
                            error = doom.reason, "a message went to the dead letters"
                        );
                        Counters::add(&self.counters.dead_letters);
                        self.finish(&job, delivery.term(doom.reason)).await
                    }
                    Err(error) => self.not_kept(job, &in_full(&error)).await,
                }
            }
        }
    }

    /// A message that nobody keeps is not given up.
    async fn not_kept(&self, job: Job, reason: &str) -> Ended {
        let mut past = job.past;
        past.troubles += 1;
        Counters::add(&self.counters.letters_not_kept);
        let pause = self.settings.retry.pause(past.troubles);
        error!(
            stream = %self.stream, consumer = %self.consumer, sequence = job.slot.get().context.sequence, ?pause,
            error = reason, "a dead letter was not kept: the message stays where it is"
        );
        if job.key.is_some() {
            return Ended::Again(pause, past);
        }
        self.give_back(&job.slot, pause).await;
        Ended::GivenBack(past)
    }

    /// Puts a message whose key is parked to the dead letters; none when it is not.
    async fn wait_behind_a_dead_one(&self, job: &Job, delivery: &Delivery) -> Result<Option<Ended>, BoxError> {
        let (AfterLast::DeadLetter(letters), Some(key)) = (&self.settings.after_last, &job.key) else {
            return Ok(None);
        };
        let Some(behind) = letters.parked(&self.stream, &self.consumer, key).await? else { return Ok(None) };
        let reason = format!("waits behind message {behind} of the same key");
        let doom = Doom { cause: Cause::Parked, reason };
        let letter = self.letter(job, delivery, &doom);
        if !letters.keep_parked(&letter).await? {
            // Released in between.
            return Ok(None);
        }
        Counters::add(&self.counters.parked);
        Ok(Some(self.finish(job, delivery.term(doom.reason)).await))
    }

    fn letter(&self, job: &Job, delivery: &Delivery, doom: &Doom) -> Letter {
        let now: DateTime<Utc> = Utc::now();
        let redriven = Redriven::of(&delivery.message);
        Letter {
            message: delivery.message.clone(),
            stream: self.stream.to_string(),
            consumer: self.consumer.to_string(),
            sequence: delivery.context.sequence,
            origin: redriven.as_ref().map_or(delivery.context.sequence, |redriven| redriven.origin),
            stored: delivery.context.timestamp,
            deliveries: delivery.context.deliveries + job.past.tries,
            cause: doom.cause,
            reason: doom.reason.clone(),
            key: job.key.as_ref().map(|key| key.to_string()),
            first_failed: job.past.first_failed.unwrap_or(now),
            last_failed: now,
            redriven: redriven.map_or(0, |redriven| redriven.times),
            left_out: None,
        }
    }

    async fn was_handled(&self, delivery: &Delivery) -> Result<bool, BoxError> {
        let (Some(inbox), Some(id)) = (&self.settings.inbox, delivery.message.message_id()) else { return Ok(false) };
        Ok(inbox.has(&self.stream, &self.consumer, id).await?)
    }

    /// A message that is handled stays so when that cannot be noted: it may only be handled again, should it come again.
    async fn mark_handled(&self, delivery: &Delivery) {
        let (Some(inbox), Some(id)) = (&self.settings.inbox, delivery.message.message_id()) else { return };
        if let Err(error) = inbox.mark(&self.stream, &self.consumer, id).await {
            warn!(
                stream = %self.stream, consumer = %self.consumer, error = in_full(&error),
                "the inbox did not note a message that was handled"
            );
        }
    }

    /// Acknowledges a message that is handled.
    async fn settle(&self, job: &Job, redriven: bool) -> Ended {
        let delivery = job.slot.get();
        if let (true, AfterLast::DeadLetter(letters), Some(key)) = (redriven, &self.settings.after_last, &job.key)
            && let Err(error) =
                letters.redriven_handled(&self.stream, &self.consumer, key, delivery.context.sequence).await
        {
            // Whoever releases the key waits for this note, so the message is not done without it.
            return self.trouble(job.past.clone(), &in_full(&error));
        }
        match self.settings.confirm {
            Some(limit) => self.finish(job, delivery.double_ack(limit)).await,
            None => self.finish(job, delivery.ack()).await,
        }
    }

    /// A lost answer is no failure: the message comes again, and is known by then.
    async fn finish(&self, job: &Job, telling: impl Future<Output = Result<(), AckError>>) -> Ended {
        let told = match within(TELL_WITHIN.max(self.settings.confirm.unwrap_or_default()), telling).await {
            Ok(Ok(())) => return Ended::Finished,
            Ok(Err(error)) => in_full(&error),
            Err(_) => "nobody took it in time".to_owned(),
        };
        Counters::add(&self.counters.unanswered);
        warn!(
            stream = %self.stream, consumer = %self.consumer, sequence = job.slot.get().context.sequence, error = told,
            "the server has not confirmed what became of a message, and may deliver it again"
        );
        Ended::Finished
    }

    pub(super) async fn give_back(&self, slot: &Slot, after: Duration) {
        let delivery = slot.get();
        let delay = (!after.is_zero()).then_some(after);
        Counters::add(&self.counters.given_back);
        if !matches!(timeout(TELL_WITHIN, delivery.nak(delay)).await, Ok(Ok(()))) {
            // It comes again by itself after its time.
            Counters::add(&self.counters.unanswered);
        }
    }

    /// Something that handling depends on is not to be had: the message stays in hand, and it is no attempt.
    fn trouble(&self, mut past: Past, reason: &str) -> Ended {
        past.troubles += 1;
        let pause = self.settings.retry.pause(past.troubles);
        warn!(
            stream = %self.stream, consumer = %self.consumer, ?pause, error = reason,
            "a message cannot be handled for now, and waits"
        );
        Ended::Again(pause, past)
    }
}

/// Parks the key, so that nothing overtakes the message, stores the letter, and notes that with the key.
async fn keep(letters: &DeadLetters, letter: &Letter) -> Result<(), LetterError> {
    letters.park_key_of(letter).await?;
    letters.keep(letter).await?;
    letters.note_letter(letter).await
}

/// The delivery as the handler sees it: attempts in this process count as deliveries.
fn delivery_for_attempt(delivery: &Arc<Delivery>, attempt: u64) -> Arc<Delivery> {
    if delivery.context.deliveries == attempt {
        return Arc::clone(delivery);
    }
    let mut context = delivery.context.clone();
    context.deliveries = attempt;
    let acknowledge = Arc::clone(&delivery.acknowledge);
    Arc::new(Delivery::new(delivery.message.clone(), context, acknowledge, delivery.token.clone()))
}

/// An error with its causes.
pub(super) fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some repeat their cause.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
