//! Probes over HTTP: what they say, when they turn, and what an instance that is not ready does about its queue group.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::RequestErrorKind;
use async_trait::async_trait;
use futures_util::future::join_all;
use headwater_core::AggregateId;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, MemoryStore,
    ReadError, ReadOptions, StartFrom, StoreError,
};
use headwater_nats_service::{Probes, RunningService, Service, StartError, Stopped};
use headwater_testkit::{TestServer, wait_until};
use serde_json::{Value, json};
use support::{Caller, Tally, World, body, connection, gate, tallies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const SOON: Duration = Duration::from_secs(10);

/// What is promised for readiness.
const TURNS_WITHIN: Duration = Duration::from_secs(2);

/// Long enough for the pauses between tries to connect again to have grown to seconds, had nobody asked for less.
const OUTAGE: Duration = Duration::from_secs(5);

fn probes() -> Probes {
    Probes::at("127.0.0.1:0")
}

fn address(service: &RunningService) -> SocketAddr {
    service.probes_address().expect("the probes are on")
}

/// An HTTP answer.
#[derive(Debug)]
struct Page {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn check(&self, name: &str) -> bool {
        self.json()["checks"][name]["ok"].as_bool().unwrap_or_else(|| panic!("no check {name}: {self:?}"))
    }
}

async fn send(address: SocketAddr, request: &str) -> std::io::Result<Page> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(SOON, exchange).await.expect("an answer comes")?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not HTTP: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a status");
    Ok(Page { status, head: head.to_lowercase(), body: body.to_owned() })
}

async fn get(address: SocketAddr, page: &str) -> Page {
    send(address, &format!("GET {page} HTTP/1.1\r\nHost: probes\r\n\r\n")).await.expect("the port is open")
}

/// Waits until `/readyz` has this status, and says how long that took.
async fn turned(address: SocketAddr, status: u16, within: Duration) -> Page {
    wait_until(within, &format!("readiness to be {status}"), async || {
        Some(get(address, "/readyz").await).filter(|page| page.status == status)
    })
    .await
}

/// A store in memory whose check fails when the test says so.
#[derive(Debug, Clone, Default)]
struct Moody {
    events: MemoryStore,
    unwell: Arc<AtomicBool>,
}

impl Moody {
    fn over(events: &MemoryStore) -> Self {
        Self { events: events.clone(), unwell: Arc::default() }
    }

    fn is_unwell(&self, unwell: bool) {
        self.unwell.store(unwell, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventStore for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.events.append(append).await
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        self.events.read(aggregate, read).await
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        self.events.head(aggregate, freshness).await
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.events.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        if self.unwell.load(Ordering::Relaxed) { Err(StoreError::new("the journal is full")) } else { Ok(()) }
    }
}

fn moody(store: &Moody) -> Service {
    Service::builder("tallies", "1.2.3").aggregate_with::<Tally>(gate()).store(store.clone()).probes(probes())
}

#[tokio::test]
async fn a_service_without_probes_opens_no_port_and_does_not_name_them() {
    let world = World::start().await;
    assert_eq!(world.service.probes_address(), None);
    assert_eq!(world.service.info().identity.metadata["features"], "limits,queue-group");
}

#[tokio::test]
async fn an_instance_that_is_well_says_so_on_every_page_and_names_its_checks() {
    let world = World::with(|service| service.probes(probes())).await;
    let address = address(&world.service);
    assert_ne!(address.port(), 0);
    assert_eq!(world.service.info().identity.metadata["features"], "limits,queue-group,probes");
    let ready = turned(address, 200, SOON).await;
    assert!(ready.head.contains("content-type: application/json") && ready.head.contains("cache-control: no-store"));
    let told = ready.json();
    assert_eq!((&told["status"], &told["version"]), (&json!("ok"), &json!("1.2.3")));
    assert_eq!(told["instance"], world.service.instance_id());
    for check in ["nats", "round-trip", "store", "serving"] {
        assert!(ready.check(check), "{check}: {ready:?}");
    }
    assert!(get(address, "/livez").await.check("heartbeat"));
    let started = get(address, "/startupz?verbose").await;
    assert!(started.status == 200 && started.check("started"), "{started:?}");
}

#[tokio::test]
async fn other_pages_methods_and_bodies_are_refused() {
    let world = World::with(|service| service.probes(probes())).await;
    let address = address(&world.service);
    for page in ["/", "/metrics", "/livez/", "/readyz/x", "/LIVEZ", "/%6Civez"] {
        assert_eq!(get(address, page).await.status, 404, "{page}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let page = send(address, &format!("{method} /livez HTTP/1.1\r\nHost: p\r\n\r\n")).await.unwrap();
        assert_eq!(page.status, 405, "{page:?}");
        assert!(page.head.contains("allow: get, head"), "{page:?}");
    }
    let head = send(address, "HEAD /livez HTTP/1.1\r\nHost: p\r\n\r\n").await.unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let body = send(address, "GET /livez HTTP/1.1\r\nHost: p\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
    assert_eq!(body.status, 413, "{body:?}");
    let rubbish = send(address, "\u{1}\u{2} hello\r\n\r\n").await.unwrap();
    assert_eq!(rubbish.status, 400, "{rubbish:?}");
}

#[tokio::test]
async fn callers_who_send_too_much_or_nothing_are_let_go_and_probes_go_on() {
    let world = World::with(|service| service.probes(probes())).await;
    let address = address(&world.service);
    let large = format!("GET /livez HTTP/1.1\r\nHost: p\r\nX-Large: {}\r\n\r\n", "x".repeat(64 * 1024));
    // The port may be closed to us before all of it was sent; then there is no answer to read.
    assert!(send(address, &large).await.map_or(true, |page| page.status == 431));
    let lines: String = (0..100).map(|number| format!("X-{number}: y\r\n")).collect();
    let many = send(address, &format!("GET /livez HTTP/1.1\r\nHost: p\r\n{lines}\r\n")).await;
    assert!(many.map_or(true, |page| page.status == 431));

    // More than there are places, and none of them ever finishes its request.
    let mut silent = Vec::new();
    for _ in 0..48 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /li").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(get(address, "/livez").await.status, 200);
    let mut first = silent.remove(0);
    let mut rest = Vec::new();
    let ended = timeout(SOON, first.read_to_end(&mut rest)).await.expect("a silent caller is let go");
    assert!(ended.is_err() || !rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_turns_within_two_seconds_of_the_servers_death_and_of_its_return() {
    let world = World::with(|service| service.probes(probes())).await;
    let address = address(&world.service);
    turned(address, 200, SOON).await;
    world.server.kill();
    let down = turned(address, 503, TURNS_WITHIN).await;
    assert!(!down.check("nats") && down.check("serving"), "{down:?}");
    assert_eq!(down.json()["status"], "degraded");
    let until = Instant::now() + OUTAGE;
    while Instant::now() < until {
        assert_eq!(get(address, "/readyz").await.status, 503);
        assert_eq!(get(address, "/livez").await.status, 200, "life does not depend on NATS");
        assert_eq!(get(address, "/startupz").await.status, 200, "it has started all the same");
        sleep(Duration::from_millis(100)).await;
    }
    world.server.restart().await.unwrap();
    turned(address, 200, TURNS_WITHIN).await;
    let caller = Caller::connect(&world.server).await;
    caller.command("a", "add", json!({ "amount": 1 })).await.result();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_turns_within_two_seconds_of_the_servers_silence_and_of_its_first_word() {
    let world = World::with(|service| service.probes(probes())).await;
    let address = address(&world.service);
    turned(address, 200, SOON).await;
    for silence in [Duration::ZERO, OUTAGE] {
        world.server.pause().unwrap();
        let down = turned(address, 503, TURNS_WITHIN).await;
        assert!(!down.check("round-trip"), "{down:?}");
        assert_eq!(get(address, "/livez").await.status, 200);
        sleep(silence).await;
        assert_eq!(get(address, "/readyz").await.status, 503);
        world.server.resume().unwrap();
        turned(address, 200, TURNS_WITHIN).await;
        world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journals_connection_counts_too_and_without_it_the_queue_group_is_left() {
    let (server, journal) = (TestServer::start().await, TestServer::start().await);
    let service = tallies(&MemoryStore::new()).probes(probes().journal_connection(connection(&journal).await));
    let service = service.start(connection(&server).await).await.unwrap();
    let (address, caller) = (address(&service), Caller::connect(&server).await);
    assert!(turned(address, 200, SOON).await.check("journal-connection"));
    journal.kill();
    let down = turned(address, 503, TURNS_WITHIN).await;
    assert!(!down.check("journal-connection") && down.check("nats") && down.check("round-trip"), "{down:?}");
    nobody_listens(&caller).await;
    let health = caller.ask("tallies.health", "").await;
    assert_eq!(health.body["instance"], service.instance_id(), "questions about the instance are still answered");
    sleep(OUTAGE).await;
    journal.restart().await.unwrap();
    turned(address, 200, TURNS_WITHIN).await;
    served(&caller).await;
}

async fn nobody_listens(caller: &Caller) {
    wait_until(SOON, "nobody to listen", async || {
        let asked =
            caller.try_ask("tallies.command.tally.add", support::headers([]), body("a", &json!({ "amount": 1 })));
        asked.await.err().filter(|error| error.kind() == RequestErrorKind::NoResponders)
    })
    .await;
}

async fn served(caller: &Caller) {
    wait_until(SOON, "requests to be served", async || {
        let asked =
            caller.try_ask("tallies.command.tally.add", support::headers([]), body("a", &json!({ "amount": 1 })));
        asked.await.ok()
    })
    .await
    .result();
}

#[tokio::test]
async fn an_instance_whose_journal_is_unusable_leaves_and_joins_again() {
    let server = TestServer::start().await;
    let store = Moody::default();
    let service = moody(&store).start(connection(&server).await).await.unwrap();
    let (address, caller) = (address(&service), Caller::connect(&server).await);
    for _ in 0..2 {
        turned(address, 200, SOON).await;
        served(&caller).await;
        store.is_unwell(true);
        let down = turned(address, 503, TURNS_WITHIN).await;
        assert_eq!(down.json()["checks"]["store"], json!({ "ok": false, "detail": "the journal is full" }));
        nobody_listens(&caller).await;
        assert_eq!(caller.ask("$SRV.PING.tallies", "").await.body["id"], service.instance_id());
        store.is_unwell(false);
    }
    store.is_unwell(true);
    nobody_listens(&caller).await;
    let Stopped::Drained(report) = service.drain().await else { panic!("it was drained") };
    assert!(report.abandoned == 0 && report.flushed, "{report:?}");
}

#[tokio::test]
async fn an_instance_that_was_out_while_the_server_restarted_stays_out_until_it_is_ready() {
    let server = TestServer::start().await;
    let store = Moody::default();
    let service = moody(&store).start(connection(&server).await).await.unwrap();
    let address = address(&service);
    store.is_unwell(true);
    nobody_listens(&Caller::connect(&server).await).await;
    server.restart().await.unwrap();
    wait_until(SOON, "the connection to be back", async || {
        Some(get(address, "/readyz").await).filter(|page| page.check("nats") && page.check("round-trip"))
    })
    .await;
    let caller = Caller::connect(&server).await;
    nobody_listens(&caller).await;
    store.is_unwell(false);
    turned(address, 200, TURNS_WITHIN).await;
    served(&caller).await;
}

#[tokio::test]
async fn a_service_without_a_queue_group_goes_on_listening() {
    let server = TestServer::start().await;
    let store = Moody::default();
    let service = moody(&store).no_queue_group().start(connection(&server).await).await.unwrap();
    let (address, caller) = (address(&service), Caller::connect(&server).await);
    turned(address, 200, SOON).await;
    store.is_unwell(true);
    turned(address, 503, TURNS_WITHIN).await;
    // Longer than an instance with a queue group takes to leave it.
    sleep(TURNS_WITHIN).await;
    caller.command("a", "add", json!({ "amount": 1 })).await.result();
    assert_eq!(get(address, "/readyz").await.status, 503);
}

/// Requests that were answered well; every other outcome is a panic.
async fn call_on(caller: Caller, id: usize, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let reply = caller.command(&format!("t{id}"), "add", json!({ "amount": 1 })).await;
        reply.result();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_and_joining_under_load_loses_no_request() {
    let server = TestServer::start().await;
    let (caller, events) = (Caller::connect(&server).await, MemoryStore::new());
    let store = Moody::over(&events);
    let wavering = moody(&store).start(connection(&server).await).await.unwrap();
    let _staying = tallies(&events).start(connection(&server).await).await.unwrap();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let calls = (0..32).map(|id| tokio::spawn(call_on(caller.clone(), id, Arc::clone(&stop), Arc::clone(&done))));
    let calls: Vec<_> = calls.collect();
    let taken = || wavering.stats().endpoints.iter().map(|endpoint| endpoint.num_requests).sum::<u64>();
    for _ in 0..3 {
        let before = taken();
        wait_until(SOON, "it to take requests", async || (taken() > before + 50).then_some(())).await;
        store.is_unwell(true);
        wait_until(SOON, "it to have left", async || {
            let (own, all) = (taken(), done.load(Ordering::Relaxed));
            wait_until(SOON, "others to take requests", async || {
                (done.load(Ordering::Relaxed) > all + 200).then_some(())
            })
            .await;
            (taken() == own).then_some(())
        })
        .await;
        assert_eq!(get(address(&wavering), "/readyz").await.status, 503);
        store.is_unwell(false);
    }
    let before = taken();
    wait_until(SOON, "it to take requests again", async || (taken() > before + 50).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    for ended in join_all(calls).await {
        ended.expect("every request is answered");
    }
    assert_eq!(events.len() as u64, done.load(Ordering::Relaxed), "each was done once");
}

#[tokio::test]
async fn a_draining_instance_is_not_ready_and_the_port_is_closed_when_it_has_ended() {
    let gate = gate();
    let world = World::gated(&gate, |service| service.probes(probes())).await;
    let (address, service) = (address(&world.service), Arc::new(world.service));
    turned(address, 200, SOON).await;
    let caller = world.caller.clone();
    let waiting = tokio::spawn(async move { caller.command("a", "add-later", json!({})).await });
    wait_until(SOON, "it under way", async || (service.stats().in_flight == 1).then_some(())).await;
    let leaving = Arc::clone(&service);
    let draining = tokio::spawn(async move { leaving.drain().await });
    let page = turned(address, 503, TURNS_WITHIN).await;
    assert_eq!(page.json()["status"], "draining");
    assert!(!page.check("serving") && page.check("nats"), "{page:?}");
    assert_eq!(get(address, "/livez").await.status, 200);
    gate.0.add_permits(1);
    waiting.await.unwrap().result();
    draining.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn the_port_ends_with_a_service_that_is_dropped_or_loses_its_connection() {
    let server = TestServer::start().await;
    let service = tallies(&MemoryStore::new()).probes(probes()).start(connection(&server).await).await.unwrap();
    let at = address(&service);
    drop(service);
    wait_until(SOON, "the port to be closed", async || TcpStream::connect(at).await.err()).await;

    let connection = connection(&server).await;
    let service = tallies(&MemoryStore::new()).probes(probes()).start(connection.clone()).await.unwrap();
    connection.close().await;
    assert_eq!(timeout(SOON, service.stopped()).await.expect("it stops"), Stopped::ConnectionLost);
    assert!(TcpStream::connect(address(&service)).await.is_err());
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_an_error_of_the_start_and_a_failed_start_leaves_no_port() {
    let server = TestServer::start().await;
    for wrong in ["localhost:8080", "8080", "127.0.0.1", "127.0.0.1:70000", ""] {
        let error = tallies(&MemoryStore::new()).probes(Probes::at(wrong)).start(connection(&server).await).await;
        let error = error.unwrap_err();
        let [problem] = error.problems() else { panic!("{wrong}: {error:?}") };
        assert_eq!((problem.setting.as_str(), problem.value.as_str()), ("probes", wrong));
    }
    let first = tallies(&MemoryStore::new()).probes(probes()).start(connection(&server).await).await.unwrap();
    let taken = address(&first);
    let error = tallies(&MemoryStore::new()).probes(Probes::at(taken)).start(connection(&server).await).await;
    let error = error.unwrap_err();
    assert!(matches!(&error, StartError::Probes { address, .. } if *address == taken), "{error:?}");
    assert!(error.to_string().contains(&taken.to_string()) && !error.is_retryable());
    first.drain().await;

    // The same port, twice: what did not start does not keep it.
    let down = connection(&server).await;
    server.stop().await;
    down.statuses().wait_for(|status| !status.is_connected()).await.unwrap();
    let error = tallies(&MemoryStore::new()).probes(Probes::at(taken)).start(down).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    wait_until(SOON, "the port to be free", async || TcpStream::connect(taken).await.err()).await;
}
