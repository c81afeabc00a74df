//! A command's way: read, decided, stored, answered.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use sample_receipts::domain::{
    AddItem, AddItems, Item, ItemAdded, ItemRemoved, Receipt, ReceiptEvent, RemoveItem, Status,
};
use serde::Deserialize;
use uuid::Uuid;

use super::receipts::{Kept, Shared};
use super::replies::{Done, EventSummary};
use super::requests::{Command, CommandRequest, Problem, Return};
use super::{Program, replies, requests, stored};

/// How long a command may take before it is given up. Commands that race can be unlucky for long.
const LIMIT: Duration = Duration::from_secs(20);

/// `wrong last sequence`, and the same while another write is under way.
const WRONG_LAST_SEQUENCE: [ErrorCode; 2] =
    [ErrorCode::STREAM_WRONG_LAST_SEQUENCE, ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT];

/// What became of an append.
enum Appended {
    /// Stored; the last event at this sequence.
    Stored(u64),
    /// The receipt's history does not end where it was thought to.
    Conflict,
}

/// A command that was found good.
struct Call<'a> {
    request: CommandRequest<'a>,
    command: Command,
    command_id: Cow<'a, str>,
    started: Instant,
}

/// What a command comes to.
struct Decided {
    /// The revision it was decided on.
    before: u64,
    events: Vec<ReceiptEvent>,
    summaries: Vec<EventSummary>,
}

impl Decided {
    /// Takes its events, the last of which is stored at `last`, into the receipt they were decided on.
    fn evolve(&self, receipt: &mut Kept, last: u64) {
        let backwards = (0..self.events.len() as u64).rev();
        self.events.iter().zip(backwards).for_each(|(event, back)| receipt.evolve(event, last - back));
    }
}

/// An event, ready to be stored.
struct EventMessage {
    subject: String,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Deserialize)]
struct Ack {
    seq: u64,
    /// How many messages of a batch were stored.
    count: Option<usize>,
}

impl Program {
    pub(super) async fn command(&self, name: &str, body: &[u8]) -> Result<Vec<u8>, Problem> {
        let started = Instant::now();
        let mut request = requests::command(body)?;
        let command = requests::payload(name, request.command)?;
        let command_id = request.metadata.command_id.take().unwrap_or_else(|| Uuid::now_v7().to_string().into());
        let kept = self.receipt(&request.aggregate_id).await?;
        let call = Call { request, command, command_id, started };
        if self.in_turn { self.in_turn(&call, &kept).await } else { self.racing(&call, &kept).await }
    }

    /// Nobody else in this process works with the receipt meanwhile.
    async fn in_turn(&self, call: &Call<'_>, kept: &Shared) -> Result<Vec<u8>, Problem> {
        let mut receipt = kept.lock().await;
        while call.started.elapsed() < LIMIT {
            let (decided, messages) = self.decide(call, &receipt)?;
            match self.publish(messages).await? {
                Appended::Stored(last) => {
                    decided.evolve(&mut receipt, last);
                    return Ok(self.done(call, &decided, last, &receipt));
                }
                Appended::Conflict => self.catch_up(&call.request.aggregate_id, &mut receipt).await?,
            }
        }
        Err(contended())
    }

    /// Others may be faster; then the newest events are read and the command is decided again.
    async fn racing(&self, call: &Call<'_>, kept: &Shared) -> Result<Vec<u8>, Problem> {
        while call.started.elapsed() < LIMIT {
            let (decided, messages) = {
                let receipt = kept.lock().await;
                self.decide(call, &receipt)?
            };
            let appended = self.publish(messages).await?;
            let mut receipt = kept.lock().await;
            match appended {
                Appended::Stored(last) => {
                    if receipt.revision == decided.before {
                        decided.evolve(&mut receipt, last);
                    }
                    return Ok(self.done(call, &decided, last, &receipt));
                }
                // Unless somebody has read on in the meantime.
                Appended::Conflict if receipt.revision == decided.before => {
                    self.catch_up(&call.request.aggregate_id, &mut receipt).await?;
                }
                Appended::Conflict => {}
            }
        }
        Err(contended())
    }

    /// What happens to the receipt as it is, and the messages that say so.
    fn decide(&self, call: &Call<'_>, receipt: &Kept) -> Result<(Decided, Vec<EventMessage>), Problem> {
        if call.request.expected_revision.is_some_and(|expected| expected != receipt.revision) {
            return Err(Problem::new(409, "conflict", format!("the receipt is at revision {}", receipt.revision)));
        }
        let events = decide(&receipt.state, &call.command)?;
        let (messages, summaries) = self.messages(call, receipt, &events)?;
        Ok((Decided { before: receipt.revision, events, summaries }, messages))
    }

    fn done(&self, call: &Call<'_>, decided: &Decided, last: u64, receipt: &Kept) -> Vec<u8> {
        let Call { request, command_id, started, .. } = call;
        let done = Done {
            revision: decided.before + decided.events.len() as u64,
            sequence: last,
            events: &decided.summaries,
            state: (request.r#return == Return::Entity).then_some(&receipt.state),
            command: command_id,
            correlation: request.metadata.correlation_id.as_deref(),
        };
        replies::done(&request.aggregate_id, &done, &self.instance, started.elapsed())
    }

    fn messages(
        &self,
        call: &Call<'_>,
        receipt: &Kept,
        events: &[ReceiptEvent],
    ) -> Result<(Vec<EventMessage>, Vec<EventSummary>), Problem> {
        let id = &*call.request.aggregate_id;
        let (source, filter) = (format!("/{}", self.service), self.events_of(id)?);
        let all = filter.trim_end_matches('*');
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let mut messages = Vec::with_capacity(events.len());
        let mut summaries = Vec::with_capacity(events.len());
        for (place, event) in events.iter().enumerate() {
            let (name, event_id) = (stored::name_of(event), stored::id_of(&call.command_id, id, place));
            let revision = receipt.revision + 1 + place as u64;
            let body = stored::Body {
                specversion: "1.0",
                id: event_id,
                source: &source,
                r#type: name,
                subject: id,
                time: &time,
                datacontenttype: "application/json",
                aggregatetype: "receipt",
                revision,
                schemaversion: 1,
                commandid: &call.command_id,
                correlationid: call.request.metadata.correlation_id.as_deref(),
                previous: stored::previous(place, &receipt.recent),
                data: stored::data_of(event),
            };
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", event_id.to_string());
            if place == 0 {
                headers.insert("Nats-Expected-Last-Subject-Sequence", receipt.sequence().to_string());
                headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", filter.as_str());
            }
            let body = serde_json::to_vec(&body).expect("texts and numbers can be written").into();
            messages.push(EventMessage { subject: format!("{all}{name}"), headers, body });
            summaries.push(EventSummary { id: event_id, name, revision });
        }
        Ok((messages, summaries))
    }

    /// One message goes out plainly, several as one atomic batch. The acknowledgement is awaited.
    async fn publish(&self, mut messages: Vec<EventMessage>) -> Result<Appended, Problem> {
        let count = messages.len();
        let client = self.jetstream.client();
        if count > 1 {
            let batch = Uuid::now_v7().simple().to_string();
            for (message, place) in messages.iter_mut().zip(1..) {
                message.headers.insert("Nats-Batch-Id", batch.as_str());
                message.headers.insert("Nats-Batch-Sequence", place.to_string());
            }
        }
        let Some(mut last) = messages.pop() else { return Err(Problem::invalid("nothing happened")) };
        if count > 1 {
            last.headers.insert("Nats-Batch-Commit", "1");
        }
        for EventMessage { subject, headers, body } in messages {
            client.publish_with_headers(subject, headers, body).await.map_err(Problem::store)?;
        }
        let EventMessage { subject, headers, body } = last;
        let ack = client.request_with_headers(subject, headers, body).await.map_err(Problem::store)?;
        match serde_json::from_slice(&ack.payload).map_err(Problem::store)? {
            Response::Err { error } if WRONG_LAST_SEQUENCE.contains(&error.error_code()) => Ok(Appended::Conflict),
            Response::Err { error } => Err(Problem::store(error)),
            Response::Ok(Ack { count: stored, .. }) if count > 1 && stored != Some(count) => {
                Err(Problem::store("the batch was not stored as one"))
            }
            Response::Ok(Ack { seq, .. }) => Ok(Appended::Stored(seq)),
        }
    }
}

fn contended() -> Problem {
    Problem::new(503, "unavailable", "others keep changing this receipt")
}

fn decide(receipt: &Receipt, command: &Command) -> Result<Vec<ReceiptEvent>, Problem> {
    let rejected = |why: &str| Problem::new(422, "command-rejected", why);
    if receipt.status != Status::Open {
        return Err(rejected("the receipt is not open"));
    }
    match command {
        Command::AddItem(item) => Ok(vec![added(item)]),
        Command::AddItems(AddItems { items }) => Ok(items.iter().map(added).collect()),
        Command::RemoveItem(RemoveItem { name }) => {
            let mut lines = receipt.items.iter().filter(|item| item.name == *name).peekable();
            if lines.peek().is_none() {
                return Err(rejected("there is no such item on the receipt"));
            }
            let refund_amount = lines.map(Item::total).sum();
            Ok(vec![ReceiptEvent::ItemRemoved(ItemRemoved { name: name.clone(), refund_amount })])
        }
    }
}

fn added(item: &AddItem) -> ReceiptEvent {
    ReceiptEvent::ItemAdded(ItemAdded {
        name: item.name.clone(),
        price: item.price,
        quantity: item.quantity,
        line_total: item.price.times(item.quantity),
    })
}
