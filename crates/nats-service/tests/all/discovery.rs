//! NATS service discovery (ADR-32), health and the contract.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use headwater_core::AggregateId;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, MemoryStore,
    ReadError, ReadOptions, StartFrom, StoreError,
};
use headwater_nats_service::{Limits, Service};
use headwater_testkit::{TestServer, wait_until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Caller, Tally, World, body, connection, gate, tallies};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// ADR-32's answers, written as schemas by hand from its text.
fn adr_32(answer: &str) -> Value {
    let name = json!({ "type": "string", "pattern": "^[a-zA-Z0-9_-]+$" });
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let nanos = json!({ "type": "integer", "minimum": 0 });
    let endpoint = json!({
        "name": name, "subject": { "type": "string", "minLength": 1, "pattern": "^[^ *>]+$" }, "queue_group": { "type": "string" },
    });
    let mut properties = json!({
        "type": { "const": format!("io.nats.micro.v1.{answer}_response") },
        "name": name,
        "id": { "type": "string", "pattern": "^[a-zA-Z0-9_-]+$" },
        "version": { "type": "string", "pattern": "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)([-+].*)?$" },
        "metadata": texts,
    });
    let mut endpoint = endpoint;
    match answer {
        "info" => {
            properties["description"] = json!({ "type": "string" });
            endpoint["metadata"] = texts;
        }
        "stats" => {
            properties["started"] = json!({ "type": "string", "format": "date-time", "pattern": "Z$" });
            endpoint["num_requests"] = nanos.clone();
            endpoint["num_errors"] = nanos.clone();
            endpoint["last_error"] = json!({ "type": "string" });
            endpoint["processing_time"] = nanos.clone();
            endpoint["average_processing_time"] = nanos;
            endpoint["data"] = json!({ "type": "object" });
        }
        _ => {}
    }
    if answer != "ping" {
        let required: Vec<_> = endpoint.as_object().unwrap().keys().cloned().collect();
        let endpoint =
            json!({ "type": "object", "properties": endpoint, "required": required, "additionalProperties": false });
        properties["endpoints"] = json!({ "type": "array", "items": endpoint, "minItems": 1 });
    }
    let required: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

#[track_caller]
fn assert_fits(schema: &Value, answer: &Value) {
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    let problems: Vec<_> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:#?} in {answer:#}");
}

/// All answers to a question that several instances may answer: `expected` of them, and no more.
async fn answers(caller: &Caller, subject: &str, expected: usize) -> Vec<Value> {
    let inbox = caller.client.new_inbox();
    let mut replies = caller.client.subscribe(inbox.clone()).await.unwrap();
    caller.client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
    let mut found = Vec::new();
    while found.len() < expected {
        let reply = timeout(SOON, replies.next()).await.expect("an answer in time").unwrap();
        found.push(serde_json::from_slice(&reply.payload).expect("an answer is JSON"));
    }
    let more = timeout(Duration::from_millis(200), replies.next()).await;
    assert!(more.is_err(), "one answer too many: {more:?}");
    found
}

async fn two_instances(
    describe: impl Fn(Service) -> Service,
) -> (TestServer, [headwater_nats_service::RunningService; 2], Caller) {
    let server = TestServer::start().await;
    let store = MemoryStore::new();
    let one = describe(tallies(&store)).start(connection(&server).await).await.unwrap();
    let other = describe(tallies(&store)).start(connection(&server).await).await.unwrap();
    let caller = Caller::connect(&server).await;
    (server, [one, other], caller)
}

#[tokio::test]
async fn every_answer_of_discovery_has_the_form_of_adr_32() {
    let world = World::with(|service| service.description("Adds up.").metadata("team", "tills")).await;
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
    world.caller.command("a", "explode", json!({})).await.failure(500, "internal");
    let id = world.service.instance_id();
    for verb in ["PING", "INFO", "STATS"] {
        for target in [String::new(), ".tallies".to_owned(), format!(".tallies.{id}")] {
            let subject = format!("$SRV.{verb}{target}");
            let found = answers(&world.caller, &subject, 1).await;
            assert_fits(&adr_32(&verb.to_lowercase()), &found[0]);
            assert_eq!(
                (&found[0]["name"], &found[0]["id"], &found[0]["version"]),
                (&json!("tallies"), &json!(id), &json!("1.2.3"))
            );
            assert_eq!(found[0]["metadata"]["team"], "tills");
        }
    }
    for other in ["$SRV.PING.others".to_owned(), format!("$SRV.PING.others.{id}"), "$SRV.PING.tallies.other".to_owned()]
    {
        answers_nobody(&world.caller, &other).await;
    }
    assert_fits(&adr_32("info"), &world.caller.ask("tallies.info", "").await.body);
    assert_fits(&adr_32("stats"), &world.caller.ask("tallies.stats", "").await.body);
}

async fn answers_nobody(caller: &Caller, subject: &str) {
    let error = caller.client.request(subject.to_owned(), "".into()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders, "{subject}");
}

#[tokio::test]
async fn discovery_lists_an_endpoint_for_each_command_and_query_with_its_schemas() {
    let world = World::with(|service| service.description("Adds up.")).await;
    let info = world.caller.ask("$SRV.INFO.tallies", "").await.body;
    assert_eq!(info["description"], "Adds up.");
    let endpoints = info["endpoints"].as_array().unwrap();
    let names: HashSet<_> = endpoints.iter().map(|endpoint| endpoint["name"].as_str().unwrap()).collect();
    let expected = [
        "command-tally-add",
        "command-tally-add-many",
        "command-tally-pad",
        "command-tally-refuse",
        "command-tally-explode",
        "command-tally-add-later",
        "command-tally-ask-outside",
        "query-tally-get",
        "query-tally-history",
        "query-tally-is-above",
        "query-tally-explode-too",
    ];
    assert_eq!(names, HashSet::from(expected));
    assert_eq!(endpoints.len(), expected.len());

    let schema = world.caller.ask("tallies.schema", "").await.body;
    assert_eq!(info["metadata"]["contract"], schema["contract"]);
    assert_eq!(info["metadata"]["headwater"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["metadata"]["features"], "limits,queue-group");
    for endpoint in endpoints {
        let metadata = &endpoint["metadata"];
        let kind = metadata["kind"].as_str().unwrap();
        let name = endpoint["name"].as_str().unwrap().strip_prefix(&format!("{kind}-tally-")).unwrap();
        assert_eq!(endpoint["subject"], format!("tallies.{kind}.tally.{name}"));
        assert_eq!(endpoint["queue_group"], "q");
        assert_eq!((&metadata["aggregate"], &metadata["contract"]), (&json!("tally"), &schema["contract"]));
        for member in ["request-schema", "response-schema"] {
            let (subject, pointer) = metadata[member].as_str().unwrap().split_once('#').unwrap();
            assert_eq!(subject, "tallies.schema");
            let part = world.caller.ask(subject, json!({ "pointer": pointer }).to_string()).await.body;
            assert_eq!(Some(&part), schema.pointer(pointer));
            assert!(jsonschema::meta::is_valid(&part), "{pointer}: {part:#}");
        }
    }
}

#[tokio::test]
async fn replies_fit_the_schemas_that_discovery_names() {
    let world = World::start().await;
    let schema = world.caller.ask("tallies.schema", "").await.body;
    let fits = |pointer: &str, result: &Value| assert_fits(schema.pointer(pointer).expect(pointer), result);
    fits("/aggregates/tally/result", world.caller.command("a", "add", json!({ "amount": 1 })).await.result());
    fits("/aggregates/tally/queries/get/response", world.caller.get("a").await.result());
    let history = world.caller.query("history", json!({ "aggregateId": "a" })).await;
    fits("/aggregates/tally/queries/history/response", history.result());
    let above = world.caller.query("is-above", json!({ "aggregateId": "a", "query": { "limit": 0 } })).await;
    fits("/aggregates/tally/queries/is-above/response", above.result());
}

#[tokio::test]
async fn a_part_of_the_contract_that_is_not_there_is_said_so() {
    let world = World::start().await;
    let ask = |body: &str| world.caller.ask("tallies.schema", body.to_owned());
    ask(r#"{"pointer": "/aggregates/bird"}"#).await.failure(404, "not-found");
    ask(r#"{"pointer": "aggregates"}"#).await.failure(400, "invalid-request");
    ask(r#"{"pointer": 7}"#).await.failure(400, "invalid-request");
    ask("nonsense").await.failure(400, "invalid-request");
    assert_eq!(ask(r#"{"pointer": "/service"}"#).await.body, "tallies");
    assert_eq!(ask("{}").await.body["contract"], world.service.contract().fingerprint());
}

#[tokio::test]
async fn a_contract_larger_than_a_message_is_had_in_parts() {
    let world = World::with(|service| service.limits(Limits::default().max_reply(2048))).await;
    let reply = world.caller.ask("tallies.schema", "").await;
    assert!(reply.failure(413, "payload-too-large")["message"].as_str().unwrap().contains("pointer"));
    let part = json!({ "pointer": "/aggregates/tally/commands/add/request" });
    assert_eq!(world.caller.ask("tallies.schema", part.to_string()).await.body["type"], "object");
}

#[tokio::test]
async fn two_instances_both_answer_discovery_and_share_the_requests() {
    let (_server, [one, other], caller) = two_instances(|service| service).await;
    let ids = |found: &[Value]| -> HashSet<String> {
        found.iter().map(|answer| answer["id"].as_str().unwrap().to_owned()).collect()
    };
    let both = HashSet::from([one.instance_id().to_owned(), other.instance_id().to_owned()]);
    for verb in ["PING", "INFO", "STATS"] {
        assert_eq!(ids(&answers(&caller, &format!("$SRV.{verb}"), 2).await), both);
        assert_eq!(ids(&answers(&caller, &format!("$SRV.{verb}.tallies"), 2).await), both);
        assert_eq!(
            answers(&caller, &format!("$SRV.{verb}.tallies.{}", other.instance_id()), 1).await[0]["id"],
            other.instance_id()
        );
    }
    for number in 0..100 {
        caller.command(&number.to_string(), "add", json!({ "amount": 1 })).await.result();
    }
    let served = [&one, &other].map(|service| add_requests(&service.stats()));
    assert_eq!(served[0] + served[1], 100);
    assert!(served.iter().all(|served| *served > 10), "{served:?}");
}

fn add_requests(stats: &headwater_nats_service::ServiceStats) -> u64 {
    stats.endpoints.iter().find(|endpoint| endpoint.name == "command-tally-add").unwrap().num_requests
}

#[tokio::test]
async fn without_a_queue_group_every_instance_answers() {
    let (_server, [one, other], caller) = two_instances(Service::no_queue_group).await;
    let inbox = caller.client.new_inbox();
    let mut replies = caller.client.subscribe(inbox.clone()).await.unwrap();
    let request = json!({ "aggregateId": "a", "command": { "amount": 1 }, "metadata": { "commandId": "c" } });
    caller.client.publish_with_reply("tallies.command.tally.add", inbox, request.to_string().into()).await.unwrap();
    for _ in 0..2 {
        let reply = timeout(SOON, replies.next()).await.expect("two replies").unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&reply.payload).unwrap()["success"], true);
    }
    assert_eq!([&one, &other].map(|service| add_requests(&service.stats())), [1, 1]);
    let info = caller.ask("tallies.info", "").await.body;
    assert_eq!(info["endpoints"][0]["queue_group"], "");
    assert_eq!(info["metadata"]["features"], "limits");
}

#[tokio::test]
async fn two_queue_groups_both_get_every_request() {
    let server = TestServer::start().await;
    let (store, shadow_store) = (MemoryStore::new(), MemoryStore::new());
    let _one = tallies(&store).start(connection(&server).await).await.unwrap();
    let shadow = tallies(&shadow_store).queue_group("shadow").start(connection(&server).await).await.unwrap();
    let caller = Caller::connect(&server).await;
    caller.command("a", "add", json!({ "amount": 1 })).await.result();
    let both = async || (store.len() == 1 && shadow_store.len() == 1).then_some(());
    wait_until(SOON, "both groups to have carried it out", both).await;
    assert_eq!(shadow.info().endpoints[0].queue_group, "shadow");
}

#[tokio::test]
async fn statistics_count_requests_errors_codes_and_time() {
    let before = Utc::now();
    let world = World::start().await;
    for amount in [1, 2, 5000] {
        world.caller.command("secret-id", "add", json!({ "amount": amount })).await;
    }
    world.caller.command("secret-id", "refuse", json!({})).await.failure(422, "command-rejected");
    world.caller.command("secret-id", "explode", json!({})).await.failure(500, "internal");
    world.caller.command("secret-id", "ask-outside", json!({})).await.failure(503, "unavailable");
    world.caller.ask("tallies.command.tally.fly", "{}").await.failure(400, "invalid-request");

    let stats = world.caller.ask("$SRV.STATS.tallies", "").await.body;
    let started: DateTime<Utc> = stats["started"].as_str().unwrap().parse().unwrap();
    assert!(started >= before && started <= Utc::now());
    let endpoint = |name: &str| {
        let endpoints = stats["endpoints"].as_array().unwrap();
        endpoints.iter().find(|endpoint| endpoint["name"] == format!("command-tally-{name}")).unwrap()
    };
    let add = endpoint("add");
    assert_eq!((&add["num_requests"], &add["num_errors"], &add["last_error"]), (&json!(3), &json!(0), &json!("")));
    assert_eq!(add["data"]["codes"], json!({ "ok": 2, "validation-failed": 1 }));
    assert_eq!(add["data"]["in_flight"], 0);
    let micros = |percentile: &str| add["data"]["answer_micros"][percentile].as_f64().unwrap();
    assert!(0.0 < micros("p50") && micros("p50") <= micros("p90") && micros("p90") <= micros("p99"), "{add}");
    assert!(
        micros("p99") * 1000.0 <= add["processing_time"].as_f64().unwrap() * 1.07,
        "one of three took all of it at most"
    );
    let unasked = &endpoint("pad")["data"]["answer_micros"];
    assert_eq!(*unasked, json!({ "p50": null, "p90": null, "p99": null }));
    let shown_by_one = world.caller.ask("tallies.stats", "").await.body;
    assert_eq!((&shown_by_one["endpoints"], &shown_by_one["data"]), (&stats["endpoints"], &stats["data"]));
    let time = add["processing_time"].as_u64().unwrap();
    assert!(time > 0);
    assert_eq!(add["average_processing_time"], time / 3);
    assert_eq!((&endpoint("refuse")["num_errors"], &endpoint("refuse")["last_error"]), (&json!(0), &json!("")));
    assert_eq!(
        (&endpoint("explode")["num_errors"], &endpoint("explode")["last_error"]),
        (&json!(1), &json!("500:internal"))
    );
    assert_eq!(endpoint("ask-outside")["last_error"], "503:unavailable (price-list)");
    assert_eq!(stats["data"]["strays"]["unknown"], 1);
    assert_eq!(stats["data"]["connection"], json!({ "disconnects": 0, "rebuilds": 0, "slowConsumers": 0 }));
    assert!(!stats.to_string().contains("secret-id"));

    world.service.reset_stats();
    let stats = world.caller.ask("$SRV.STATS.tallies", "").await.body;
    let all = stats["endpoints"].as_array().unwrap();
    assert!(all.iter().all(|endpoint| endpoint["num_requests"] == 0 && endpoint["last_error"] == ""), "{stats:#}");
    assert!(all.iter().all(|endpoint| endpoint["data"]["answer_micros"]["p99"].is_null()), "{stats:#}");
}

/// A store whose health the test decides.
#[derive(Debug, Default)]
struct Moody {
    inner: MemoryStore,
    ill: AtomicBool,
    asked: AtomicUsize,
}

#[derive(Debug, Clone)]
struct Shared(Arc<Moody>);

#[async_trait]
impl EventStore for Shared {
    fn name(&self) -> &'static str {
        "moody"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.inner.append(append).await
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        self.0.inner.read(aggregate, read).await
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        self.0.inner.head(aggregate, freshness).await
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.0.inner.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        if self.0.ill.load(Ordering::Relaxed) { Err(StoreError::new("no leader")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn health_tells_of_the_connection_and_the_store() {
    let server = TestServer::start().await;
    let store = Shared(Arc::new(Moody::default()));
    let service = Service::builder("tallies", "1.2.3").aggregate_with::<Tally>(gate()).store(store.clone());
    let service = service.start(connection(&server).await).await.unwrap();
    let caller = Caller::connect(&server).await;
    let health = caller.ask("tallies.health", "").await.body;
    let works = json!({ "ok": true });
    let expected = json!({
        "status": "ok", "instance": service.instance_id(), "version": "1.2.3", "checks": { "nats": works, "store": works },
    });
    assert_eq!(health, expected);

    let asked = store.0.asked.load(Ordering::Relaxed);
    for _ in 0..20 {
        caller.ask("tallies.health", "").await;
    }
    assert!(store.0.asked.load(Ordering::Relaxed) <= asked + 2, "the store is asked at most once a second");

    store.0.ill.store(true, Ordering::Relaxed);
    let ill = async || Some(caller.ask("tallies.health", "").await.body).filter(|health| health["status"] != "ok");
    let health = wait_until(SOON, "the illness to be noticed", ill).await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["checks"]["store"], json!({ "ok": false, "detail": "no leader" }));
    assert_eq!(health["checks"]["nats"], works);
}

#[tokio::test]
async fn several_aggregate_types_are_served_side_by_side() {
    let server = TestServer::start().await;
    let service = Service::builder("tallies", "1.2.3").store(MemoryStore::new()).aggregate_type(support::tally());
    let service = service.aggregate_type(support::plain()).start(connection(&server).await).await.unwrap();
    let caller = Caller::connect(&server).await;
    for kind in ["tally", "plain"] {
        let reply = caller.ask(&format!("tallies.command.{kind}.add"), body("a", &json!({ "amount": 1 }))).await;
        assert_eq!(reply.result()["aggregate"], json!({ "type": kind, "id": "a" }));
        assert_eq!(reply.result()["revision"], 1);
    }
    assert!(service.info().endpoints.iter().any(|endpoint| endpoint.name == "command-plain-add"));
}
