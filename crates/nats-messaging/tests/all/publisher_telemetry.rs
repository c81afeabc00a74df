//! What a publisher records, and the trace that its messages carry.

use std::sync::Arc;

use headwater_nats::telemetry::{Telemetry, context, names, within};
use headwater_nats_messaging::envelope::Received;
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::publisher::{Publisher, RetryPolicy};
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};

use crate::support::measured::Meter;
use crate::support::scripted::{Answer, Scripted};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn caller() -> Context {
    within(context::parse(CALLER, None).unwrap())
}

fn spans() -> (Telemetry, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    (Telemetry::default().metrics(false).tracer_provider(provider), exporter)
}

fn attribute(span: &SpanData, name: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| attribute.value.clone())
}

fn broker() -> MemoryBroker {
    let broker = MemoryBroker::new();
    broker.stream("ORDERS", ["orders.>"]).unwrap();
    broker
}

#[tokio::test]
async fn a_message_has_a_span_in_its_senders_trace_and_names_it() {
    let (telemetry, exporter) = spans();
    let broker = broker();
    let publisher = Publisher::builder(Arc::new(broker.clone()), "/till").telemetry(telemetry).build().unwrap();
    let publishing = async { publisher.publish("orders.7.placed", &1).event_type("order-placed").await.unwrap() };
    publishing.with_context(caller()).await;

    let [span] = &exporter.get_finished_spans().unwrap()[..] else { panic!("one span") };
    assert_eq!((&*span.name, &span.span_kind), ("publish order-placed", &SpanKind::Producer));
    let parent = context::parse(CALLER, None).unwrap();
    assert_eq!((span.span_context.trace_id(), span.parent_span_id), (parent.trace_id(), parent.span_id()));
    for (name, value) in [
        (names::MESSAGING_SYSTEM, "nats"),
        (names::MESSAGING_DESTINATION_NAME, "ORDERS"),
        (names::MESSAGING_DESTINATION_TEMPLATE, "order-placed"),
        (names::EVENT, "order-placed"),
        (names::OUTCOME, "ok"),
        (names::PUBLISHER, "/till"),
    ] {
        assert_eq!(attribute(span, name), Some(value.into()), "{name}");
    }
    assert_eq!(attribute(span, names::MESSAGING_MESSAGE_ID), None);

    let message = &broker.messages("ORDERS")[0];
    let named = message.headers.get("traceparent").unwrap();
    assert_eq!(context::parse(named, None).unwrap().span_id(), span.span_context.span_id());
    assert_eq!(Received::read(message).unwrap().attributes().unwrap().traceparent.as_deref(), Some(named));
}

#[tokio::test]
async fn without_telemetry_the_senders_trace_goes_on() {
    let broker = broker();
    let publisher = Publisher::builder(Arc::new(broker.clone()), "/till").build().unwrap();
    async { publisher.enqueue("orders.placed", &1).await.unwrap().await.unwrap() }.with_context(caller()).await;
    assert_eq!(broker.messages("ORDERS")[0].headers.get("traceparent"), Some(CALLER));
}

#[tokio::test(start_paused = true)]
async fn a_span_says_what_went_wrong_and_shows_no_subject() {
    let (telemetry, exporter) = spans();
    let port = Scripted::new([Answer::Unavailable, Answer::Unavailable]);
    let builder = Publisher::builder(port, "/till").telemetry(telemetry).retry(RetryPolicy::default().attempts(2));
    let publisher = builder.build().unwrap();
    publisher.publish("orders.customer-7", &1).await.unwrap_err();
    let [span] = &exporter.get_finished_spans().unwrap()[..] else { panic!("one span") };
    assert_eq!(span.name, "publish orders.>");
    assert_eq!(span.status, Status::error("unavailable"));
    assert_eq!(attribute(span, names::ERROR_TYPE), Some("unavailable".into()));
    assert_eq!(attribute(span, names::ATTEMPT), Some(2.into()));
    assert!(!format!("{span:?}").contains("customer-7"), "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_are_counted_by_stream_and_outcome_and_never_by_subject() {
    let meter = Meter::new();
    let port = Scripted::new([Answer::Stored, Answer::Unavailable, Answer::Duplicate, Answer::Refused]);
    let publisher = Publisher::builder(port, "/till").telemetry(meter.telemetry()).build().unwrap();
    for subject in ["orders.customer-1", "orders.customer-2", "orders.customer-3"] {
        let _ = publisher.publish(subject, &1).await;
    }
    let measured = meter.read();
    let outcomes = measured.outcomes(names::OPERATION_DURATION);
    assert_eq!(outcomes, [("duplicate".to_owned(), 1), ("ok".to_owned(), 1), ("refused".to_owned(), 1)]);
    assert_eq!((measured.sum(names::SENT_MESSAGES), measured.sum(names::PUBLISHER_REPEATED)), (1, 1));
    assert_eq!(measured.sum(names::PUBLISHER_IN_FLIGHT), 0);
}
