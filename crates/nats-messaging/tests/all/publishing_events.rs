//! Events of a family through a publisher, in every envelope, in memory and on a server.

use std::sync::Arc;

use headwater_nats_messaging::codec::{Codec, Json, MessagePack, Proto};
use headwater_nats_messaging::consume::{Consume, ConsumerConfig};
use headwater_nats_messaging::envelope::{Envelope, Received};
use headwater_nats_messaging::family::{self, EventFamily};
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::Publish;
use headwater_nats_messaging::publisher::Publisher;
use headwater_nats_messaging::router::Context;
use headwater_testkit::TestServer;
use serde::{Deserialize, Serialize};

use crate::support::{Raw, jetstream, next};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failed {
    till: String,
    reason: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Counted {
    #[prost(uint64, tag = "1")]
    coins: u64,
}

/// Named fields, a payload, one of Protocol Buffers, and nothing; names that are subjects, and one that is not.
#[derive(Debug, Clone, PartialEq, EventFamily)]
#[event(reads = "till.>")]
enum TillEvent {
    #[event(name = "till.opened")]
    Opened { till_id: String, float: u32 },
    #[event(name = "till.failed", subject = "till.{till}.failed")]
    Failed(Failed),
    #[event(name = "till.counted")]
    Counted(Proto<Counted>),
    #[event(name = "till.closed")]
    Closed,
}

const ENVELOPES: [Envelope; 4] = [Envelope::CloudEvents, Envelope::CloudEventsBinary, Envelope::Flat, Envelope::Bare];

/// Each event, its subject, and its data: in JSON, or as it is in whatever format.
fn events() -> [(TillEvent, &'static str, &'static str); 4] {
    let failed = Failed { till: "no. 4".to_owned(), reason: "jammed".to_owned() };
    [
        (TillEvent::Opened { till_id: "4".to_owned(), float: 50 }, "till.opened", r#"{"tillId":"4","float":50}"#),
        (TillEvent::Failed(failed), "till.no%2E%204.failed", r#"{"till":"no. 4","reason":"jammed"}"#),
        (TillEvent::Counted(Proto(Counted { coins: 7 })), "till.counted", "\u{8}\u{7}"),
        (TillEvent::Closed, "till.closed", "{}"),
    ]
}

/// Publishes every event in this envelope and format, and reads it back as a handler would.
async fn come_back_as_they_were(port: &(impl Publish + Consume + Clone), envelope: Envelope, codec: impl Codec + Copy) {
    let durable = format!("{envelope:?}-{}", codec.content_type().replace('/', "-"));
    let mut tills = port.open(ConsumerConfig::new("TILLS", durable.clone())).await.unwrap();
    let builder = Publisher::builder(Arc::new(port.clone()), "/shop/till").tenant("north");
    let publisher = builder.envelope(envelope).codec(codec).build().unwrap();
    for (place, (event, subject, json)) in events().into_iter().enumerate() {
        let id = format!("{durable} {place}");
        let publish = || publisher.publish_event(&event).id(&*id).about("till 4");
        assert!(!publish().await.unwrap().duplicate);
        assert!(publish().await.unwrap().duplicate, "an event with a known id is not stored again");

        let delivery = next(&mut tills).await;
        delivery.ack().await.unwrap();
        let Message { subject: found, headers, .. } = &delivery.message;
        assert_eq!((found.as_str(), headers.get("Nats-Msg-Id")), (subject, Some(&*id)), "{durable}");
        let received = Received::read(&delivery.message).unwrap();
        assert_eq!(received.envelope(), envelope);
        match received.attributes() {
            None => assert_eq!(envelope, Envelope::Bare),
            Some(said) => {
                assert_eq!((&*said.event_type, &*said.source), (event.name(), "/shop/till"), "{durable}");
                assert_eq!((said.tenant_id.as_deref(), said.subject.as_deref()), (Some("north"), Some("till 4")));
            }
        }
        let is_proto = matches!(event, TillEvent::Counted(_));
        let content_type = if is_proto { "application/protobuf" } else { codec.content_type() };
        // A flat envelope says so only of what is not JSON.
        let said = Some(received.content_type()).filter(|said| !said.is_empty()).unwrap_or("application/json");
        assert_eq!(said, content_type, "{durable}: {event:?}");
        if content_type != MessagePack.content_type() {
            assert_eq!(received.data().unwrap(), json, "{durable}");
        }
        let context = Context::of_event(Arc::new(delivery));
        assert_eq!(family::read::<TillEvent>(&context).unwrap(), event, "{durable}");
    }
    // The same by the window: the receipts tell where they stand.
    let last = publisher.publish_event(&TillEvent::Closed).enqueue().await.unwrap().await.unwrap();
    assert_eq!(next(&mut tills).await.context.sequence, last.sequence);
    publisher.close().await.unwrap();
}

async fn come_back_in_every_envelope_and_format(port: &(impl Publish + Consume + Clone), clear: impl AsyncFn()) {
    for envelope in ENVELOPES {
        come_back_as_they_were(port, envelope, Json).await;
        clear().await;
        come_back_as_they_were(port, envelope, MessagePack).await;
        clear().await;
    }
}

#[tokio::test]
async fn events_of_a_family_come_back_in_every_envelope_in_memory() {
    let broker = MemoryBroker::new();
    broker.stream("TILLS", ["till.>"]).unwrap();
    let purge = async || assert!(broker.purge("TILLS"));
    come_back_in_every_envelope_and_format(&broker, purge).await;
}

#[tokio::test]
async fn events_of_a_family_come_back_in_every_envelope_on_a_server() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("TILLS", &["till.>"]).await;
    let jetstream = jetstream(&server).await;
    let purge = async || drop(raw.api("STREAM.PURGE.TILLS", serde_json::Value::Null).await);
    come_back_in_every_envelope_and_format(&jetstream, purge).await;
}

#[tokio::test]
async fn events_of_a_family_go_under_the_publishers_prefix_and_keep_their_names() {
    let broker = MemoryBroker::new();
    broker.stream("TILLS", ["shop.till.>"]).unwrap();
    let publisher = Publisher::builder(Arc::new(broker.clone()), "/shop").prefix("shop").build().unwrap();
    publisher.publish_event(&TillEvent::Closed).await.unwrap();
    let [message] = &broker.messages("TILLS")[..] else { panic!("one message") };
    let received = Received::read(message).unwrap();
    let said = received.attributes().unwrap();
    assert_eq!((message.subject.as_str(), said.event_type.as_str()), ("shop.till.closed", "till.closed"));
}
