//! Reading a receipt's events from the journal, by a filter on its subjects: what the JetStream API offers for it.

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::{Message, StatusCode};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

use super::Program;
use super::receipts::Kept;
use super::requests::Problem;
use super::stored;

/// How a receipt that is not in memory is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Loading {
    /// A batched direct get.
    DirectGet,
    /// An ordered consumer, deleted afterwards.
    OrderedConsumer,
}

/// How many events one direct get asks for.
const BATCH: u32 = 1000;

/// How long the journal may take for the next event.
const SILENCE: Duration = Duration::from_secs(5);

/// The end of a batch.
const END_OF_BATCH: u16 = 204;

impl Program {
    /// Every subject of a receipt's events. The ids of these callers need no escapes in a subject.
    pub(super) fn events_of(&self, id: &str) -> Result<String, Problem> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
        if !id.bytes().all(plain) {
            return Err(Problem::invalid("an id of letters, digits, `-`, `_` and `~` is needed here"));
        }
        Ok(format!("{}.journal.receipt.{id}.*", self.service))
    }

    /// Takes in what the journal has after the receipt's last known event.
    pub(super) async fn catch_up(&self, id: &str, receipt: &mut Kept) -> Result<(), Problem> {
        match self.loading {
            Loading::DirectGet => self.direct_get(id, receipt).await,
            Loading::OrderedConsumer => self.ordered_consumer(id, receipt).await,
        }
    }

    async fn direct_get(&self, id: &str, receipt: &mut Kept) -> Result<(), Problem> {
        let client = self.jetstream.client();
        let (subject, filter) = (format!("$JS.API.DIRECT.GET.{}", self.stream), self.events_of(id)?);
        loop {
            let inbox = client.new_inbox();
            let mut answers = client.subscribe(inbox.clone()).await.map_err(Problem::store)?;
            let ask = json!({ "seq": receipt.sequence() + 1, "next_by_subj": filter, "batch": BATCH });
            client.publish_with_reply(subject.clone(), inbox, ask.to_string().into()).await.map_err(Problem::store)?;
            loop {
                let answer = tokio::time::timeout(SILENCE, answers.next()).await.map_err(Problem::store)?;
                let answer = answer.ok_or_else(|| Problem::store("the connection was closed"))?;
                match answer.status {
                    None => take_in(receipt, &answer.payload, header(&answer, "Nats-Sequence")?)?,
                    Some(StatusCode::NOT_FOUND) => return Ok(()),
                    Some(status) if status.as_u16() == END_OF_BATCH => {
                        if header(&answer, "Nats-Num-Pending")? == 0 {
                            return Ok(());
                        }
                        break;
                    }
                    Some(status) => return Err(Problem::store(status)),
                }
            }
        }
    }

    async fn ordered_consumer(&self, id: &str, receipt: &mut Kept) -> Result<(), Problem> {
        let start_sequence = receipt.sequence() + 1;
        let config = OrderedConfig {
            deliver_subject: self.jetstream.client().new_inbox(),
            filter_subject: self.events_of(id)?,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ..OrderedConfig::default()
        };
        let stream = self.jetstream.get_stream_no_info(&self.stream).await.map_err(Problem::store)?;
        let consumer = stream.create_consumer(config).await.map_err(Problem::store)?;
        let (name, mut pending) = (consumer.cached_info().name.clone(), consumer.cached_info().num_pending);
        let mut messages = consumer.messages().await.map_err(Problem::store)?;
        while pending > 0 {
            let message = tokio::time::timeout(SILENCE, messages.next()).await.map_err(Problem::store)?;
            let message = message.ok_or_else(|| Problem::store("the consumer ended"))?.map_err(Problem::store)?;
            let info = message.info().map_err(Problem::store)?;
            pending = info.pending;
            let sequence = info.stream_sequence;
            take_in(receipt, &message.payload, sequence)?;
        }
        // A consumer left alone counts against the stream's limit for minutes; nobody has to wait for its end.
        tokio::spawn(async move { stream.delete_consumer(&name).await });
        Ok(())
    }
}

fn take_in(receipt: &mut Kept, body: &[u8], sequence: u64) -> Result<(), Problem> {
    let (revision, event) = stored::read(body).map_err(Problem::store)?;
    if revision != receipt.revision + 1 {
        return Err(Problem::store(format!("revision {revision} follows {}", receipt.revision)));
    }
    receipt.evolve(&event, sequence);
    Ok(())
}

fn header(answer: &Message, name: &str) -> Result<u64, Problem> {
    let value = answer.headers.as_ref().and_then(|headers| headers.get(name));
    let number = value.and_then(|value| value.as_str().parse().ok());
    number.ok_or_else(|| Problem::store(format!("an answer without {name}")))
}
