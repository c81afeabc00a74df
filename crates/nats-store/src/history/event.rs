//! One event of an aggregate, looked up and checked.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use headwater_core::store::{Freshness, ReadError, StoreError};
use headwater_core::{AggregateId, Revision, Sequence};
use headwater_nats::event::{self, StoredEvent};
use headwater_nats::header;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::fetch::StoredMessage;
use crate::journal::{Journal, Which};

/// How long to look for the revision at which a history broke; the answer is only for people.
const INQUEST: Duration = Duration::from_secs(1);

impl Journal {
    /// The last event of the aggregate. None when it has no events.
    pub(crate) async fn last_event(
        &self,
        aggregate: &AggregateId,
        freshness: Freshness,
        deadline: Instant,
    ) -> Result<Option<StoredEvent>, ReadError> {
        let which = self.last_of(aggregate);
        let Some(mut message) = self.fetch_by(&which, freshness, deadline).await? else {
            return Ok(None);
        };
        let mut found = self.decode(aggregate, &message);
        if found.is_err() && freshness == Freshness::Fast {
            // A replica may be damaged where others are not.
            match self.fetch_by(&which, Freshness::Leader, deadline).await? {
                Some(other) => message = other,
                None => return Ok(None),
            }
            found = self.decode(aggregate, &message);
        }
        let what = match found {
            Ok(event) => return Ok(Some(event)),
            Err(what) => what,
        };
        let revision = self.newest_before(aggregate, message.sequence).await.next();
        Err(broken(aggregate, revision, what))
    }

    /// The event of this revision, which other events say to stand at this sequence. What is stored there never
    /// changes, so any replica may answer.
    pub(super) async fn event_at(
        &self,
        aggregate: &AggregateId,
        revision: Revision,
        sequence: Sequence,
    ) -> Result<StoredEvent, ReadError> {
        let what = match self.expected_at(aggregate, revision, sequence, Freshness::Fast).await? {
            Ok(event) => return Ok(event),
            Err(what) => what,
        };
        // A replica may be behind, or damaged where others are not.
        match self.expected_at(aggregate, revision, sequence, Freshness::Leader).await? {
            Ok(event) => {
                warn!(stream = self.stream, %sequence, what, "a replica answered what the leader does not");
                Ok(event)
            }
            Err(what) => Err(broken(aggregate, revision, what)),
        }
    }

    /// The inner error says what is wrong with what stands there.
    async fn expected_at(
        &self,
        aggregate: &AggregateId,
        revision: Revision,
        sequence: Sequence,
        freshness: Freshness,
    ) -> Result<Result<StoredEvent, String>, StoreError> {
        let Some(message) = self.fetch(&Which::At(sequence.get()), freshness).await? else {
            return Ok(Err(format!("the journal has no message at sequence {sequence}")));
        };
        Ok(self.decode(aggregate, &message).and_then(|event| {
            let found = event.recorded.revision;
            if found == revision && event.recorded.sequence == sequence {
                Ok(event)
            } else {
                Err(format!("at sequence {} stands revision {found}", event.recorded.sequence))
            }
        }))
    }

    /// Reads a message as an event of this aggregate; the error says what else it is.
    pub(crate) fn decode(&self, aggregate: &AggregateId, message: &StoredMessage) -> Result<StoredEvent, String> {
        let StoredMessage { subject, sequence, payload } = message;
        let filter = self.subjects.journal_of(aggregate);
        // The filter ends with the wildcard for the event's name.
        let name = subject.strip_prefix(&filter[..filter.len() - 1]);
        let name = name.ok_or_else(|| format!("the message at sequence {sequence} is of another aggregate"))?;
        event::decode(aggregate, Some(name), payload, Sequence::new(*sequence))
            .map_err(|error| format!("the message at sequence {sequence} is {error}"))
    }

    /// The newest revision of this aggregate before a sequence, as far as it can be told. Looks at the last message of
    /// each event name only.
    async fn newest_before(&self, aggregate: &AggregateId, sequence: u64) -> Revision {
        let request = serde_json::json!({
            "multi_last": [self.subjects.journal_of(aggregate)],
            "up_to_seq": sequence.saturating_sub(1),
        });
        let inquest = async {
            let client = self.api.connection.client();
            let inbox = client.new_inbox();
            let mut answers = client.subscribe(inbox.clone()).await.ok()?;
            let request = Bytes::from(request.to_string());
            client.publish_with_reply(self.direct_get.clone(), inbox, request).await.ok()?;
            let mut newest = Revision::ZERO;
            while let Some(answer) = answers.next().await.filter(|answer| answer.status.is_none()) {
                let value = |name: &str| answer.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned());
                let (Some(subject), Some(at)) = (value(header::SUBJECT), value(header::SEQUENCE)) else { break };
                let Ok(at) = at.parse() else { break };
                let message = StoredMessage { subject, sequence: at, payload: answer.payload };
                if let Ok(event) = self.decode(aggregate, &message) {
                    newest = newest.max(event.recorded.revision);
                }
            }
            Some(newest)
        };
        timeout(INQUEST, inquest).await.ok().flatten().unwrap_or_default()
    }
}

pub(super) fn broken(aggregate: &AggregateId, revision: Revision, what: String) -> ReadError {
    ReadError::HistoryBroken { aggregate: aggregate.to_string(), revision, what }
}
