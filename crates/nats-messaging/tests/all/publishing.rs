//! One message after the other through a publisher.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use headwater_nats_messaging::codec::{Codecs, MessagePack, Raw};
use headwater_nats_messaging::envelope::{Attributes, Envelope, Received};
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::{Publish, PublishError};
use headwater_nats_messaging::publisher::{Outcome, Publisher, PublisherBuilder, PublisherError, Report, RetryPolicy};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::scripted::{Answer, Scripted};

fn broker() -> MemoryBroker {
    let broker = MemoryBroker::new();
    broker.stream("ORDERS", ["shop.>"]).unwrap();
    broker
}

fn on(port: &Arc<impl Publish>) -> PublisherBuilder {
    let port: Arc<dyn Publish> = Arc::clone(port) as _;
    Publisher::builder(port, "/shop/till").prefix("shop")
}

/// What hooks are told: outcome, attempts, and whether there was an error.
type Told = Arc<Mutex<Vec<(Outcome, u32, bool)>>>;

fn telling(builder: PublisherBuilder) -> (Publisher, Told) {
    let told = Told::default();
    let tell = {
        let told = Arc::clone(&told);
        move |report: &Report<'_>| {
            assert!(report.subject.starts_with("shop.") && !report.id.is_empty(), "{report:?}");
            told.lock().unwrap().push((report.outcome, report.attempts, report.error.is_some()));
        }
    };
    (builder.on_publish(tell).build().unwrap(), told)
}

fn attributes(message: &Message) -> Attributes {
    Received::read(message).unwrap().attributes().unwrap().clone()
}

#[tokio::test]
async fn what_a_message_does_not_say_is_filled_in() {
    let broker = broker();
    let publisher = on(&Arc::new(broker.clone())).tenant("north").build().unwrap();
    let before = Utc::now();
    let stored = publisher.publish("orders.placed", &["tea"]).await.unwrap();
    assert_eq!((stored.stream.as_str(), stored.sequence, stored.duplicate), ("ORDERS", 1, false));

    let [message] = &broker.messages("ORDERS")[..] else { panic!("one message") };
    assert_eq!(message.subject, "shop.orders.placed");
    let said = attributes(message);
    assert_eq!(Uuid::parse_str(&said.id).unwrap().get_version_num(), 7);
    assert_eq!(message.message_id(), Some(&*said.id));
    assert_eq!((&*said.source, &*said.event_type), ("/shop/till", "orders.placed"));
    assert_eq!((said.tenant_id.as_deref(), said.correlation_id.as_deref()), (Some("north"), Some(&*said.id)));
    let time = said.time.unwrap();
    assert!(time >= before - chrono::TimeDelta::milliseconds(1) && time <= Utc::now(), "{time}");
    assert_eq!((said.causation_id, said.user_id, said.traceparent), (None, None, None));
}

#[tokio::test]
async fn what_a_message_says_itself_is_kept() {
    let broker = broker();
    let publisher = on(&Arc::new(broker.clone())).tenant("north").envelope(Envelope::Flat).build().unwrap();
    let publishing = publisher.publish("orders", &7).id("o-7").event_type("order-placed").about("order-7");
    let publishing = publishing.tenant("south").user("Zoë").correlation_id("c").causation_id("e").schema_version("3");
    let publishing = publishing.extension("till", 4).time(chrono::DateTime::UNIX_EPOCH);
    publishing.header("Priority", "high").header("Content-Type", "text/plain").await.unwrap();

    let [message] = &broker.messages("ORDERS")[..] else { panic!("one message") };
    assert_eq!(
        (message.headers.get("Priority"), message.headers.get("Content-Type")),
        (Some("high"), Some("application/json"))
    );
    let said = attributes(message);
    assert_eq!((&*said.id, &*said.event_type, said.subject.as_deref()), ("o-7", "order-placed", Some("order-7")));
    assert_eq!((said.tenant_id.as_deref(), said.user_id.as_deref()), (Some("south"), Some("Zoë")));
    assert_eq!((said.correlation_id.as_deref(), said.causation_id.as_deref()), (Some("c"), Some("e")));
    assert_eq!((said.schema_version.as_deref(), said.time), (Some("3"), Some(chrono::DateTime::UNIX_EPOCH)));
    assert_eq!(said.extensions["till"], 4);
}

#[tokio::test]
async fn a_message_that_another_one_caused_goes_on_with_its_conversation() {
    let broker = broker();
    let publisher = on(&Arc::new(broker.clone())).build().unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let cause = Attributes {
        tenant_id: Some("north".to_owned()),
        correlation_id: Some("c-1".to_owned()),
        traceparent: Some(trace.to_owned()),
        ..Attributes::new("e-1", "/web", "clicked")
    };
    let cause = Envelope::CloudEvents.write("web", &cause, &(), &headwater_nats_messaging::codec::Json).unwrap();
    publisher.publish("orders", &1).caused_by(&Received::read(&cause).unwrap()).await.unwrap();
    let said = attributes(&broker.messages("ORDERS")[0]);
    assert_eq!((said.correlation_id.as_deref(), said.causation_id.as_deref()), (Some("c-1"), Some("e-1")));
    assert_eq!((said.tenant_id.as_deref(), said.traceparent.as_deref()), (Some("north"), Some(trace)));
    assert_eq!(broker.messages("ORDERS")[0].headers.get("traceparent"), Some(trace));
}

#[tokio::test]
async fn a_repeated_id_is_told_as_a_duplicate() {
    let broker = broker();
    let (publisher, told) = telling(on(&Arc::new(broker.clone())));
    for _ in 0..2 {
        publisher.publish("orders", &1).id("o-1").await.unwrap();
    }
    assert_eq!(broker.messages("ORDERS").len(), 1);
    assert_eq!(*told.lock().unwrap(), [(Outcome::Stored, 1, false), (Outcome::Duplicate, 1, false)]);
}

#[tokio::test]
async fn every_format_goes_through_every_envelope() {
    let broker = broker();
    for envelope in [Envelope::CloudEvents, Envelope::CloudEventsBinary, Envelope::Flat, Envelope::Bare] {
        let publisher = on(&Arc::new(broker.clone())).envelope(envelope).codec(MessagePack).build().unwrap();
        publisher.publish("orders", &("tea", 2)).await.unwrap();
        publisher.publish("orders", &Raw::of_type("text/plain", "tea")).await.unwrap();
        let [.., packed, raw] = &broker.messages("ORDERS")[..] else { panic!("two messages") };
        let packed = Received::read(packed).unwrap();
        assert_eq!((packed.envelope(), packed.content_type()), (envelope, "application/msgpack"));
        assert_eq!(packed.payload::<(String, u8)>(&Codecs::default()).unwrap(), ("tea".to_owned(), 2));
        assert_eq!(Received::read(raw).unwrap().data().unwrap(), "tea");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_stored_is_tried_again_with_growing_pauses() {
    let port = Scripted::new([Answer::Unsent, Answer::Unavailable, Answer::Unavailable]);
    let (publisher, told) = telling(on(&port));
    let began = Instant::now();
    let stored = publisher.publish("orders", &1).await.unwrap();
    assert!(!stored.duplicate);
    // Half to the whole of 50, 100 and 200 ms.
    let took = began.elapsed().as_millis();
    assert!((175..=360).contains(&took), "{took}");
    let ids: Vec<_> = port.sent().iter().map(|message| message.message_id().unwrap().to_owned()).collect();
    assert!(ids.len() == 4 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(*told.lock().unwrap(), [(Outcome::Stored, 4, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_settled_by_the_same_id() {
    let port = Scripted::new([Answer::Unknown, Answer::Silence, Answer::Duplicate]);
    let (publisher, told) = telling(on(&port));
    assert!(publisher.publish("orders", &1).await.unwrap().duplicate);
    // The duplicate is the message itself.
    assert_eq!(*told.lock().unwrap(), [(Outcome::Stored, 3, false)]);
}

#[tokio::test(start_paused = true)]
async fn once_nobody_knows_no_later_failure_says_that_it_is_not_stored() {
    for last in [Answer::Unsent, Answer::Refused, Answer::NoStream] {
        let port = Scripted::new([Answer::Unknown, last]);
        let (publisher, told) = telling(on(&port).retry(RetryPolicy::default().attempts(2)));
        let error = publisher.publish("orders", &1).id("o-1").await.unwrap_err();
        let PublisherError::Unknown { subject, id, attempts: 2, .. } = &error else { panic!("{error:?}") };
        assert_eq!((&**subject, &**id), ("shop.orders", "o-1"));
        assert!(error.is_unknown());
        assert_eq!(*told.lock().unwrap(), [(Outcome::Unknown, 2, true)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_tried_again_unless_told() {
    for answer in [Answer::Refused, Answer::NoStream] {
        let port = Scripted::new([answer]);
        let (publisher, told) = telling(on(&port));
        let error = publisher.publish("orders", &1).await.unwrap_err();
        let expected = match error.publish_error().unwrap() {
            PublishError::Refused { .. } => Answer::Refused,
            PublishError::NoStream { .. } => Answer::NoStream,
            other => panic!("{other:?}"),
        };
        assert_eq!((expected, error.is_unknown()), (answer, false));
        assert_eq!(*told.lock().unwrap(), [(Outcome::Failed, 1, true)]);

        let port = Scripted::new([answer]);
        let told_to = RetryPolicy::default().retry_no_stream(true).retry_refused(true);
        on(&port).retry(told_to).build().unwrap().publish("orders", &1).await.unwrap();
        assert_eq!(port.sent().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_past_its_deadline() {
    let port = Scripted::new([Answer::Unavailable; 100]);
    let policy = RetryPolicy::default().attempts(100);
    let (publisher, told) = telling(on(&port).retry(policy).timeout(Duration::from_secs(3)));
    for limit in [3_000, 1_000, 5_000] {
        let publishing = publisher.publish("orders", &1);
        let began = Instant::now();
        let publishing = match limit {
            3_000 => publishing,
            1_000 => publishing.timeout(Duration::from_secs(1)),
            _ => publishing.deadline(began + Duration::from_secs(5)),
        };
        let error = publishing.await.unwrap_err();
        assert!(matches!(error, PublisherError::NotStored { .. }), "{error:?}");
        let took = began.elapsed().as_millis();
        assert!(took <= limit && took + 2_100 > limit, "{took} of {limit}");
    }
    assert!(told.lock().unwrap().iter().all(|told| told.0 == Outcome::Failed));

    let silent = Scripted::new([Answer::Silence; 100]);
    let began = Instant::now();
    let publisher = on(&silent).retry(RetryPolicy::default().attempt_timeout(Duration::from_secs(1))).build().unwrap();
    let error = publisher.publish("orders", &1).timeout(Duration::from_millis(2_500)).await.unwrap_err();
    assert!(error.is_unknown() && began.elapsed() <= Duration::from_millis(2_501), "{error:?}");
    assert!(silent.sent().len() >= 2);
}

#[tokio::test]
async fn what_cannot_be_written_or_is_too_large_is_told_and_never_sent() {
    let port = Scripted::new([]);
    let (publisher, told) = telling(on(&port).max_size(1_000));
    let map = std::collections::BTreeMap::from([((1, 2), "SECRET")]);
    let error = publisher.publish("orders", &map).await.unwrap_err();
    assert!(matches!(error, PublisherError::Write { .. }), "{error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("application/json") && !source.contains("SECRET"), "{source}");

    let error = publisher.publish("orders", &1).extension("No Name", 1).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("`No Name`"), "{error:?}");

    let error = publisher.publish("orders", &"x".repeat(1_000)).await.unwrap_err();
    let PublisherError::TooLarge { limit: 1_000, size, .. } = error else { panic!("{error:?}") };
    assert!(size > 1_000);
    assert!(port.sent().is_empty());
    assert_eq!(*told.lock().unwrap(), [(Outcome::Failed, 0, true); 3]);
}

#[tokio::test]
async fn a_hook_that_panics_takes_nothing_down() {
    let broker = broker();
    let builder = on(&Arc::new(broker.clone())).on_publish(|_| panic!("a hook of the test's own"));
    let publisher = builder.build().unwrap();
    publisher.publish("orders", &1).await.unwrap();
    publisher.enqueue("orders", &2).await.unwrap().await.unwrap();
    publisher.flush().await.unwrap();
    assert_eq!(broker.messages("ORDERS").len(), 2);
}

#[test]
fn every_setting_that_makes_no_sense_is_named() {
    let builder = Publisher::builder(Scripted::new([]), "a source").prefix("a..b").window(0).timeout(Duration::ZERO);
    let told = builder.build().unwrap_err().to_string();
    for name in ["prefix: ", "`source` ", "window: 0", "timeout: "] {
        assert!(told.contains(name), "{name} in {told}");
    }
}
