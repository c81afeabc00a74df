//! Circuits around the event store and around what handlers ask, as callers see them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::recorded;
use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, MemoryStore,
    ReadError, ReadOptions, StartFrom, StoreError,
};
use headwater_core::{AggregateId, CommandContext, Describe, Handle, HandleError};
use headwater_nats_service::{
    CircuitBreaker, CircuitState, Dependency, DependencyError, RunningService, Service, StartError, Window,
};
use headwater_testkit::{TestServer, wait_until};
use recorded::Recorded;
use serde_json::{Value, json};
use support::{Add, AddLater, Added, Caller, Plain, Reply, Tally, TallyEvent, TallyRejection, World, connection, gate};
use support::{headers, tallies};
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

/// What a store does with whoever asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Well,
    /// It stores nothing and says so.
    Down,
    /// It stores what it is given and says that nobody knows.
    Unsure,
    /// It answers after a while.
    Slow,
    /// It never answers.
    Hanging,
}

/// How long a slow store takes.
const SLOW: Duration = Duration::from_millis(120);

/// A store in memory that is as the test wants it, and counts how often it was asked.
#[derive(Debug, Clone, Default)]
struct Shaky {
    events: MemoryStore,
    mood: Arc<AtomicU8>,
    asked: Arc<AtomicU64>,
}

impl Shaky {
    fn is(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    async fn mood(&self) -> Mood {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let moods = [Mood::Well, Mood::Down, Mood::Unsure, Mood::Slow, Mood::Hanging];
        let mood = moods[usize::from(self.mood.load(Ordering::SeqCst))];
        match mood {
            Mood::Slow => sleep(SLOW).await,
            Mood::Hanging => std::future::pending().await,
            Mood::Well | Mood::Down | Mood::Unsure => {}
        }
        mood
    }
}

fn broken() -> StoreError {
    StoreError::new("as the test wants it")
}

#[async_trait]
impl EventStore for Shaky {
    fn name(&self) -> &'static str {
        "shaky"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let aggregate = append.aggregate.clone();
        match self.mood().await {
            Mood::Down => Err(AppendError::Unavailable { aggregate, source: broken() }),
            Mood::Unsure => {
                self.events.append(append).await?;
                Err(AppendError::OutcomeUnknown { aggregate, source: broken() })
            }
            _ => self.events.append(append).await,
        }
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        match self.mood().await {
            Mood::Down => Err(ReadError::Unavailable(broken())),
            _ => self.events.read(aggregate, read).await,
        }
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        match self.mood().await {
            Mood::Down => Err(ReadError::Unavailable(broken())),
            _ => self.events.head(aggregate, freshness).await,
        }
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.events.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Opens when half of at least five calls fail or are slow, for a while.
fn breaker() -> CircuitBreaker {
    CircuitBreaker::default()
        .min_calls(5)
        .window(Window::of_time(60_000 * MS))
        .failure_rate(0.5)
        .slow_call(SLOW / 2)
        .slow_rate(0.5)
        .open(700 * MS)
        .trial_calls(2)
}

struct Shop {
    service: RunningService,
    caller: Caller,
    store: Shaky,
    _server: TestServer,
}

impl Shop {
    async fn with(describe: impl FnOnce(Service) -> Service) -> Self {
        let (server, store) = (TestServer::start().await, Shaky::default());
        let service = Service::builder("tallies", "1.2.3").aggregate_with::<Tally>(gate()).store(store.clone());
        let service = describe(service).start(connection(&server).await).await.unwrap();
        Self { caller: Caller::connect(&server).await, service, store, _server: server }
    }

    async fn start() -> Self {
        // A store that is as slow as a loaded machine must not look slow to the tests that are not about that.
        Self::with(|service| service.circuit_breaker(breaker().slow_call(5000 * MS))).await
    }

    async fn add(&self, id: &str) -> Reply {
        self.caller.command(id, "add", json!({ "amount": 1 })).await
    }

    /// Asks with commands, one after the other, until the circuit is open.
    async fn open(&self) -> Reply {
        for number in 0..200 {
            let reply = self.add(&format!("a-{number}")).await;
            if reason(&reply) == "circuit-open" {
                return reply;
            }
        }
        panic!("the circuit never opens: {:?}", self.service.stats().circuit_breaker);
    }

    async fn told(&self) -> Value {
        self.caller.ask("$SRV.STATS.tallies", "").await.body["data"]["circuitBreaker"]["store"].clone()
    }

    async fn health(&self) -> Value {
        self.caller.ask("tallies.health", "").await.body
    }
}

fn reason(reply: &Reply) -> &str {
    reply.body["error"]["details"]["reason"].as_str().unwrap_or_default()
}

fn retry_after(reply: &Reply) -> Duration {
    let wait =
        reply.failure(503, "unavailable")["details"]["retryAfterMs"].as_u64().expect("it says when to try again");
    Duration::from_millis(wait)
}

#[tokio::test]
async fn a_service_without_a_circuit_breaker_goes_on_asking_a_store_that_fails() {
    let shop = Shop::with(|service| service).await;
    shop.store.is(Mood::Down);
    for number in 0..30 {
        let reply = shop.add(&format!("a-{number}")).await;
        assert_eq!(reason(&reply), "store");
    }
    assert!(shop.store.asked() >= 30);
    assert_eq!(shop.told().await, Value::Null);
    assert!(shop.service.stats().circuit_breaker.is_empty());
    assert!(shop.health().await["checks"]["circuit"].is_null());
    assert!(!shop.service.info().identity.metadata["features"].contains("circuit-breaker"));
}

#[tokio::test]
async fn a_store_that_fails_is_left_alone_and_callers_are_told_when_it_is_tried_again() {
    let shop = Shop::with(|service| service.circuit_breaker(breaker().slow_call(SOON).open(2000 * MS))).await;
    assert!(shop.service.info().identity.metadata["features"].ends_with(",circuit-breaker"));
    shop.add("a").await.result();
    assert_eq!(shop.told().await["state"], "closed");
    assert_eq!(shop.health().await["status"], "ok");

    shop.store.is(Mood::Down);
    let refused = shop.open().await;
    let opened = Instant::now();
    assert!((1..=2000).contains(&retry_after(&refused).as_millis()), "{refused:?}");
    let asked = shop.store.asked();
    // Queries too, and whatever is asked meanwhile.
    while opened.elapsed() < 300 * MS {
        assert_eq!(reason(&shop.caller.get("a").await), "circuit-open");
        assert_eq!(reason(&shop.add("a").await), "circuit-open");
    }
    assert_eq!(shop.store.asked(), asked, "the store was left alone");

    let told = shop.told().await;
    assert_eq!((&told["state"], &told["opened"]), (&json!("open"), &json!(1)), "{told:#}");
    assert!(told["refused"].as_u64().unwrap() > 2 && told["failed"].as_u64().unwrap() >= 3, "{told:#}");
    assert!((1..=2000).contains(&told["nextTryMs"].as_u64().unwrap()), "{told:#}");
    let health = shop.health().await;
    assert_eq!((&health["status"], &health["checks"]["circuit"]["ok"]), (&json!("degraded"), &json!(false)));
    assert_eq!(shop.service.stats().circuit_breaker["store"].state, CircuitState::Open);

    // Whoever waits as long as he was told finds that it is tried again.
    shop.store.is(Mood::Well);
    sleep(retry_after(&shop.add("b").await)).await;
    shop.add("b").await.result();
    wait_until(SOON, "the circuit to close", async || {
        shop.add("b").await.result();
        (shop.told().await["state"] == "closed").then_some(())
    })
    .await;
    let health = shop.health().await;
    assert_eq!((&health["status"], &health["checks"]["circuit"]["detail"]), (&json!("ok"), &json!("closed")));
}

#[tokio::test]
async fn how_a_circuit_is_and_what_goes_through_it_are_metrics() {
    let recorded = Recorded::new();
    let settings = recorded.settings();
    let shop =
        Shop::with(|service| service.circuit_breaker(breaker().slow_call(SOON).open(SOON)).telemetry(settings)).await;
    let measured = |name: &str| recorded.measurement(name, ("headwater.circuit", "store")).value;
    shop.add("a").await.result();
    assert_eq!((measured("headwater.circuit.state"), measured("headwater.circuit.opened")), (0.0, 0.0));
    shop.store.is(Mood::Down);
    shop.open().await;
    shop.add("a").await;
    assert_eq!((measured("headwater.circuit.state"), measured("headwater.circuit.opened")), (2.0, 1.0));
    let outcome = |outcome| recorded.measurement("headwater.circuit.calls", ("headwater.outcome", outcome)).value;
    let told = shop.told().await;
    for member in ["good", "failed", "refused"] {
        assert_eq!(Some(outcome(member)), told[member].as_f64(), "{member}");
    }
    assert!(outcome("failed") >= 3.0 && outcome("refused") == 2.0, "{told:#}");
    let turned_away = recorded.measurement("headwater.server.turned_away", ("headwater.stage", "circuit-breaker"));
    assert_eq!(turned_away.value, 2.0);
}

#[tokio::test]
async fn a_store_that_still_fails_is_left_alone_again_after_a_few_trials() {
    let shop = Shop::start().await;
    shop.store.is(Mood::Down);
    sleep(retry_after(&shop.open().await)).await;
    let asked = shop.store.asked();
    // Many come at once, and only the trials get through.
    let replies = join_all((0..50).map(async |number| shop.add(&format!("b-{number}")).await)).await;
    let refused = replies.iter().filter(|reply| reason(reply) == "circuit-open").count();
    assert!(refused >= 48, "{refused} of 50 were turned away");
    assert!(shop.store.asked() > asked && shop.store.asked() <= asked + 4, "{} then {}", asked, shop.store.asked());
    assert_eq!(shop.told().await["opened"], 2);
}

#[tokio::test]
async fn rejections_conflicts_and_repeated_commands_do_not_open_the_circuit() {
    let shop = Shop::start().await;
    shop.add("a").await.result();
    for _ in 0..20 {
        shop.caller.command("a", "refuse", json!({})).await.failure(422, "command-rejected");
        let stale = json!({ "aggregateId": "a", "command": { "amount": 1 }, "expectedRevision": 7 });
        shop.caller.ask("tallies.command.tally.add", stale.to_string()).await.failure(409, "conflict");
        let repeat = json!({
            "aggregateId": "a", "command": { "amount": 1 }, "metadata": { "commandId": "always-the-same" }
        });
        shop.caller.ask("tallies.command.tally.add", repeat.to_string()).await.result();
        shop.caller.get("nobody").await.failure(404, "not-found");
    }
    let told = shop.told().await;
    let numbers = ["failed", "slow", "opened", "refused"].map(|member| told[member].as_u64().unwrap());
    assert_eq!((told["state"].as_str().unwrap(), numbers), ("closed", [0; 4]), "{told:#}");
}

#[tokio::test]
async fn appends_whose_outcome_is_unknown_open_the_circuit_and_are_never_called_unsent() {
    let shop = Shop::start().await;
    shop.store.is(Mood::Unsure);
    let mut unknown = Vec::new();
    for number in 0..200 {
        let id = format!("a-{number}");
        let reply = shop.add(&id).await;
        if reason(&reply) == "circuit-open" {
            break;
        }
        reply.failure(503, "outcome-unknown");
        unknown.push(id);
    }
    assert!(!unknown.is_empty() && shop.told().await["state"] == "open");
    shop.store.is(Mood::Well);
    sleep(700 * MS).await;
    for id in &unknown {
        let found = wait_until(SOON, "the store to be asked again", async || {
            Some(shop.caller.get(id).await).filter(|reply| reply.body["success"] == true)
        });
        assert_eq!(found.await.result()["revision"], 1, "what was called unknown is stored");
    }
}

#[tokio::test]
async fn a_store_that_is_slow_is_left_alone() {
    let shop = Shop::with(|service| service.circuit_breaker(breaker().failure_rate(1.0))).await;
    shop.store.is(Mood::Slow);
    shop.open().await;
    let told = shop.told().await;
    assert!(told["slow"].as_u64().unwrap() >= 3 && told["failed"] == 0, "{told:#}");
}

#[tokio::test]
async fn a_store_that_never_answers_is_left_alone_although_nobody_waits_for_it() {
    let shop = Shop::with(|service| service.circuit_breaker(breaker())).await;
    shop.store.is(Mood::Hanging);
    let asks = join_all((0..10).map(async |number| {
        let deadline = chrono::Utc::now() + 4 * SLOW;
        let headers = headers([("Headwater-Deadline", &deadline.to_rfc3339())]);
        let body = json!({ "aggregateId": format!("a-{number}") }).to_string();
        shop.caller.ask_with("tallies.query.tally.get", headers, body).await
    }));
    let lost = asks.await.iter().filter(|reply| reply.body["error"]["code"] == "deadline-exceeded").count();
    assert!(lost >= 3, "{lost} of 10 were given up");
    assert_eq!(shop.told().await["state"], "open");
}

#[tokio::test]
async fn calls_that_are_given_up_in_time_count_as_nothing() {
    let shop = Shop::with(|service| service.circuit_breaker(breaker().slow_call(SOON))).await;
    shop.store.is(Mood::Hanging);
    let asks = join_all((0..10).map(async |number| {
        let deadline = chrono::Utc::now() + SLOW;
        let headers = headers([("Headwater-Deadline", &deadline.to_rfc3339())]);
        let body = json!({ "aggregateId": format!("a-{number}") }).to_string();
        shop.caller.ask_with("tallies.query.tally.get", headers, body).await
    }));
    for reply in asks.await {
        reply.failure(504, "deadline-exceeded");
    }
    let told = shop.told().await;
    assert_eq!((&told["state"], &told["slow"], &told["failed"]), (&json!("closed"), &json!(0), &json!(0)), "{told:#}");
    assert!(told["givenUp"].as_u64().unwrap() > 0, "{told:#}");
}

/// What a handler asks, which fails when the test says so.
#[derive(Debug)]
struct Outside {
    prices: Dependency,
    fails: AtomicU8,
    asked: AtomicU64,
}

impl Handle<AddLater, Outside> for Plain {
    async fn handle(
        &self,
        _: AddLater,
        _: &CommandContext,
        outside: &Outside,
    ) -> Result<Vec<TallyEvent>, HandleError<TallyRejection>> {
        let asking = async {
            outside.asked.fetch_add(1, Ordering::SeqCst);
            match outside.fails.load(Ordering::SeqCst) {
                0 => Ok(7),
                _ => Err("no route to the secret host"),
            }
        };
        let amount = outside.prices.call(asking).await.map_err(DependencyError::unavailable)?;
        Ok(vec![TallyEvent::Added(Added { amount })])
    }
}

#[tokio::test]
async fn a_dependency_of_a_handler_has_a_circuit_of_its_own_that_is_seen_under_its_name() {
    let prices = Dependency::new("price-list", breaker().slow_call(SOON));
    let outside = Arc::new(Outside { prices: prices.clone(), fails: AtomicU8::new(0), asked: AtomicU64::new(0) });
    let plain = Describe::<Plain>::new()
        .command::<Add>()
        .handled_command::<AddLater, Outside>(Arc::clone(&outside))
        .build()
        .unwrap();
    let world = World::with(|service| service.aggregate_type(plain).dependency(&prices)).await;
    assert!(world.service.info().identity.metadata["features"].ends_with(",circuit-breaker"));
    let ask = async || world.caller.ask("tallies.command.plain.add-later", support::body("a", &json!({}))).await;
    ask().await.result();

    outside.fails.store(1, Ordering::SeqCst);
    let refused = wait_until(SOON, "the circuit to open", async || {
        let reply = ask().await;
        let error = reply.failure(503, "unavailable");
        assert_eq!(reason(&reply), "price-list");
        assert!(!error.to_string().contains("secret host"), "{error}");
        error["details"]["retryAfterMs"].is_u64().then_some(reply)
    })
    .await;
    let asked = outside.asked.load(Ordering::SeqCst);
    assert!(retry_after(&refused) <= 700 * MS);
    let told = world.caller.ask("$SRV.STATS.tallies", "").await.body["data"]["circuitBreaker"].clone();
    assert_eq!((&told["price-list"]["state"], &told["store"]), (&json!("open"), &Value::Null), "{told:#}");
    let health = world.caller.ask("tallies.health", "").await.body;
    assert_eq!((&health["status"], &health["checks"]["circuit-price-list"]["ok"]), (&json!("degraded"), &json!(false)));
    // Commands that do not ask it go on.
    world.caller.ask("tallies.command.plain.add", support::body("b", &json!({ "amount": 1 }))).await.result();

    outside.fails.store(0, Ordering::SeqCst);
    wait_until(SOON, "it to be asked again", async || (ask().await.body["success"] == true).then_some(())).await;
    assert!(outside.asked.load(Ordering::SeqCst) > asked);
}

/// The problems of a service that `describe` changes, as texts.
async fn problems(server: &TestServer, describe: impl FnOnce(Service) -> Service) -> Vec<String> {
    let service = describe(tallies(&MemoryStore::new()));
    let Err(StartError::Invalid { problems }) = service.start(connection(server).await).await else {
        panic!("the service starts");
    };
    problems.iter().map(ToString::to_string).collect()
}

fn read(text: &str) -> CircuitBreaker {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_at_the_start_by_name_and_value() {
    let server = TestServer::start().await;
    for (text, expected) in [
        ("failure_rate = 0.0", "circuit_breaker.failure_rate `0`: must be above 0 and at most 1"),
        ("slow_rate = 1.5", "circuit_breaker.slow_rate `1.5`: must be above 0 and at most 1"),
        ("failure_rate = nan", "circuit_breaker.failure_rate `NaN`: must be above 0 and at most 1"),
        ("jitter = -0.1", "circuit_breaker.jitter `-0.1`: must be from 0 to 1"),
        ("min_calls = 0", "circuit_breaker.min_calls `0`: must be from 1 to 100000"),
        ("trial_calls = -3", "circuit_breaker.trial_calls `-3`: must be from 1 to 100000"),
        ("window = { calls = 5 }", "circuit_breaker.min_calls `10`: the window holds only 5 calls"),
        ("window = { calls = 1000000 }", "circuit_breaker.window.calls `1000000`: must be from 1 to 100000"),
        ("window = { time = '0s' }", "circuit_breaker.window.time `0s`: must be from 1ms to 24h"),
        ("slow_call = '0s'", "circuit_breaker.slow_call `0s`: must be from 1ms to 24h"),
        ("open = '100h'", "circuit_breaker.open `360000s`: must be from 1ms to 24h"),
    ] {
        let problems = problems(&server, |service| service.circuit_breaker(read(text))).await;
        assert_eq!(problems, [expected], "{text}");
    }
    let dependency = |name| Dependency::new(name, CircuitBreaker::default());
    let broken = Dependency::new("stock", CircuitBreaker::default().open(Duration::ZERO));
    let several = problems(&server, |service| {
        let service = service.dependency(&dependency("store")).dependency(&dependency("Price List"));
        service.dependency(&dependency("stock")).dependency(&broken)
    });
    let several = several.await;
    for expected in [
        "dependency `store`: is the name of another circuit",
        "dependency `Price List`: is not a name",
        "dependency `stock`: is the name of another circuit",
        "dependency.stock.open `0s`",
    ] {
        assert!(several.iter().any(|problem| problem.starts_with(expected)), "{expected}: {several:?}");
    }
    assert_eq!(several.len(), 4, "{several:?}");
}

#[test]
fn settings_are_read_from_a_file_and_agree_with_their_schema() {
    let text = "failure_rate = 0.3\nslow_call = '500ms'\nslow_rate = 0.9\nwindow = { calls = 200 }\nmin_calls = 20\n\
                open = '30s'\njitter = 0.2\ntrial_calls = 5";
    let built = CircuitBreaker::default()
        .failure_rate(0.3)
        .slow_call(500 * MS)
        .slow_rate(0.9)
        .window(Window::Calls(200))
        .min_calls(20)
        .open(30_000 * MS)
        .jitter(0.2)
        .trial_calls(5);
    assert_eq!(read(text), built);
    assert_eq!(read(&toml::to_string(&built).unwrap()), built);
    assert_eq!(read(""), CircuitBreaker::default());

    let schema: Value = schemars::schema_for!(CircuitBreaker).into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&serde_json::to_value(&built).unwrap()));
    assert!(validator.is_valid(&json!({ "window": { "time": "1m" } })));
    for bad in [
        json!({ "failure_rate": 2 }),
        json!({ "min_calls": 0 }),
        json!({ "open": "soon" }),
        json!({ "window": { "days": 1 } }),
        json!({ "closed": true }),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}
