//! Spans of messages in their handlers, and the spans that the messages were sent in.

use std::time::Duration;

use headwater_nats::auth::{NkeyUser, Nkeys};
use headwater_nats::circuit_breaker::{CircuitBreaker, Window};
use headwater_nats::rate_limit::Rate;
use headwater_nats::signature::Signer;
use headwater_nats::telemetry::{ReaderSpans, Telemetry, context, names};
use headwater_nats_messaging::layer::{Auth, CircuitBreakerLayer, RateLimit, Rule};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::router::{Reply, Router, State};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tokio::time::Instant;

use super::{Notes, memory};
use crate::support::measured::Meter;
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

#[tokio::test]
async fn what_layers_decide_is_told_in_the_words_of_services() {
    let (broker, meter) = (memory(), Meter::new());
    let telemetry = meter.telemetry();
    let circuit = CircuitBreaker::default().window(Window::Calls(10)).min_calls(1).open(Duration::from_secs(600));
    let circuit = CircuitBreakerLayer::new("price-list", circuit).unwrap().telemetry(&telemetry, "measured");
    let limit = RateLimit::default().all(Rate::per_minute(3)).layer().unwrap().telemetry(&telemetry, "measured");
    let till = NkeyUser::new(Signer::generate().public_key(), "till");
    let auth = Auth::default().nkeys(Nkeys::default().allow(till)).rule(Rule::allow([">"]));
    let auth = auth.layer().await.unwrap().telemetry(&telemetry, "measured");
    let failing = || async { Err::<(), _>(headwater_core::Failure::unavailable("price-list", "it is down")) };
    let router: Router = Router::new()
        .service("measured")
        .on_message("measured.ask", failing)
        .layer(circuit.clone())
        .layer(limit.clone())
        .route(headwater_nats_messaging::router::Route::message("measured.till", || async {}).layer(auth.clone()));
    let running = router.start(broker.clone()).await.unwrap();
    use headwater_nats_messaging::exchange::Exchange as _;
    // One fails, two meet an open circuit, two are too many; one is from nobody.
    for _ in 0..5 {
        broker.request(Message::new("measured.ask", ""), Instant::now() + PATIENCE).await.unwrap();
    }
    broker.request(Message::new("measured.till", ""), Instant::now() + PATIENCE).await.unwrap();
    let measured = meter.read();
    assert_eq!(measured.sum(names::RATE_LIMIT_DECISIONS), 5);
    assert_eq!((measured.sum(names::CIRCUIT_CALLS), measured.sum(names::CIRCUIT_OPENED)), (3, 1));
    assert_eq!(measured.sum(names::CIRCUIT_STATE), 2, "open");
    assert_eq!(measured.sum(names::TURNED_AWAY), 1);
    running.shutdown(Duration::from_secs(10)).await;
}
