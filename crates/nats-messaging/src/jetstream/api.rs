//! Questions to JetStream's API.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use headwater_nats::backoff::Backoff;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::replies::{NoAnswer, NotSent, Outgoing, Replies};
use crate::BoxError;

/// How long one question may take; a consumer of a replicated stream is made with an election.
const ONE_QUESTION: Duration = Duration::from_secs(3);

/// Why there is no answer to go by.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Trying again may help.
    ForNow(BoxError),
    /// JetStream says no.
    Refused(ApiError),
    /// Nothing helps.
    ForGood(String),
}

/// An error as JetStream states it. Only the codes are acted on, the description is for people.
#[derive(Debug, Clone, Deserialize, thiserror::Error)]
#[error("JetStream refuses: {description} (code {err_code})")]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    pub(super) err_code: u32,
    #[serde(default)]
    pub(super) description: String,
}

/// The error codes that are acted on.
pub(super) mod code {
    pub(crate) const CONSUMER_NOT_FOUND: u32 = 10014;
    pub(crate) const STREAM_NOT_FOUND: u32 = 10059;
    pub(crate) const CONSUMER_NAME_TAKEN: u32 = 10105;
    pub(crate) const CONSUMER_EXISTS: u32 = 10148;
}

impl Trouble {
    /// What it comes from.
    pub(super) fn into_source(self) -> BoxError {
        match self {
            Self::ForNow(source) => source,
            Self::Refused(error) => error.into(),
            Self::ForGood(reason) => reason.into(),
        }
    }

    /// Whether there is no such stream.
    pub(super) fn is_no_stream(&self) -> bool {
        matches!(self, Self::Refused(ApiError { err_code: code::STREAM_NOT_FOUND, .. }))
    }
}

impl ApiError {
    /// Whether it may be otherwise in a moment: there is no leader, or no room.
    pub(super) fn is_passing(&self) -> bool {
        self.code >= 500 || self.code == 429
    }
}

impl Replies {
    /// Asks `rest` of JetStream's API and reads the answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, rest: &str, body: Option<&Value>) -> Result<T, Trouble> {
        let subject = format!("{}.{rest}", self.connection().jetstream_prefix());
        let payload = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let deadline = Instant::now() + ONE_QUESTION;
        let outgoing = Outgoing { subject: Subject::from(subject.as_str()), headers: None, payload };
        let sent = self.send(outgoing, deadline).await.map_err(|not_sent| match not_sent {
            NotSent::Refused(reason) => Trouble::ForGood(reason),
            NotSent::Unavailable(source) => Trouble::ForNow(source),
        })?;
        match sent.answer(deadline).await {
            Ok(answer) => read(&answer.payload),
            Err(NoAnswer::Forbidden) => Err(Trouble::ForGood(format!("the NATS user may not publish to {subject}"))),
            Err(NoAnswer::NobodyThere) => {
                Err(Trouble::ForNow("JetStream does not answer: it is switched off, or has no leader".into()))
            }
            Err(none @ (NoAnswer::TimedOut | NoAnswer::Disconnected)) => Err(Trouble::ForNow(none.into())),
        }
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Trouble> {
    #[derive(Deserialize)]
    struct MaybeError {
        error: Option<ApiError>,
    }
    let unreadable = |error: serde_json::Error| Trouble::ForNow(error.into());
    match serde_json::from_slice::<MaybeError>(payload).map_err(unreadable)?.error {
        Some(error) if error.is_passing() => Err(Trouble::ForNow(error.into())),
        Some(error) => Err(Trouble::Refused(error)),
        None => serde_json::from_slice(payload).map_err(unreadable),
    }
}

/// Tries again until the deadline while that may help.
pub(super) async fn persist<T, F>(deadline: Instant, mut attempt: impl FnMut() -> F) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
    loop {
        let outcome = attempt().await;
        let pause = backoff.next_pause();
        if !matches!(outcome, Err(Trouble::ForNow(_))) || Instant::now() + pause >= deadline {
            return outcome;
        }
        sleep(pause).await;
    }
}

/// A duration as JetStream writes it.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
