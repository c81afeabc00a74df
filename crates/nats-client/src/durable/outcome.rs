//! Events on their way through handlers, and what follows from what the handlers say.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use opentelemetry::context::FutureExt as _;
use tokio::time::Instant;
use tracing::{Instrument, debug_span, error, warn};

use super::desk::{Finish, Next};
use super::error::{BoxError, ReaderError, Where, in_full};
use super::handler::{DeadLetter, Delivery, Poison, Verdict};
use super::reader::{ACK, Reader, Way};

/// The longest reason that is told to the server, in bytes.
const MAX_REASON: usize = 200;

/// How an event came back from where it was handed to.
pub(super) enum Outcome {
    /// From its handler.
    Verdict(Result<Verdict, String>),
    /// From the dead letters.
    Letter(Result<(), String>),
}

impl Reader {
    /// Hands over every event that may be handled now, up to the number of handlers.
    pub(super) fn begin_what_can_be(&mut self) {
        while self.closing.is_none() && self.work.len() < self.settings.parallel {
            match self.desk.next(Instant::now(), self.settings.ack_wait) {
                Some(Next::Begin(sequence)) => self.begin(sequence),
                Some(Next::Expired(sequence)) => {
                    // It is noted how far the reader is before the event is out of hand.
                    self.shut_gate();
                    self.desk.expire(sequence);
                }
                None => return,
            }
        }
    }

    fn begin(&mut self, sequence: u64) {
        let Some(held) = self.desk.get_mut(sequence) else { return };
        let event = held.event.clone();
        let span = debug_span!(
            "event", reader = %self.settings.name, aggregate = %event.aggregate, revision = %event.revision
        );
        if let (Some(reason), Poison::DeadLetter(keeper)) = (&held.hopeless, &self.settings.poison) {
            let letter = DeadLetter {
                reader: self.settings.name.clone(),
                event,
                attempts: held.attempts,
                reason: reason.clone(),
            };
            let keep = keeper.0.clone();
            let keeping = caught(move || keep(letter));
            self.work.spawn(async move { (sequence, Outcome::Letter(keeping.await)) }.instrument(span));
            return;
        }
        held.attempts += 1;
        let processing = self.telemetry.as_ref().map(|telemetry| telemetry.begin(&event, held.attempts));
        let delivery = Delivery { event, attempt: held.attempts, deliveries: held.deliveries };
        let handle = self.handler.clone();
        let handling = caught(move || handle(delivery));
        let Some(processing) = processing else {
            self.work.spawn(async move { (sequence, Outcome::Verdict(handling.await)) }.instrument(span));
            return;
        };
        let watched = async move {
            let verdict = match processing.span.clone() {
                None => handling.await,
                Some(traced) => handling.with_context(traced).await,
            };
            processing.ended(&verdict);
            (sequence, Outcome::Verdict(verdict))
        };
        self.work.spawn(watched.instrument(span));
    }

    pub(super) async fn done(&mut self, sequence: u64, outcome: Outcome) -> Result<(), ReaderError> {
        match outcome {
            Outcome::Verdict(Ok(Verdict::Ack)) => {
                self.counters.handled.increment();
                self.finish(sequence, Finish::Handled).await;
            }
            Outcome::Verdict(Ok(Verdict::Nak(pause))) => {
                self.counters.deferred.increment();
                self.desk.pause(sequence, later(pause));
            }
            Outcome::Verdict(Ok(Verdict::Term(reason))) => self.give_up(sequence, reason).await?,
            Outcome::Verdict(Err(reason)) => self.failed(sequence, reason).await?,
            Outcome::Letter(Ok(())) => {
                self.counters.dead_letters.increment();
                let reason = self.desk.get(sequence).and_then(|held| held.hopeless.clone()).unwrap_or_default();
                self.finish(sequence, Finish::GivenUp(reason)).await;
            }
            Outcome::Letter(Err(reason)) => self.not_kept(sequence, &reason),
        }
        Ok(())
    }

    async fn failed(&mut self, sequence: u64, reason: String) -> Result<(), ReaderError> {
        self.counters.failures.increment();
        let Some(held) = self.desk.get_mut(sequence) else { return Ok(()) };
        held.failures += 1;
        let failures = held.failures;
        if failures >= self.settings.retry.attempts {
            return self.give_up(sequence, reason).await;
        }
        let pause = self.settings.retry.pause(failures, None);
        warn!(
            reader = %self.settings.name, aggregate = %held.event.aggregate, revision = %held.event.revision,
            event = %held.event.event.name, failures, ?pause, error = reason,
            "an event could not be handled and is tried again"
        );
        self.desk.pause(sequence, later(pause));
        Ok(())
    }

    /// Does with an event that cannot be handled what the settings say.
    async fn give_up(&mut self, sequence: u64, reason: String) -> Result<(), ReaderError> {
        let Some(held) = self.desk.get_mut(sequence) else { return Ok(()) };
        let letter = DeadLetter {
            reader: self.settings.name.clone(),
            event: held.event.clone(),
            attempts: held.attempts,
            reason,
        };
        let reader = &self.settings.name;
        match &self.settings.poison {
            Poison::Halt => {
                error!(%reader, error = letter.reason, "the reader halts at {}", Where(&letter));
                // It is given back with everything else.
                self.desk.pause(sequence, Instant::now());
                return Err(ReaderError::Halted(Box::new(letter)));
            }
            Poison::Skip => {
                error!(%reader, error = letter.reason, "the reader goes on without {}", Where(&letter));
                self.counters.skipped.increment();
                self.finish(sequence, Finish::GivenUp(letter.reason)).await;
            }
            Poison::DeadLetter(_) => {
                warn!(%reader, error = letter.reason, "to the dead letters goes {}", Where(&letter));
                held.hopeless = Some(letter.reason);
                held.failures = 0;
                self.desk.pause(sequence, Instant::now());
            }
        }
        Ok(())
    }

    /// An event that nobody keeps is not given up.
    fn not_kept(&mut self, sequence: u64, reason: &str) {
        let Some(held) = self.desk.get_mut(sequence) else { return };
        held.failures = held.failures.saturating_add(1);
        let pause = self.settings.retry.pause(held.failures, None);
        error!(
            reader = %self.settings.name, aggregate = %held.event.aggregate, revision = %held.event.revision,
            ?pause, error = reason, "a dead letter was not kept and is offered again"
        );
        self.desk.pause(sequence, later(pause));
    }

    async fn finish(&mut self, sequence: u64, finish: Finish) {
        if let Some(held) = self.desk.get(sequence) {
            self.memory.note(&held.event, held.reply.clone());
        }
        self.desk.finished(sequence, finish);
        self.tell(sequence).await;
    }

    /// Tells the server of an event that is finished. Without a way to, it is told when there is one again.
    pub(super) async fn tell(&mut self, sequence: u64) {
        let Some(held) = self.desk.get(sequence) else { return };
        let said = match held.finish() {
            None => return,
            Some(Finish::Handled) => ACK,
            Some(Finish::GivenUp(reason)) => format!("+TERM {}", one_line(reason)).into(),
        };
        let (Way::Open(line) | Way::Over(Some(line))) = &self.way else { return };
        if self.settings.confirmed {
            line.send_confirmed(&held.reply, said, sequence).await;
        } else if line.send(&held.reply, said).await {
            self.desk.remove(sequence);
        }
    }
}

/// Does what was asked for, and takes a panic for a failure.
async fn caught<T, F>(act: F) -> Result<T, String>
where
    F: FnOnce() -> BoxFuture<'static, Result<T, BoxError>> + Send + 'static,
{
    // The call itself may panic as well as the future it returns.
    match AssertUnwindSafe(async { act().await }).catch_unwind().await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(in_full(&error)),
        Err(_) => Err("the handler panicked".to_owned()),
    }
}

fn later(pause: Duration) -> Instant {
    let now = Instant::now();
    // A pause beyond what a clock can count is as good as a year.
    now.checked_add(pause).unwrap_or(now + Duration::from_secs(365 * 24 * 3600))
}

/// The text as a protocol line takes it.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + character.len_utf8() > MAX_REASON {
            break;
        }
        line.push(character);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line_for_the_server() {
        assert_eq!(one_line("no\r\nsuch\tplace"), "no  such place");
        assert!(one_line(&"ü".repeat(500)).len() <= MAX_REASON);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_wherever_it_happens() {
        let early = caught::<(), _>(|| panic!("at once")).await;
        let late = caught::<(), _>(|| async { panic!("later") }.boxed()).await;
        assert_eq!((early.clone(), late), (Err("the handler panicked".to_owned()), early));
        let failed = caught::<(), _>(|| async { Err("no".into()) }.boxed()).await;
        assert_eq!(failed, Err("no".to_owned()));
    }
}
