//! Traces and metrics of a service: what is recorded of a call, how it hangs together, and what never is.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::recorded;
use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_trait::async_trait;
use futures_util::future::join_all;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, MemorySnapshots,
    MemoryStore, ReadError, ReadOptions, StartFrom, StoreError, Together,
};
use headwater_core::{AggregateId, Metadata};
use headwater_nats_service::{Probes, Service, Telemetry};
use headwater_testkit::wait_until;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::Sampler;
use recorded::{Recorded, assert_beneath, assert_kind, attribute, is_error, is_linked};
use serde_json::json;
use support::{Reply, World, body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const SOON: Duration = Duration::from_secs(10);
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PUBLISH: &str = "publish tallies.journal.tally.{id}.added";

async fn world(recorded: &Recorded) -> World {
    let settings = recorded.settings();
    World::with(move |service| service.telemetry(settings)).await
}

/// Headers of a caller whose trace is recorded, in letters of another case.
fn traced() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("TraceParent", CALLER);
    headers.insert("TRACESTATE", "vendor=opaque");
    headers
}

async fn add(world: &World, id: &str, headers: HeaderMap) -> Reply {
    world.caller.ask_with("tallies.command.tally.add", headers, body(id, &json!({ "amount": 2 }))).await
}

/// What is stored beside the events of a tally.
async fn stored(store: &impl EventStore, id: &str) -> Vec<Arc<Metadata>> {
    let history = store.read(&AggregateId::new("tally", id).unwrap(), ReadOptions::all()).await.unwrap();
    history.events.into_iter().map(|event| event.event.metadata).collect()
}

#[tokio::test]
async fn a_call_is_a_span_in_its_callers_trace_with_what_was_loaded_decided_and_appended_beneath_it() {
    let recorded = Recorded::new();
    let world = world(&recorded).await;
    add(&world, "a", traced()).await.result();

    let call = recorded.span("tally/add");
    assert_kind(&call, &SpanKind::Server);
    assert_eq!(call.span_context.trace_id().to_string(), TRACE);
    assert_eq!(call.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(call.parent_span_is_remote);
    assert_eq!(call.span_context.trace_state().header(), "vendor=opaque");
    assert_eq!(call.status, Status::Unset);
    for (name, value) in [
        ("rpc.system.name", "nats"),
        ("rpc.method", "tally/add"),
        ("rpc.response.status_code", "ok"),
        ("headwater.service", "tallies"),
    ] {
        assert_eq!(attribute(&call, name), value, "{name}");
    }

    let (load, decide, publish) =
        (recorded.span("load tally"), recorded.span("decide tally/add"), recorded.span(PUBLISH));
    for (span, kind) in [(&load, SpanKind::Internal), (&decide, SpanKind::Internal), (&publish, SpanKind::Producer)] {
        assert_kind(span, &kind);
        assert_beneath(span, &call);
        assert!(call.start_time <= span.start_time + Duration::from_millis(1) && span.end_time <= call.end_time);
    }
    assert_eq!(
        (attribute(&decide, "headwater.decision").as_str(), attribute(&decide, "headwater.event.count").as_str()),
        ("events", "1")
    );
    for (name, value) in [
        ("messaging.operation.name", "publish"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "TALLIES_JOURNAL"),
        ("messaging.destination.template", "tallies.journal.tally.{id}.added"),
        ("headwater.outcome", "ok"),
        ("headwater.aggregate.revision", "1"),
    ] {
        assert_eq!(attribute(&publish, name), value, "{name}");
    }
    assert_eq!(publish.span_context.trace_state().header(), "vendor=opaque");
    assert_eq!(recorded.spans().len(), 4);

    // What is stored names the span that appended it.
    let origin = stored(&world.store, "a").await[0].traceparent.clone().unwrap();
    assert_eq!(origin, format!("00-{TRACE}-{}-01", publish.span_context.span_id()));

    // In memory by now, so nothing is loaded. Several events are one append.
    recorded.forget_spans();
    world.caller.command("a", "add-many", json!({ "amounts": [1, 2, 3] })).await.result();
    assert!(recorded.named("load tally").is_empty());
    let publish = recorded.span(PUBLISH);
    assert_eq!(attribute(&publish, "messaging.batch.message_count"), "3");
    assert_beneath(&publish, &recorded.span("tally/add-many"));
}

#[tokio::test]
async fn answers_that_callers_reckon_with_leave_the_status_unset_and_bugs_do_not() {
    let recorded = Recorded::new();
    let world = world(&recorded).await;
    world.caller.command("a", "refuse", json!({})).await.failure(422, "command-rejected");
    let stale = json!({ "aggregateId": "a", "command": { "amount": 1 }, "expectedRevision": 7 });
    world.caller.ask("tallies.command.tally.add", stale.to_string()).await.failure(409, "conflict");
    world.caller.ask("tallies.command.tally.pad", "no JSON").await.failure(400, "invalid-request");
    world.caller.get("nobody").await.failure(404, "not-found");
    world.caller.command("a", "explode", json!({})).await.failure(500, "internal");
    world.caller.command("a", "ask-outside", json!({})).await.failure(503, "unavailable");

    for (name, code) in [
        ("tally/refuse", "command-rejected"),
        ("tally/add", "conflict"),
        ("tally/pad", "invalid-request"),
        ("tally/get", "not-found"),
    ] {
        let span = recorded.span(name);
        assert_eq!(span.status, Status::Unset, "{name}");
        assert_eq!(attribute(&span, "rpc.response.status_code"), code);
        assert_eq!(attribute(&span, "error.type"), "");
    }
    assert_eq!(attribute(&recorded.span("decide tally/refuse"), "headwater.decision"), "command-rejected");
    assert!(!is_error(&recorded.span("decide tally/refuse")));
    for (name, code) in [("tally/explode", "internal"), ("tally/ask-outside", "unavailable")] {
        for span in [recorded.span(name), recorded.span(&format!("decide {name}"))] {
            assert!(is_error(&span), "{}", span.name);
            assert_eq!(attribute(&span, "error.type"), code);
        }
    }
    for code in ["command-rejected", "conflict", "invalid-request", "not-found", "internal", "unavailable"] {
        let calls = recorded.measurement("rpc.server.call.duration", ("rpc.response.status_code", code));
        assert_eq!(calls.count, 1, "{code}");
        assert_eq!(calls.label("error.type").is_empty(), !["internal", "unavailable"].contains(&code));
    }
}

#[tokio::test]
async fn a_call_that_is_not_sampled_is_measured_and_hands_its_trace_on_and_has_no_spans() {
    let recorded = Recorded::sampled(Sampler::AlwaysOff);
    let world = world(&recorded).await;
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", CALLER.replace("-01", "-00").as_str());
    add(&world, "a", headers).await.result();
    add(&world, "b", HeaderMap::new()).await.result();
    add(&world, "c", traced()).await.result();

    let spans = recorded.spans();
    assert!(spans.iter().all(|span| span.span_context.trace_id().to_string() == TRACE) && spans.len() == 4, "only c's");
    let origin = stored(&world.store, "a").await[0].traceparent.clone().unwrap();
    assert!(origin.starts_with(&format!("00-{TRACE}-")) && origin.ends_with("-00"), "{origin}");
    let origin = stored(&world.store, "b").await[0].traceparent.clone().unwrap();
    assert!(!origin.contains(TRACE) && origin.ends_with("-00"), "{origin}");
    assert_eq!(recorded.measurement("rpc.server.call.duration", ("rpc.method", "tally/add")).count, 3);
}

#[tokio::test]
async fn off_it_leaves_everything_as_it_was() {
    let world = World::start().await;
    add(&world, "a", traced()).await.result();
    assert_eq!(stored(&world.store, "a").await[0].traceparent.as_deref(), Some(CALLER));
    add(&world, "b", HeaderMap::new()).await.result();
    assert_eq!(stored(&world.store, "b").await[0].traceparent, None);
    assert!(!world.service.info().identity.metadata["features"].contains("telemetry"));

    // Switched on with nobody to record it, it leaves the trace as it is too.
    let world = World::with(|service| service.telemetry(Telemetry::default())).await;
    add(&world, "a", traced()).await.result();
    assert_eq!(stored(&world.store, "a").await[0].traceparent.as_deref(), Some(CALLER));
    assert!(world.service.info().identity.metadata["features"].contains("telemetry"));

    let recorded = Recorded::new();
    let settings = recorded.settings().traces(false).metrics(false);
    let world = World::with(move |service| service.telemetry(settings)).await;
    add(&world, "a", traced()).await.result();
    assert_eq!(stored(&world.store, "a").await[0].traceparent.as_deref(), Some(CALLER));
    assert!(recorded.spans().is_empty() && recorded.measured().is_empty());
}

#[tokio::test]
async fn nothing_personal_is_recorded_unless_asked_for_and_payloads_never() {
    let secrets = ["ann-miller", "user-4711", "tenant-x", "cmd-0815", "4242"];
    let request = json!({
        "aggregateId": "ann-miller", "command": { "amount": 424 },
        "metadata": { "userId": "user-4711", "tenantId": "tenant-x", "commandId": "cmd-0815" },
    });
    let request = request.to_string();
    let refused = request.replace("{\"amount\":424}", "{}").replace("cmd-0815", "cmd-0815-b");
    let all = async |telemetry: fn(Telemetry) -> Telemetry| {
        let recorded = Recorded::new();
        let settings = telemetry(recorded.settings());
        let world = World::with(move |service| service.telemetry(settings)).await;
        world.caller.ask("tallies.command.tally.add", request.clone()).await.result();
        world.caller.ask("tallies.command.tally.refuse", refused.clone()).await.failure(422, "command-rejected");
        world.caller.command("ann-miller", "explode", json!({})).await.failure(500, "internal");
        world.caller.command("ann-miller", "add", json!({ "amount": 4242 })).await.failure(400, "validation-failed");
        world.caller.get("ann-miller").await.result();
        let spans: Vec<_> = recorded
            .spans()
            .iter()
            .map(|span| format!("{} {:?} {:?} {:?}", span.name, span.attributes, span.events, span.status))
            .collect();
        let labels: Vec<_> = recorded.measured().into_iter().map(|measured| (measured.name, measured.labels)).collect();
        (spans.join("\n"), format!("{labels:?}"))
    };
    let (spans, measured) = all(|telemetry| telemetry).await;
    assert!(spans.contains("tally/add") && measured.contains("tally/add"));
    for secret in secrets {
        assert!(!spans.contains(secret) && !measured.contains(secret), "{secret} in {spans} {measured}");
    }
    let (spans, measured) = all(|telemetry| telemetry.record_ids(true)).await;
    for id in &secrets[..4] {
        assert!(spans.contains(id), "{id} is asked for: {spans}");
    }
    assert!(!spans.contains("4242"), "payloads never are");
    for id in secrets {
        assert!(!measured.contains(id), "{id} is no label");
    }
}

#[tokio::test]
async fn labels_are_the_programs_own_words_whatever_callers_send() {
    let recorded = Recorded::new();
    let world = world(&recorded).await;
    add(&world, "a", HeaderMap::new()).await.result();
    let words = |recorded: &Recorded| {
        let mut words: Vec<_> =
            recorded.measured().into_iter().map(|measured| (measured.name, measured.labels)).collect();
        words.sort();
        words
    };
    let before = words(&recorded);
    for number in 0..30 {
        let id = format!("id-{number}");
        add(&world, &id, HeaderMap::new()).await.result();
        world.caller.ask(&format!("tallies.command.tally.made-up-{number}"), body(&id, &json!({}))).await;
        world.caller.ask(&format!("tallies.command.made-up-{number}.add"), body(&id, &json!({}))).await;
        world.caller.ask(&format!("tallies.query.tally.made-up-{number}"), body(&id, &json!({}))).await;
    }
    assert_eq!(words(&recorded), before);
    assert!(recorded.spans().iter().all(|span| !span.name.contains("made-up") && !span.name.contains("id-")));
}

#[tokio::test]
async fn what_the_service_counts_is_measured() {
    let recorded = Recorded::new();
    let (settings, snapshots) = (recorded.settings(), MemorySnapshots::new());
    let kept = snapshots.clone();
    let world =
        World::with(move |service| service.telemetry(settings).snapshots(kept).snapshot_every(2).cache_bytes(1)).await;
    for _ in 0..5 {
        add(&world, "a", HeaderMap::new()).await.result();
        world.service.dispatcher().flush_snapshots().await;
    }
    world.caller.get("a").await.result();
    let measurement = |name: &str, label| recorded.measurement(name, label);
    assert_eq!(measurement("messaging.client.sent.messages", ("headwater.service", "tallies")).value, 5.0);
    assert_eq!(measurement("messaging.client.operation.duration", ("headwater.outcome", "ok")).count, 5);
    let sizes = measurement("headwater.append.group.size", ("headwater.service", "tallies"));
    assert_eq!((sizes.count, sizes.value), (5, 5.0));
    assert_eq!(measurement("headwater.server.in_flight", ("rpc.method", "tally/add")).value, 0.0);
    let stats = world.service.stats().dispatch;
    assert_eq!(
        measurement("headwater.cache.lookups", ("headwater.cache.result", "miss")).value,
        stats.cache_misses as f64
    );
    assert_eq!(
        measurement("headwater.cache.lookups", ("headwater.cache.result", "hit")).value,
        stats.cache_hits as f64
    );
    assert!(stats.snapshots_used > 0, "{stats:?}");
    let from_snapshot = measurement("headwater.load.duration", ("headwater.load.from_snapshot", "true"));
    assert_eq!(from_snapshot.count, stats.snapshots_used);
    assert_eq!(from_snapshot.label("headwater.aggregate.type"), "tally");
    assert_eq!(
        measurement("headwater.snapshot.age", ("headwater.aggregate.type", "tally")).count,
        stats.snapshots_used
    );
    assert_eq!(
        measurement("headwater.snapshots", ("headwater.outcome", "written")).value,
        stats.snapshots_written as f64
    );

    // With the instance its numbers go: nothing of it is kept alive by what collects them.
    world.service.drain().await;
    drop(world);
    wait_until(SOON, "the instance's numbers gone", async || {
        let still = recorded.measured().into_iter().any(|measured| measured.name == "headwater.server.in_flight");
        (!still).then_some(())
    })
    .await;
}

/// A store that finds it cheaper to append for all who wait, keeps the first append until it is let go, and says that each
/// append was stored together with one of a recorded trace.
#[derive(Debug, Clone)]
struct Gathering {
    store: MemoryStore,
    gate: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

const STRANGER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[async_trait]
impl EventStore for Gathering {
    fn name(&self) -> &'static str {
        "gathering"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.gate.acquire().await.unwrap().forget();
        let mut stranger = Metadata::clone(&append.events[0].metadata);
        stranger.traceparent = Some(STRANGER.to_owned());
        let traced = vec![Arc::clone(&append.events[0].metadata), Arc::new(stranger)];
        let appended = self.store.append(append).await?;
        Ok(Appended { together: Some(Arc::new(Together { appends: 2, traced })), ..appended })
    }

    fn prefers_one_append(&self, waiting: usize) -> bool {
        waiting > 1
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        self.store.read(aggregate, read).await
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        self.store.head(aggregate, freshness).await
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.store.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }
}

#[tokio::test]
async fn commands_that_share_an_append_or_a_batch_stay_in_their_traces_and_are_linked() {
    let recorded = Recorded::new();
    let gathering = Gathering { store: MemoryStore::new(), gate: Arc::new(Semaphore::new(0)), begun: Arc::default() };
    let (settings, store) = (recorded.settings(), gathering.clone());
    let world = World::with(move |service: Service| service.store(store).telemetry(settings)).await;
    let first = add(&world, "a", HeaderMap::new());
    let others = async {
        let begun = || gathering.begun.load(Ordering::Relaxed);
        wait_until(SOON, "the first append", async || (begun() == 1).then_some(())).await;
        let others = join_all((0..2).map(|_| add(&world, "a", HeaderMap::new())));
        let release = async {
            let under_way = || world.service.stats().in_flight;
            wait_until(SOON, "three commands under way", async || (under_way() == 3).then_some(())).await;
            // On this one thread, their tasks come to wait behind the first within a few turns.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            gathering.gate.add_permits(2);
        };
        tokio::join!(others, release).0
    };
    let (one, others) = tokio::join!(first, others);
    others.iter().chain([&one]).for_each(|reply| drop(reply.result().clone()));
    let (calls, appends, decided) =
        (recorded.named("tally/add"), recorded.named(PUBLISH), recorded.named("decide tally/add"));
    assert_eq!((calls.len(), appends.len(), decided.len()), (3, 3, 3));
    for call in &calls {
        let beneath = |span: &&opentelemetry_sdk::trace::SpanData| span.parent_span_id == call.span_context.span_id();
        assert_beneath(appends.iter().find(beneath).expect("an append of its own"), call);
        assert_beneath(decided.iter().find(beneath).expect("a decision of its own"), call);
    }
    let joint: Vec<_> = appends.iter().filter(|append| attribute(append, "headwater.group.size") == "3").collect();
    let [one, other] = joint.as_slice() else {
        panic!("two commands share an append, in a batch with a third: {appends:#?}")
    };
    assert!(is_linked(one, other) && is_linked(other, one));
    let strangers = appends
        .iter()
        .filter(|append| append.links.iter().any(|link| link.span_context.span_id().to_string() == "00f067aa0ba902b7"));
    assert_eq!(strangers.count(), 3, "each knows of the append that shared its batch");
    let origins: Vec<_> =
        stored(&gathering.store, "a").await.iter().map(|event| event.traceparent.clone().unwrap()).collect();
    for append in &appends {
        let id = append.span_context.span_id().to_string();
        assert_eq!(origins.iter().filter(|origin| origin.contains(&id)).count(), 1, "the origin of its own event");
    }
    assert_eq!(recorded.measurement("headwater.append.group.size", ("headwater.service", "tallies")).value, 5.0);
}

#[tokio::test]
async fn a_page_of_metrics_is_shown_beside_the_probes_where_there_is_one() {
    let page = async |probes: Probes| {
        let world = World::with(move |service| service.probes(probes)).await;
        let mut stream = TcpStream::connect(world.service.probes_address().unwrap()).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let shown = page(Probes::at("127.0.0.1:0").metrics(|| "calls_total 3\n".to_owned())).await;
    assert!(shown.starts_with("HTTP/1.1 200") && shown.ends_with("\r\n\r\ncalls_total 3\n"), "{shown}");
    assert!(shown.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{shown}");
    assert!(page(Probes::at("127.0.0.1:0")).await.starts_with("HTTP/1.1 404"));
}
