//! Requests to JetStream's API: each sent once, under the connection's guard and a time limit.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Request, RequestErrorKind};
use bytes::Bytes;
use headwater_nats::connect::{Connection, Interrupted};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::error::{BoxError, ReaderError};

/// How long one request may take; creating a consumer of a replicated stream waits for an election.
const ONE_REQUEST: Duration = Duration::from_secs(3);

/// JetStream's API over the connection's client of the moment.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) connection: Connection,
    prefix: String,
}

/// Why a request was not answered with what was asked for.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Trying again may help.
    ForNow(BoxError),
    /// JetStream says no. In a cluster it may say so without knowing better, so it is asked again for a while.
    Refused(ApiError),
    /// The journal seems to have lost events. In a cluster a server may say so that is behind, so it is looked at again
    /// for a while.
    Lost(ReaderError),
    /// Nothing helps.
    ForGood(ReaderError),
}

/// An error as JetStream states it. Only the code is acted on, the description is for people.
#[derive(Debug, Clone, Deserialize, thiserror::Error)]
#[error("JetStream refuses: {description} (code {err_code})")]
pub(super) struct ApiError {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    pub(super) err_code: u32,
    #[serde(default)]
    pub(super) description: String,
}

/// The error codes that are acted on.
pub(super) mod code {
    pub(crate) const CONSUMER_NOT_FOUND: u32 = 10014;
    pub(crate) const DISABLED_FOR_ACCOUNT: u32 = 10039;
    pub(crate) const DISABLED: u32 = 10076;
    pub(crate) const CONSUMER_NAME_TAKEN: u32 = 10105;
    pub(crate) const CONSUMER_EXISTS: u32 = 10148;
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        let lasting = matches!(error.err_code, code::DISABLED | code::DISABLED_FOR_ACCOUNT);
        if error.code == 503 && !lasting { Self::ForNow(error.into()) } else { Self::Refused(error) }
    }
}

impl Api {
    pub(super) fn new(connection: Connection) -> Self {
        let prefix = connection.jetstream_prefix();
        Self { connection, prefix }
    }

    /// `$JS.API.{rest}`, or whatever the account has instead of `$JS.API`.
    pub(super) fn subject(&self, rest: &str) -> String {
        format!("{}.{rest}", self.prefix)
    }

    /// Asks for `rest` and reads the answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, rest: &str, body: Option<&Value>) -> Result<T, Trouble> {
        let subject = self.subject(rest);
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let answer = timeout(ONE_REQUEST, self.connection.guard_to(&subject, self.exchange(&subject, body))).await;
        match answer {
            Ok(Ok(answer)) => read(&answer?),
            Ok(Err(Interrupted::Forbidden { subject, .. })) => Err(Trouble::ForGood(ReaderError::Refused(format!(
                "the NATS user may not publish to {subject}, which a reader needs"
            )))),
            Ok(Err(down)) => Err(Trouble::ForNow(down.into())),
            Err(_) => Err(Trouble::ForNow(format!("JetStream did not answer within {ONE_REQUEST:?}").into())),
        }
    }

    async fn exchange(&self, subject: &str, body: Bytes) -> Result<Bytes, Trouble> {
        let (generation, client) = self.connection.current();
        // The client keeps what it is given while disconnected, and sends it long after its giver has turned away.
        if client.connection_state() != State::Connected {
            return Err(Trouble::ForNow("not connected to NATS".into()));
        }
        // The time limit is set around the whole exchange, sending included.
        let request = Request::new().payload(body).timeout(None);
        client.send_request(subject.to_owned(), request).await.map(|answer| answer.payload).map_err(|error| match error
            .kind()
        {
            RequestErrorKind::NoResponders => {
                Trouble::ForNow("JetStream does not answer: it is switched off, or has no leader".into())
            }
            RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                Trouble::ForGood(ReaderError::Refused(format!("the request cannot be sent: {error}")))
            }
            RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                self.connection.report_dead(generation);
                Trouble::ForNow(error.into())
            }
        })
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Trouble> {
    #[derive(Deserialize)]
    struct MaybeError {
        error: Option<ApiError>,
    }
    let unreadable = |error: serde_json::Error| Trouble::ForNow(error.into());
    match serde_json::from_slice::<MaybeError>(payload).map_err(unreadable)?.error {
        Some(error) => Err(error.into()),
        None => serde_json::from_slice(payload).map_err(unreadable),
    }
}

/// A duration as JetStream writes it.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
