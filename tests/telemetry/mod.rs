//! Traces and metrics from the client through the service to the durable reader, and what its handler sends next.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod collector;
mod exported;
#[path = "../../crates/nats-service/tests/all/support/recorded.rs"]
mod recorded;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use headwater::client::durable::{Delivery, DurableReader, RunningReader, Verdict};
use headwater::client::{ReaderSpans, RetryPolicy, Telemetry};
use headwater::nats::connect::Connection;
use headwater::service::Service;
use headwater::store::CommitMode;
use headwater::{Name, RecordedEvent};
use headwater_testkit::wait_until;
use headwater_tests::{Instance, Site};
use opentelemetry::Context;
use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt};
use opentelemetry_sdk::trace::{Sampler, SpanData};
use recorded::{Recorded, assert_beneath, assert_kind, attribute, is_error, is_linked};
use sample_receipts::SERVICE;
use sample_receipts::domain::{AddItem, AddItems, Finalize, ReceiptClient};

const SOON: Duration = Duration::from_secs(20);
/// A reader says that it is there so often, and stops within a quarter of it.
const SHORT: Duration = Duration::from_secs(1);
const ADDED: &str = "receipts.journal.receipt.{id}.item-added";
const FINALIZED: &str = "receipts.journal.receipt.{id}.receipt-finalized";

fn coffee() -> AddItem {
    AddItem { name: "Coffee".to_owned(), price: "5.99".parse().unwrap(), quantity: 2 }
}

async fn instance(site: &Site, telemetry: Telemetry) -> Instance {
    site.starting().service(move |service: Service| service.telemetry(telemetry)).start().await
}

async fn client(site: &Site, telemetry: Telemetry) -> ReceiptClient {
    site.receipts_with(|client| client.telemetry(telemetry)).await
}

/// A reader called `name` that finalizes each receipt when its first item was added.
async fn closer(site: &Site, telemetry: Telemetry, receipts: ReceiptClient) -> RunningReader {
    let connection = Connection::connect(&site.config()).await.unwrap();
    let (service, name) = (Name::new(SERVICE).unwrap(), Name::new("closer").unwrap());
    let reader = DurableReader::builder(connection, service, name).takeover_after(SHORT).telemetry(telemetry);
    let handle = move |delivery: Delivery<RecordedEvent>| {
        let receipts = receipts.clone();
        async move {
            if delivery.event.event.name.as_str() == "item-added" {
                receipts
                    .finalize(delivery.event.aggregate.id(), Finalize {})
                    .await
                    .map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        }
    };
    reader.build().unwrap().run(handle).await.unwrap()
}

#[tokio::test]
async fn one_trace_leads_from_the_call_to_the_reader_and_to_what_its_handler_sends_next() {
    let (site, recorded) = (Site::open().await, Recorded::new());
    let _instance = instance(&site, recorded.settings()).await;
    let receipts = client(&site, recorded.settings()).await;
    let reading = recorded.settings().reader_spans(ReaderSpans::Child);
    let reader = closer(&site, reading, receipts.clone()).await;
    receipts.add_item("order-1", coffee()).await.unwrap();
    let process = format!("process {FINALIZED}");
    wait_until(SOON, "the last event handled", async || (!recorded.named(&process).is_empty()).then_some(())).await;
    reader.stop().await.unwrap();

    let both = |name: &str| {
        let named = recorded.named(name);
        let of = |kind: SpanKind| named.iter().find(|span| span.span_kind == kind).unwrap().clone();
        assert_eq!(named.len(), 2, "{name}");
        (of(SpanKind::Client), of(SpanKind::Server))
    };
    let (called, served) = both("receipt/add-item");
    assert_eq!(called.parent_span_id, SpanId::INVALID);
    assert_eq!(attribute(&called, "rpc.method"), "receipt/add-item");
    assert_eq!(attribute(&called, "rpc.response.status_code"), "ok");
    assert!(!attribute(&called, "server.port").is_empty());
    assert_beneath(&served, &called);
    assert_beneath(&recorded.span("load receipt"), &served);
    assert_beneath(&recorded.span("decide receipt/add-item"), &served);
    let published = recorded.span(&format!("publish {ADDED}"));
    assert_beneath(&published, &served);
    assert_eq!(attribute(&published, "messaging.system"), "nats");

    let processed = recorded.span(&format!("process {ADDED}"));
    assert_kind(&processed, &SpanKind::Consumer);
    assert_beneath(&processed, &published);
    for (name, value) in [
        ("messaging.system", "nats"),
        ("messaging.operation.name", "process"),
        ("messaging.destination.name", "RECEIPTS_JOURNAL"),
        ("messaging.destination.template", ADDED),
        ("messaging.consumer.group.name", "closer"),
        ("headwater.event", "item-added"),
        ("headwater.outcome", "ok"),
    ] {
        assert_eq!(attribute(&processed, name), value, "{name}");
    }
    let (called, served) = both("receipt/finalize");
    assert_beneath(&called, &processed);
    assert_beneath(&served, &called);
    let published = recorded.span(&format!("publish {FINALIZED}"));
    assert_beneath(&published, &served);
    assert_beneath(&recorded.span(&process), &published);
}

#[tokio::test]
async fn without_being_asked_a_reader_begins_traces_of_its_own_that_are_linked_to_the_appends() {
    let (site, recorded) = (Site::open().await, Recorded::new());
    let _instance = instance(&site, recorded.settings()).await;
    let receipts = client(&site, recorded.settings()).await;
    receipts.add_item("order-1", coffee()).await.unwrap();
    let reader = closer(&site, recorded.settings(), receipts).await;
    let process = format!("process {FINALIZED}");
    wait_until(SOON, "the last event handled", async || (!recorded.named(&process).is_empty()).then_some(())).await;
    let reads = |name: &str, label| recorded.measurement(name, label);
    let delivered = reads("messaging.client.consumed.messages", ("messaging.consumer.group.name", "closer"));
    assert_eq!(delivered.value, 2.0);
    wait_until(SOON, "no lag", async || {
        let lag = reads("headwater.reader.lag", ("headwater.reader", "closer"));
        (lag.count == 1 && lag.value == 0.0).then_some(())
    })
    .await;
    assert_eq!(reads("messaging.process.duration", ("headwater.outcome", "ok")).count, 2);
    reader.stop().await.unwrap();

    let (published, processed) =
        (recorded.span(&format!("publish {ADDED}")), recorded.span(&format!("process {ADDED}")));
    assert_eq!(processed.parent_span_id, SpanId::INVALID);
    assert_ne!(processed.span_context.trace_id(), published.span_context.trace_id());
    assert!(is_linked(&processed, &published));
    // What the handler sends goes on with the reader's trace.
    let next = recorded.named("receipt/finalize").into_iter().find(|span| span.span_kind == SpanKind::Client).unwrap();
    assert_beneath(&next, &processed);
}

#[tokio::test]
async fn a_handler_that_fails_is_an_error_and_one_that_defers_is_not() {
    let (site, recorded) = (Site::open().await, Recorded::new());
    let _instance = site.instance().await;
    site.receipts().await.add_item("order-1", coffee()).await.unwrap();
    let connection = Connection::connect(&site.config()).await.unwrap();
    let (service, name) = (Name::new(SERVICE).unwrap(), Name::new("moody").unwrap());
    let retry = RetryPolicy::default().first_pause(Duration::from_millis(1));
    let reader = DurableReader::builder(connection, service, name).retry(retry).takeover_after(SHORT);
    let reader = reader.telemetry(recorded.settings());
    let calls = Arc::new(AtomicUsize::new(0));
    let handle = move |_: Delivery<RecordedEvent>| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        // The handler runs in its span's context, for whatever it calls.
        assert!(Context::current().span().span_context().is_valid());
        async move {
            match call {
                0 => Err("ann-miller is not in a good mood"),
                1 => Ok(Verdict::Nak(Duration::from_millis(1))),
                _ => Ok(Verdict::Ack),
            }
        }
    };
    let reader = reader.build().unwrap().run(handle).await.unwrap();
    let process = format!("process {ADDED}");
    wait_until(SOON, "three attempts", async || (recorded.named(&process).len() == 3).then_some(())).await;
    reader.stop().await.unwrap();
    let tried = recorded.named(&process);
    let told: Vec<_> = tried
        .iter()
        .map(|span| (attribute(span, "headwater.outcome"), attribute(span, "headwater.attempt"), is_error(span)))
        .collect();
    let told: Vec<_> =
        told.iter().map(|(outcome, attempt, error)| (outcome.as_str(), attempt.as_str(), *error)).collect();
    assert_eq!(told, [("failed", "1", true), ("deferred", "2", false), ("ok", "3", false)]);
    assert!(!format!("{tried:?}").contains("ann-miller"), "a handler's reasons may tell of people");
}

#[tokio::test]
async fn off_nothing_travels_and_handlers_are_in_no_trace() {
    let (site, seen) = (Site::open().await, Arc::new(AtomicUsize::new(0)));
    let _instance = site.instance().await;
    site.receipts().await.add_item("order-1", coffee()).await.unwrap();
    assert!(site.journal().await.all().await[0].body.get("traceparent").is_none());
    let connection = Connection::connect(&site.config()).await.unwrap();
    let (service, name) = (Name::new(SERVICE).unwrap(), Name::new("plain").unwrap());
    let reader = DurableReader::builder(connection, service, name).takeover_after(SHORT).build().unwrap();
    let count = Arc::clone(&seen);
    let handle = move |_: Delivery<RecordedEvent>| {
        assert!(!Context::current().has_active_span());
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, String>(()) }
    };
    let reader = reader.run(handle).await.unwrap();
    wait_until(SOON, "the event handled", async || (reader.stats().handled == 1).then_some(())).await;
    reader.stop().await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_call_that_meets_nobody_is_an_error_and_a_no_of_the_domain_is_not() {
    let (site, recorded) = (Site::open().await, Recorded::new());
    let receipts = site.receipts_with(|client| client.telemetry(recorded.settings()).retry(RetryPolicy::none())).await;
    receipts.add_item("order-1", coffee()).await.unwrap_err();
    let instance = site.instance().await;
    receipts.finalize("order-1", Finalize {}).await.unwrap_err();
    let (nobody, rejected) = (recorded.span("receipt/add-item"), recorded.span("receipt/finalize"));
    assert!(is_error(&nobody) && !is_error(&rejected));
    assert_eq!(attribute(&nobody, "error.type"), "no-responders");
    assert_eq!(attribute(&rejected, "rpc.response.status_code"), "command-rejected");
    for code in ["no-responders", "command-rejected"] {
        assert_eq!(recorded.measurement("rpc.client.call.duration", ("rpc.response.status_code", code)).count, 1);
    }
    drop(instance);
}

#[tokio::test]
async fn a_client_hands_on_the_trace_that_its_caller_is_in_and_the_decision_not_to_record_it() {
    let (site, recorded) = (Site::open().await, Recorded::sampled(Sampler::AlwaysOff));
    let instance = instance(&site, recorded.settings()).await;
    let receipts = client(&site, recorded.settings()).await;
    receipts.add_item("order-1", coffee()).await.unwrap();
    assert!(recorded.spans().is_empty());
    let journal = site.journal().await;
    let origin = journal.all().await[0].body["traceparent"].as_str().unwrap().to_owned();
    assert!(origin.ends_with("-00"), "{origin}");
    let calls = |name| recorded.measurement(name, ("rpc.method", "receipt/add-item")).count;
    assert_eq!((calls("rpc.client.call.duration"), calls("rpc.server.call.duration")), (1, 1));
    drop(instance);
}

/// Appends of several events gather while a batch is under way, and go out together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_share_a_batch_of_the_journal_are_linked() {
    let (site, recorded) = (Site::open().await, Recorded::new());
    if site.server().is_older_than((2, 14, 4)) {
        return;
    }
    let telemetry = recorded.settings();
    let starting = site.starting().store(|store| store.commit(CommitMode::Grouped));
    let _instance = starting.service(move |service: Service| service.telemetry(telemetry)).start().await;
    let receipts = client(&site, recorded.settings()).await;
    let batch = |append: &SpanData| attribute(append, "headwater.group.size").parse::<u64>().unwrap_or(1);
    let together = wait_until(SOON, "appends in one batch", async || {
        recorded.forget_spans();
        let calls =
            (0..16).map(|number| {
                let receipts = receipts.clone();
                async move {
                    receipts.add_items(format!("order-{number}"), AddItems { items: vec![coffee(), coffee()] }).await
                }
            });
        join_all(calls).await.into_iter().for_each(|done| drop(done.unwrap()));
        let appends = recorded.named(&format!("publish {ADDED}"));
        assert_eq!(appends.len(), 16);
        let together: Vec<_> = appends.into_iter().filter(|append| batch(append) > 1).collect();
        (!together.is_empty()).then_some(together)
    })
    .await;
    for append in &together {
        let linked = together.iter().filter(|other| is_linked(append, other)).count() as u64;
        assert_eq!(linked, batch(append) - 1, "each knows of all the others in its batch, and of no more");
        assert!(!is_linked(append, append));
    }
}
