//! The steps of a command's way that cost processor time, each by itself: shared by the two programs that time them and
//! count their allocations.

mod publishing;
mod routing;

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use headwater::call::{CommandReply, EventSummary, RequestMetadata, ReturnMode};
use headwater::dispatch::{Deadline, Dispatcher};
use headwater::nats::event::{self, Previous};
use headwater::nats::reply::{Served, write_command};
use headwater::nats::request::read_command;
use headwater::nats::subject::Subjects;
use headwater::schema::{PayloadValidator, schema_of};
use headwater::store::MemoryStore;
use headwater::{
    Aggregate, AggregateId, CommandContext, CommandId, Decide, Event, EventId, JSON, Metadata, Name, NewEvent,
    Revision, Sequence,
};
use sample_receipts::domain::{AddItem, ItemRemoved, Receipt, ReceiptEvent};
use serde::Deserialize;
use serde_json::Value;

/// One step, to be run again and again.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut()>,
}

/// What the steps work on: one item added to a receipt of five lines.
#[derive(Clone)]
struct Example {
    subjects: Subjects,
    aggregate: AggregateId,
    command: CommandId,
    metadata: Arc<Metadata>,
    request: Bytes,
    payload: Bytes,
    receipt: Receipt,
    event: ReceiptEvent,
}

const REQUEST: &str = r#"{"aggregateId":"order-12345","command":{"name":"Espresso beans 250 g","price":"5.99","quantity":2},"metadata":{"commandId":"0197c2b4-7d2e-7c31-9c5e-0d2f6a1b3c4d"}}"#;

const PAYLOAD: &str = r#"{"name":"Espresso beans 250 g","price":"5.99","quantity":2}"#;

impl Example {
    fn new() -> Self {
        let aggregate = AggregateId::new(Receipt::TYPE, "order-12345").expect("a good id");
        let command = CommandId::new("0197c2b4-7d2e-7c31-9c5e-0d2f6a1b3c4d").expect("a good id");
        let mut example = Self {
            subjects: Subjects::new(Name::new("receipts").expect("a good name")),
            metadata: Arc::new(Metadata::new(command.clone())),
            receipt: Receipt::init(&aggregate),
            request: Bytes::from_static(REQUEST.as_bytes()),
            payload: Bytes::from_static(PAYLOAD.as_bytes()),
            event: ReceiptEvent::ItemRemoved(removed()),
            aggregate,
            command,
        };
        example.event = example.decide();
        for _ in 0..5 {
            example.receipt.evolve(&example.event);
        }
        example
    }

    fn kind(&self) -> Name {
        self.aggregate.kind().clone()
    }

    fn add_item(&self) -> AddItem {
        serde_json::from_slice(&self.payload).expect("a good payload")
    }

    fn decide(&self) -> ReceiptEvent {
        let context = CommandContext {
            aggregate: self.aggregate.clone(),
            revision: Revision::new(5),
            now: Utc::now(),
            metadata: Arc::clone(&self.metadata),
        };
        let events = self.receipt.decide(self.add_item(), &context).expect("an open receipt");
        events.into_iter().next().expect("one event")
    }

    fn new_event(&self) -> NewEvent {
        NewEvent {
            id: EventId::derive(&self.command, &self.aggregate, 0),
            name: Name::new(self.event.name()).expect("a good name"),
            schema_version: 1,
            time: Utc::now(),
            content_type: JSON.into(),
            data: self.event.encode().expect("texts and numbers").into(),
            metadata: Arc::clone(&self.metadata),
        }
    }

    fn stored(&self) -> Bytes {
        event::encode(self.subjects.service(), &self.aggregate, Revision::new(6), &self.new_event(), &previous())
    }

    fn reply(&self) -> CommandReply {
        let new = self.new_event();
        CommandReply {
            aggregate: self.aggregate.clone(),
            revision: Revision::new(6),
            sequence: Sequence::new(123_456),
            events: vec![EventSummary { id: new.id, name: new.name, revision: Revision::new(6) }],
            state: Some(serde_json::to_vec(&self.receipt).expect("texts and numbers").into()),
            command_id: self.command.clone(),
            correlation_id: None,
            replayed: false,
        }
    }
}

fn removed() -> ItemRemoved {
    ItemRemoved { name: "Espresso beans 250 g".to_owned(), refund_amount: "71.88".parse().expect("an amount") }
}

fn previous() -> Vec<Previous> {
    [123_000, 99_000, 98_000, 50_000, 41].map(|sequence| Previous::At(Sequence::new(sequence))).to_vec()
}

/// All steps, in the order of a command's way.
pub(crate) fn all() -> Vec<Step> {
    let example = Example::new();
    let mut steps = requests(&example);
    steps.extend(domain(&example));
    steps.extend(journal(&example));
    steps.extend(replies(&example));
    steps.push(whole(&example));
    steps.extend(routing::steps());
    steps.extend(publishing::steps());
    steps
}

fn step(name: &'static str, run: impl FnMut() + 'static) -> Step {
    Step { name, run: Box::new(run) }
}

fn requests(example: &Example) -> Vec<Step> {
    let validator = PayloadValidator::new("add-item", &schema_of::<AddItem>()).expect("a good schema");
    let value: Value = serde_json::from_slice(&example.payload).expect("JSON");
    let (request, kind, payload) = (example.request.clone(), example.kind(), example.payload.clone());
    let again = value.clone();
    vec![
        step("request: read", move || {
            black_box(read_command(black_box(&request), kind.clone(), "add-item")).expect("a good request");
        }),
        step("payload: parse", move || {
            black_box(serde_json::from_slice::<Value>(black_box(&payload))).expect("JSON");
        }),
        step("payload: validate", move || black_box(validator.check(black_box(&value))).expect("a good payload")),
        step("payload: to a command", move || {
            black_box(AddItem::deserialize(black_box(&again))).expect("a good payload");
        }),
    ]
}

fn domain(example: &Example) -> Vec<Step> {
    let (deciding, mut evolving) = (example.clone(), example.clone());
    let removal = ReceiptEvent::ItemRemoved(removed());
    evolving.receipt.evolve(&removal);
    let context = CommandContext {
        aggregate: example.aggregate.clone(),
        revision: Revision::new(5),
        now: Utc::now(),
        metadata: Arc::clone(&example.metadata),
    };
    let command = example.add_item();
    vec![
        step("decide (with a copy of the command)", move || {
            black_box(deciding.receipt.decide(black_box(command.clone()), &context)).expect("an open receipt");
        }),
        step("evolve: an item added and removed", move || {
            evolving.receipt.evolve(black_box(&evolving.event));
            evolving.receipt.evolve(black_box(&removal));
        }),
    ]
}

fn journal(example: &Example) -> Vec<Step> {
    let (ids, data, encoding, decoding, subjects, filters) =
        (example.clone(), example.event.clone(), example.clone(), example.clone(), example.clone(), example.clone());
    let (new, places, stored) = (example.new_event(), previous(), example.stored());
    let (name, stored_data) = (new.name.clone(), new.data.clone());
    let event_name = new.name.clone();
    vec![
        step("event: its id", move || {
            black_box(EventId::derive(black_box(&ids.command), &ids.aggregate, 0));
        }),
        step("event: its data as JSON", move || {
            black_box(black_box(&data).encode()).expect("texts and numbers");
        }),
        step("event: encode", move || {
            let (service, aggregate) = (encoding.subjects.service(), &encoding.aggregate);
            black_box(event::encode(service, aggregate, Revision::new(6), black_box(&new), &places));
        }),
        step("event: decode", move || {
            let name = Some("item-added");
            black_box(event::decode(&decoding.aggregate, name, black_box(&stored), Sequence::new(123_456)))
                .expect("a stored event");
        }),
        step("event: its data to the domain's", move || {
            black_box(ReceiptEvent::decode(name.as_str(), black_box(&stored_data))).expect("stored data");
        }),
        step("subject: of an event", move || {
            black_box(subjects.subjects.journal(black_box(&subjects.aggregate), &event_name));
        }),
        step("subject: of a receipt's events", move || {
            black_box(filters.subjects.journal_of(black_box(&filters.aggregate)));
        }),
    ]
}

fn replies(example: &Example) -> Vec<Step> {
    let (receipt, reply) = (example.receipt.clone(), example.reply());
    vec![
        step("state of five lines as JSON", move || {
            black_box(serde_json::to_vec(black_box(&receipt))).expect("texts and numbers");
        }),
        step("reply: write", move || {
            black_box(write_command(black_box(&reply), &Served::now("0197c2b47d2e7c319c5e0d2f6a1b3c4d")));
        }),
    ]
}

/// After how many commands the journal in memory is thrown away.
const COMMANDS_PER_JOURNAL: u32 = 5000;

/// From a request that has been read to a reply that has not been written, with a journal in memory.
fn whole(example: &Example) -> Step {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let dispatcher =
        || Dispatcher::builder(MemoryStore::new()).aggregate::<Receipt>().build().expect("a good description");
    let add = read_command(&example.request, example.kind(), "add-item").expect("a good request");
    let remove = headwater::call::CommandRequest {
        command: "remove-item".to_owned(),
        payload: Bytes::from_static(br#"{"name":"Espresso beans 250 g"}"#),
        return_mode: ReturnMode::Entity,
        ..add.clone()
    };
    let (mut current, mut commands) = (dispatcher(), 0_u32);
    step("a whole command in memory", move || {
        commands += 1;
        if commands.is_multiple_of(COMMANDS_PER_JOURNAL) {
            current = dispatcher();
            commands = 1;
        }
        let mut request = if commands.is_multiple_of(5) { remove.clone() } else { add.clone() };
        request.metadata = RequestMetadata { command_id: Some(CommandId::generate()), ..RequestMetadata::default() };
        let deadline = Deadline::now() + std::time::Duration::from_secs(1);
        black_box(runtime.block_on(current.execute(request, deadline))).expect("it is done");
    })
}
