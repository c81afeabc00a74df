//! Readers with the aggregate's own event type: old data is brought up to date, and what is not known is shown as such.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use headwater_core::client::TypedEvent;
use headwater_core::store::EventFilter;
use headwater_core::{Aggregate, AggregateId, DecodeError, Event, EventType, NeverRejected, Upcasters};
use headwater_nats_client::NatsClient;
use headwater_nats_client::durable::Delivery;
use headwater_testkit::{TestServer, wait_until};
use journal::{Journal, LONG, connect, name, reader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Receipt;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
enum ReceiptEvent {
    ItemAdded { name: String, currency: String },
    Finalized {},
}

#[derive(Deserialize)]
struct Added {
    name: String,
    currency: String,
}

impl Event for ReceiptEvent {
    fn types() -> Vec<EventType> {
        [("item-added", 2), ("finalized", 1)]
            .map(|(name, schema_version)| EventType {
                name,
                schema_version,
                schema: |generator| generator.subschema_for::<Self>(),
            })
            .to_vec()
    }

    fn name(&self) -> &'static str {
        match self {
            Self::ItemAdded { .. } => "item-added",
            Self::Finalized {} => "finalized",
        }
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        match name {
            "item-added" => {
                let added: Added = serde_json::from_slice(data)
                    .map_err(|source| DecodeError::Data { name: name.to_owned(), source })?;
                Ok(Self::ItemAdded { name: added.name, currency: added.currency })
            }
            "finalized" => Ok(Self::Finalized {}),
            _ => Err(DecodeError::UnknownEvent { name: name.to_owned() }),
        }
    }

    fn upcasters() -> Upcasters {
        // Version 1 had no currency.
        Upcasters::new().rewrite("item-added", 1, |mut data| {
            data["currency"] = json!("EUR");
            Ok(data)
        })
    }
}

impl Aggregate for Receipt {
    const TYPE: &'static str = "receipt";
    type Event = ReceiptEvent;
    type Rejection = NeverRejected;

    fn init(_: &AggregateId) -> Self {
        Self
    }

    fn evolve(&mut self, _: &ReceiptEvent) {}
}

/// What a typed reader makes of the journal: the events, or what is wrong with them.
fn read(event: &TypedEvent<ReceiptEvent>) -> String {
    match &event.decoded {
        Ok(events) => format!("{events:?}"),
        Err(error) => error.to_string(),
    }
}

const EXPECTED: [&str; 4] = [
    r#"[ItemAdded { name: "Coffee", currency: "EUR" }]"#,
    "there is no event called `voided`",
    "the data of `item-added` does not fit its type",
    "[Finalized]",
];

async fn world() -> (TestServer, Journal) {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let (one, invoice) = (journal::receipt("one"), AggregateId::new("invoice", "one").unwrap());
    journal.append_to(&one, "item-added", r#"{"name":"Coffee"}"#).await;
    journal.append_to(&invoice, "item-added", "{}").await;
    journal.append_to(&one, "voided", "{}").await;
    journal.append_to(&one, "item-added", r#"{"name":7}"#).await;
    journal.append_to(&one, "finalized", "{}").await;
    (server, journal)
}

#[tokio::test]
async fn a_durable_reader_is_shown_typed_events_of_its_aggregate_type() {
    let (server, _journal) = world().await;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let reader = reader(connect(&server.url()).await, "totals").of::<Receipt>().build().unwrap();
    let running = {
        let shown = Arc::clone(&shown);
        let handler = move |delivery: Delivery<TypedEvent<ReceiptEvent>>| {
            shown.lock().unwrap().push(read(&delivery.event));
            async { Ok::<_, String>(()) }
        };
        reader.run_typed(handler).await.unwrap()
    };
    let all = async || (shown.lock().unwrap().len() == 4).then_some(());
    wait_until(LONG, "four events", all).await;
    let stats = running.stop().await.unwrap();
    assert_eq!(*shown.lock().unwrap(), EXPECTED);
    assert_eq!((stats.handled, stats.failures), (4, 0));
}

#[tokio::test]
async fn a_follower_is_shown_typed_events() {
    let (server, _journal) = world().await;
    let client = NatsClient::new(connect(&server.url()).await, name("receipts"));
    let following = client.follow().filter(EventFilter::all().kind(name("receipt"))).await.unwrap();
    let events: Vec<_> = following.typed::<ReceiptEvent>().take(4).map(|event| read(&event.unwrap())).collect().await;
    assert_eq!(events, EXPECTED);
}
