//! A call: tries until one settles it, or its time or its tries have run out.

use std::borrow::Cow;

use async_nats::Message;
use headwater_core::call::{CallError, LostReply};
use headwater_core::{CommandId, Failure, FailureCode};
use headwater_nats::reply::ReplyError;
use tokio::time::{sleep, timeout};

use crate::attempt::Setback;
use crate::client::Inner;
use crate::mailbox::Seat;
use crate::outgoing::{Outgoing, TimeLimit};

/// What is at stake when a reply is lost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stake<'a> {
    /// A command, which may have taken effect.
    Command(&'a CommandId),
    /// A query, which changes nothing.
    Query,
}

impl Stake<'_> {
    fn lost(self, cause: LostReply) -> CallError {
        match self {
            Self::Command(command_id) => CallError::OutcomeUnknown { command_id: command_id.clone(), cause },
            Self::Query => CallError::Unanswered(cause),
        }
    }

    /// What the caller is told at the end of a call whose last try failed, and one of whose tries got no reply where
    /// `lost` says how.
    fn conclude(self, failed: Failed, lost: Option<LostReply>, time: TimeLimit) -> CallError {
        // A try knows its own share of the time; to the caller the whole matters.
        let whole = |cause| match cause {
            LostReply::Timeout(_) => LostReply::Timeout(time.limit.saturating_sub(time.left())),
            cause => cause,
        };
        match (self, lost) {
            (Self::Command(_), Some(cause)) if !failed.settles => self.lost(whole(cause)),
            _ => match failed.error {
                CallError::Unanswered(cause) => CallError::Unanswered(whole(cause)),
                error => error,
            },
        }
    }
}

/// How a try failed, and what follows from it.
struct Failed {
    error: CallError,
    /// Whether a further try may help.
    again: bool,
    /// Whether it also tells what became of earlier tries whose replies were lost.
    settles: bool,
    /// How long the service wants to be left alone.
    asked: Option<std::time::Duration>,
}

impl Inner {
    /// Makes a call and reads the reply with `read`.
    pub(crate) async fn call<T>(
        &self,
        outgoing: &Outgoing,
        stake: Stake<'_>,
        time: TimeLimit,
        read: impl Fn(&Message) -> Result<T, ReplyError>,
    ) -> Result<T, CallError> {
        let Some(telemetry) = &self.telemetry else { return self.tries(outgoing, stake, time, read).await };
        let mut traced = outgoing.clone();
        let calling = telemetry.begin(&mut traced, &self.wire.connection);
        let outcome = Box::pin(self.tries(&traced, stake, time, read)).await;
        telemetry.end(&calling, outcome.as_ref().err());
        outcome
    }

    async fn tries<T>(
        &self,
        outgoing: &Outgoing,
        stake: Stake<'_>,
        time: TimeLimit,
        read: impl Fn(&Message) -> Result<T, ReplyError>,
    ) -> Result<T, CallError> {
        let Ok(_permit) = timeout(time.left(), self.in_flight.acquire()).await else {
            return Err(CallError::NotSent("too many calls of this client are waiting for replies".to_owned()));
        };
        let mut seat: Option<Seat> = None;
        // How the first lost reply was lost. From then on only an answer that settles the matter is an answer.
        let mut lost: Option<LostReply> = None;
        let mut attempt = 1;
        loop {
            let left = self.retry.attempts - attempt + 1;
            let tried = match self.proven(outgoing, time).await {
                Ok(outgoing) => self.wire.attempt(&outgoing, &mut seat, time.left() / left).await,
                Err(setback) => Err(setback),
            };
            let failed = match tried {
                Ok(message) => match read(&message) {
                    Ok(reply) => return Ok(reply),
                    Err(error) => self.refused(error, stake, &mut lost),
                },
                Err(setback) => self.set_back(setback, stake, &mut lost),
            };
            let pause = self.retry.pause(attempt, failed.asked);
            if !failed.again || attempt >= self.retry.attempts || pause >= time.left() {
                return Err(stake.conclude(failed, lost, time));
            }
            tracing::debug!(service = %self.subjects.service(), attempt, error = %failed.error, ?pause, "calling again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// The request as this try sends it.
    async fn proven<'a>(&self, outgoing: &'a Outgoing, time: TimeLimit) -> Result<Cow<'a, Outgoing>, Setback> {
        let Some(credentials) = &self.credentials else { return Ok(Cow::Borrowed(outgoing)) };
        let proven = timeout(time.left(), credentials.prove(outgoing)).await;
        proven.unwrap_or_else(|_| Err("there was no token in time".to_owned())).map_err(Setback::Unsendable)
    }

    /// What follows from a try without an answer.
    fn set_back(&self, setback: Setback, stake: Stake<'_>, lost: &mut Option<LostReply>) -> Failed {
        let failed = |error, again| Failed { error, again, settles: false, asked: None };
        match setback {
            Setback::Unsendable(why) => failed(CallError::NotSent(why), false),
            Setback::Disconnected { why, waited } => failed(CallError::Disconnected(why), !waited),
            Setback::NoResponders => {
                failed(CallError::NoResponders { service: self.subjects.service().to_string() }, true)
            }
            Setback::Lost(cause) => {
                lost.get_or_insert_with(|| cause.clone());
                failed(stake.lost(cause), true)
            }
        }
    }

    /// What follows from an answer that is no success.
    fn refused(&self, error: ReplyError, stake: Stake<'_>, lost: &mut Option<LostReply>) -> Failed {
        let failure = match error {
            ReplyError::Failed(failure) => failure,
            unreadable => {
                let error = CallError::Unreadable(unreadable.to_string());
                return Failed { error, again: false, settles: false, asked: None };
            }
        };
        let (again, settles, asked) = (failure.retryable, settles(&failure), failure.retry_after());
        let error = match (&failure.code, stake) {
            (FailureCode::OutcomeUnknown, Stake::Command(_)) => {
                lost.get_or_insert(LostReply::Service);
                stake.lost(LostReply::Service)
            }
            _ => CallError::Failed(failure),
        };
        Failed { error, again, settles, asked }
    }
}

/// Whether a failure also tells what became, and will become, of earlier tries of the same command: the service judged
/// the command itself, would have given the original outcome had there been one, and would judge the same at any later
/// moment. A rejection is no such judgement: an instance that hangs may still have an earlier try, and the aggregate
/// may have changed by the time it goes on. An expected revision that has passed never comes back.
fn settles(failure: &Failure) -> bool {
    matches!(
        failure.code,
        FailureCode::InvalidRequest
            | FailureCode::ValidationFailed
            | FailureCode::NotFound
            | FailureCode::Conflict
            | FailureCode::PayloadTooLarge
    )
}
