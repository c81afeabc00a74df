//! Leaving: what was accepted is answered, and nobody is left without word.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::RequestErrorKind;
use futures_util::future::join_all;
use headwater_core::store::MemoryStore;
use headwater_nats_service::{RunningService, Service, Stopped};
use headwater_testkit::{TestServer, wait_until};
use serde_json::json;
use support::{Caller, Reply, World, body, connection, gate, tallies};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(10);

/// Callers that never pause, each with an aggregate of its own.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    callers: Vec<JoinHandle<Tally>>,
}

/// What callers were told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    done: u64,
    nobody_listening: u64,
    refused: u64,
    unanswered: u64,
}

impl Load {
    fn start(caller: &Caller, callers: usize) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let call = |id: usize| tokio::spawn(call_on(caller.clone(), id, Arc::clone(&stop), Arc::clone(&done)));
        let callers = (0..callers).map(call).collect();
        Self { stop, done, callers }
    }

    async fn until_done(&self, more: u64) {
        let enough = self.done.load(Ordering::Relaxed) + more;
        wait_until(SOON, "commands to be done", async || (self.done.load(Ordering::Relaxed) >= enough).then_some(()))
            .await;
    }

    async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let told = join_all(self.callers).await.into_iter().map(|told| told.expect("a caller does not panic"));
        told.fold(Tally::default(), |all, one| Tally {
            done: all.done + one.done,
            nobody_listening: all.nobody_listening + one.nobody_listening,
            refused: all.refused + one.refused,
            unanswered: all.unanswered + one.unanswered,
        })
    }
}

async fn call_on(caller: Caller, id: usize, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Tally {
    let mut told = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        let request = async_nats::Request::new().payload(body(&format!("t{id}"), &json!({ "amount": 1 })).into());
        match caller
            .client
            .send_request("tallies.command.tally.add", request.timeout(Some(Duration::from_secs(5))))
            .await
        {
            Ok(message) if message.headers.is_none() => {
                told.done += 1;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => told.refused += 1,
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                told.nobody_listening += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(_) => told.unanswered += 1,
        }
    }
    told
}

async fn instance(server: &TestServer, store: &MemoryStore) -> RunningService {
    tallies(store).start(connection(server).await).await.expect("the service starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_under_load_leaves_no_request_unanswered() {
    let server = TestServer::start().await;
    let caller = Caller::connect(&server).await;
    let store = MemoryStore::new();
    let mut staying = instance(&server, &store).await;
    let load = Load::start(&caller, 64);
    for _ in 0..6 {
        let next = instance(&server, &store).await;
        load.until_done(200).await;
        let Stopped::Drained(report) = staying.drain().await else { panic!("it was drained") };
        assert!(report.answered > 0 && report.abandoned == 0 && report.flushed, "{report:?}");
        staying = next;
    }
    load.until_done(200).await;
    let told = load.stop().await;
    assert_eq!(told, Tally { done: told.done, ..Tally::default() });
    assert_eq!(store.len() as u64, told.done, "every command that was done was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_instance_answers_what_it_took_and_then_nobody_listens() {
    let world = World::start().await;
    let load = Load::start(&world.caller, 64);
    load.until_done(500).await;
    world.service.drain().await;
    let told = load.stop().await;
    assert_eq!((told.refused, told.unanswered), (0, 0), "{told:?}");
    assert!(told.nobody_listening > 0, "{told:?}");
    assert_eq!(world.store.len() as u64, told.done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_lost_before_makes_draining_no_worse() {
    let server = TestServer::start().await;
    let caller = Caller::connect(&server).await;
    let store = MemoryStore::new();
    let (leaving, staying) = (instance(&server, &store).await, instance(&server, &store).await);
    server.restart().await.expect("the server comes back");
    let back = async || {
        let back = [&leaving, &staying].iter().all(|service| service.stats().connection.reconnects == 1);
        let healthy = leaving.health().await.checks["nats"].ok && staying.health().await.checks["nats"].ok;
        (back && healthy).then_some(())
    };
    wait_until(SOON, "both to be back", back).await;
    let load = Load::start(&caller, 64);
    load.until_done(500).await;
    leaving.drain().await;
    load.until_done(200).await;
    let told = load.stop().await;
    assert_eq!(told, Tally { done: told.done, ..Tally::default() });
}

#[tokio::test]
async fn what_is_under_way_and_in_line_is_finished_first() {
    let gate = gate();
    let world = World::gated(&gate, |service| service).await;
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let caller = world.caller.clone();
            tokio::spawn(async move { caller.command("a", "add-later", json!({})).await })
        })
        .collect();
    wait_until(SOON, "five under way", async || (world.service.stats().in_flight == 5).then_some(())).await;
    let service = Arc::new(world.service);
    let draining = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.drain().await }
    });
    wait_until(SOON, "it to have left", async || {
        let asked = world.caller.try_ask("tallies.query.tally.get", support::headers([]), "{}").await;
        asked.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders).then_some(())
    })
    .await;
    // Discovery and health go on answering until the end.
    assert_eq!(world.caller.ask("tallies.health", "").await.body["status"], "draining");
    assert_eq!(world.caller.ask("$SRV.PING.tallies", "").await.body["id"], service.instance_id());
    assert!(!draining.is_finished());

    gate.0.add_permits(5);
    for reply in join_all(waiting).await {
        reply.unwrap().result();
    }
    let Stopped::Drained(report) = draining.await.unwrap() else { panic!("it was drained") };
    assert!(report.answered >= 5 && report.abandoned == 0 && report.flushed, "{report:?}");
    let nobody = world.caller.client.request("$SRV.PING.tallies", "".into()).await.unwrap_err();
    assert_eq!(nobody.kind(), RequestErrorKind::NoResponders);
}

#[tokio::test]
async fn what_takes_too_long_is_given_up_and_its_caller_told() {
    let gate = gate();
    let world = World::gated(&gate, |service| service.drain_timeout(Duration::from_millis(400))).await;
    let waiting: Vec<_> = ["a", "a", "b"]
        .map(|id| {
            let caller = world.caller.clone();
            tokio::spawn(async move { caller.command(id, "add-later", json!({})).await })
        })
        .into_iter()
        .collect();
    let patient = tokio::spawn({
        let caller = world.caller.clone();
        async move {
            caller.command("c", "add", json!({ "amount": 1 })).await.result();
            caller.query("get", json!({ "aggregateId": "c", "minRevision": 2 })).await
        }
    });
    wait_until(SOON, "four under way", async || (world.service.stats().in_flight == 4).then_some(())).await;
    let began = Instant::now();
    let Stopped::Drained(report) = world.service.drain().await else { panic!("it was drained") };
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!((report.answered, report.abandoned, report.flushed), (0, 4, true), "{report:?}");
    for reply in join_all(waiting).await {
        let reply: Reply = reply.unwrap();
        assert_eq!(reply.failure(503, "outcome-unknown")["details"]["reason"], "draining");
        assert!(reply.body["metadata"]["commandId"].is_string(), "{:#}", reply.body);
    }
    assert_eq!(patient.await.unwrap().failure(503, "unavailable")["details"]["reason"], "draining");
    assert_eq!(world.store.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_when_the_time_for_leaving_is_up_is_told_to_go_elsewhere() {
    let world = World::with(|service| service.drain_timeout(Duration::from_millis(20))).await;
    let load = Load::start(&world.caller, 64);
    load.until_done(500).await;
    world.service.drain().await;
    let stats = world.service.stats();
    let told = load.stop().await;
    assert_eq!(told.unanswered, 0, "{told:?}");
    assert!(told.refused > 0, "{told:?}");
    let add = stats.endpoints.iter().find(|endpoint| endpoint.name == "command-tally-add").unwrap();
    assert_eq!(add.data.as_ref().unwrap()["shed"], told.refused, "{add:?}");
    assert_eq!(add.num_errors, 0);
}

#[tokio::test]
async fn draining_twice_gives_the_same_report_and_a_dropped_call_goes_on() {
    let world = World::start().await;
    assert!(timeout(Duration::from_millis(1), world.service.drain()).await.is_err(), "draining takes a moment");
    let (one, other) = tokio::join!(world.service.drain(), world.service.drain());
    assert_eq!(one, other);
    assert_eq!(world.service.stopped().await, one);
    assert!(matches!(one, Stopped::Drained(_)));
}

#[tokio::test]
async fn a_dropped_service_lets_go_at_once_and_tells_its_callers() {
    let gate = gate();
    let world = World::gated(&gate, |service| service).await;
    let waiting = tokio::spawn({
        let caller = world.caller.clone();
        async move { caller.command("a", "add-later", json!({})).await }
    });
    wait_until(SOON, "it under way", async || (world.service.stats().in_flight == 1).then_some(())).await;
    drop(world.service);
    waiting.await.unwrap().failure(503, "outcome-unknown");
    wait_until(SOON, "nobody to listen", async || {
        let asked = world.caller.client.request("$SRV.PING.tallies", "".into()).await;
        asked.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_connection_stays_open_for_others() {
    let server = TestServer::start().await;
    let connection = connection(&server).await;
    let store = MemoryStore::new();
    let named = |name: &str| Service::builder(name, "1.0.0").aggregate_type(support::plain()).store(store.clone());
    let one = named("one").start(connection.clone()).await.unwrap();
    let _other = named("other").start(connection.clone()).await.unwrap();
    one.drain().await;
    let caller = Caller::connect(&server).await;
    caller.ask("other.command.plain.add", body("a", &json!({ "amount": 1 }))).await.result();
}
