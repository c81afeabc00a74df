//! Spans of messages in their handlers, and the spans that the messages were sent in.

use std::time::Duration;

use headwater_nats::telemetry::{ReaderSpans, Telemetry, context, names};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::router::{Reply, Router, State};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tokio::time::Instant;

use super::{Notes, memory};
use crate::support::{PATIENCE, publish};

const SENDER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn an_event_is_linked_to_the_span_it_was_sent_in_and_a_request_is_its_child() {
    for spans in [ReaderSpans::Link, ReaderSpans::Child] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        // The exporter forgets everything when the last one who holds its provider is gone.
        let _provider = provider.clone();
        let telemetry = Telemetry::default().metrics(false).reader_spans(spans).tracer_provider(provider);
        let (broker, notes) = (memory(), Notes::default());
        let handler = |State(notes): State<Notes>| async move { notes.add("") };
        let running = Router::new()
            .service("traced")
            .telemetry(telemetry)
            .on_event("orders.*.traced", handler)
            .on_message("ask.*", || async { Reply(1) })
            .with_state(notes.clone())
            .start(broker.clone())
            .await
            .unwrap();
        publish(&broker, Message::new("orders.7.traced", "").header("traceparent", SENDER)).await.unwrap();
        notes.wait(1).await;
        let request = Message::new("ask.7", "").header("traceparent", SENDER);
        headwater_nats_messaging::exchange::Exchange::request(&broker, request, Instant::now() + PATIENCE)
            .await
            .unwrap();
        running.shutdown(Duration::from_secs(10)).await;

        let sender = context::parse(SENDER, None).unwrap();
        let recorded = exporter.get_finished_spans().unwrap();
        let event = recorded.iter().find(|span| span.span_kind == SpanKind::Consumer).unwrap();
        assert_eq!(event.name, "process orders.*.traced");
        let says = |name: &str| {
            event.attributes.iter().find(|said| said.key.as_str() == name).map(|said| said.value.to_string())
        };
        assert_eq!(says(names::MESSAGING_DESTINATION_NAME).as_deref(), Some("ORDERS"));
        assert_eq!(says(names::MESSAGING_CONSUMER_GROUP_NAME).as_deref(), Some("traced_orders_any_traced"));
        assert_eq!(says(names::OUTCOME).as_deref(), Some("ok"));
        let is_child = event.span_context.trace_id() == sender.trace_id();
        assert_eq!(is_child, spans == ReaderSpans::Child);
        let links: Vec<_> = event.links.iter().map(|link| link.span_context.span_id()).collect();
        assert_eq!(links, if is_child { vec![] } else { vec![sender.span_id()] });
        let request = recorded.iter().find(|span| span.span_kind == SpanKind::Server).unwrap();
        assert_eq!((&*request.name, request.parent_span_id), ("ask.*", sender.span_id()));
    }
}
