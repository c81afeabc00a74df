//! One stored message: from any replica when speed counts, from the leader when freshness does.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use headwater_core::store::{Freshness, StoreError};
use headwater_nats::header;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::api::{self, NoAnswer, code};
use crate::backoff::Backoff;
use crate::journal::{Journal, Which};

/// A message as the stream keeps it.
#[derive(Debug, Clone)]
pub(crate) struct StoredMessage {
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    pub(crate) payload: Bytes,
}

/// None when there is no such message.
pub(crate) type Fetched = Result<Option<StoredMessage>, StoreError>;

impl Journal {
    /// Looks a message up, within the time that the settings give one look-up.
    ///
    /// A fast look-up that is not answered soon is also sent to the leader, and the first answer counts: with a
    /// replica that hangs, a part of the direct ones are never answered.
    pub(crate) async fn fetch(&self, which: &Which, freshness: Freshness) -> Fetched {
        let deadline = Instant::now() + self.config.lookup_timeout.get();
        self.fetch_by(which, freshness, deadline).await
    }

    /// The same with a deadline of the caller's.
    pub(crate) async fn fetch_by(&self, which: &Which, freshness: Freshness, deadline: Instant) -> Fetched {
        let late = || StoreError::new("the look-up of a stored event took too long");
        let room = timeout_at(deadline, self.lookups.acquire()).await.map_err(|_| late())?;
        let _room = room.map_err(|closed| late().caused_by(closed))?;
        self.counters.lookups.increment();
        if freshness == Freshness::Leader {
            return self.ask_leader(which, deadline).await;
        }
        let direct = self.ask_any(which, deadline);
        tokio::pin!(direct);
        match timeout(self.config.hedge_after.get(), &mut direct).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(_)) => return self.ask_leader(which, deadline).await,
            Err(_) => self.counters.hedged.increment(),
        }
        let leader = self.ask_leader(which, deadline);
        tokio::pin!(leader);
        tokio::select! {
            found = &mut direct => match found {
                Ok(found) => Ok(found),
                Err(_) => leader.await,
            },
            found = &mut leader => match found {
                Ok(found) => Ok(found),
                Err(_) => direct.await,
            },
        }
    }

    /// From whichever replica is asked by chance; it may be behind.
    async fn ask_any(&self, which: &Which, deadline: Instant) -> Fetched {
        let limit = deadline.saturating_duration_since(Instant::now());
        let request = Bytes::from(which.to_json());
        let answer = self.api.request(self.direct_get.clone(), None, request, limit).await?;
        let unreadable = |what| StoreError::new(format!("a direct look-up was answered {what}"));
        match answer.status.map(|status| status.as_u16()) {
            None => {}
            Some(404) => return Ok(None),
            Some(status) => return Err(unreadable(format!("with status {status}"))),
        }
        let headers = answer.headers.as_ref().ok_or_else(|| unreadable("without headers".to_owned()))?;
        let value = |name: &str| headers.get(name).map(async_nats::HeaderValue::as_str);
        let subject = value(header::SUBJECT).ok_or_else(|| unreadable("without a subject".to_owned()))?;
        let sequence = value(header::SEQUENCE).and_then(|text| text.parse().ok());
        Ok(Some(StoredMessage {
            subject: subject.to_owned(),
            sequence: sequence.ok_or_else(|| unreadable("without a sequence".to_owned()))?,
            payload: answer.payload,
        }))
    }

    /// From the replica that takes the writes. Asked again while there is none.
    async fn ask_leader(&self, which: &Which, deadline: Instant) -> Fetched {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
        loop {
            let error = match self.leader_once(which, deadline).await {
                Ok(found) => return Ok(found),
                Err(Failed::ForNow(error)) => error,
                Err(Failed::ForGood(error)) => return Err(error),
            };
            let pause = backoff.next_pause();
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    async fn leader_once(&self, which: &Which, deadline: Instant) -> Result<Option<StoredMessage>, Failed> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let request = Bytes::from(which.to_json());
        let answer = match self.api.request(self.leader_get.clone(), None, request, limit).await {
            Ok(answer) => answer,
            Err(NoAnswer::NobodyThere) => return Err(Failed::ForNow(NoAnswer::NobodyThere.into())),
            Err(none) => return Err(Failed::ForGood(none.into())),
        };
        match api::parse::<LeaderAnswer>(&answer.payload).map_err(Failed::ForGood)? {
            Ok(answer) => answer.message.decode().map(Some).map_err(Failed::ForGood),
            Err(error) if error.err_code == code::NO_MESSAGE => Ok(None),
            Err(error) => {
                let transient = error.is_transient();
                let error = StoreError::new("a stored event could not be looked up").caused_by(error);
                Err(if transient { Failed::ForNow(error) } else { Failed::ForGood(error) })
            }
        }
    }
}

/// Why the leader gave nothing.
enum Failed {
    ForNow(StoreError),
    ForGood(StoreError),
}

#[derive(Deserialize)]
struct LeaderAnswer {
    message: LeaderMessage,
}

#[derive(Deserialize)]
struct LeaderMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    data: String,
}

impl LeaderMessage {
    fn decode(self) -> Result<StoredMessage, StoreError> {
        let payload = STANDARD
            .decode(&self.data)
            .map_err(|error| StoreError::new("JetStream's answer is not base64").caused_by(error))?;
        Ok(StoredMessage { subject: self.subject, sequence: self.seq, payload: payload.into() })
    }
}
