//! A server that hangs, and a follower that is cut off: the right error in time, nothing half stored, and what was in
//! doubt is settled by its command id.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::{Duration, Instant};

use headwater::client::RetryPolicy;
use headwater::service::{CircuitBreaker, CircuitState};
use headwater_testkit::{FaultProxy, NatsCluster, TestServer, wait_until};
use headwater_tests::load::{Load, check_histories};
use headwater_tests::plain::{add_item, add_items};
use headwater_tests::{Answer, Instance, Journal, Plain, Site};
use serde_json::{Value, json};

/// Longer than anything here takes, also on a machine that is busy otherwise.
const SOON: Duration = Duration::from_secs(30);

fn with_id(mut body: Value, id: &str) -> Value {
    body["metadata"] = json!({ "commandId": id });
    body
}

/// Two commands, of one event and of two, that are asked for while there is no answer to be had.
fn in_doubt() -> [(&'static str, Value); 2] {
    let two = with_id(add_items("order-2", &["Cake", "Jam"]), "two-events");
    [("add-item", with_id(add_item("order-1", "Tea"), "one-event")), ("add-items", two)]
}

/// Sends both at once, and expects to be told in time that nobody knows, or that nothing was done.
async fn ask_in_vain(plain: &Plain) {
    let start = Instant::now();
    let [one, two] = in_doubt();
    let (one, two) = tokio::join!(plain.command(one.0, &one.1), plain.command(two.0, &two.1));
    for answer in [one, two] {
        let error = &answer.body["error"];
        assert_eq!(error["retryable"], true, "{error:#}");
        let code = error["code"].as_str().unwrap();
        assert!(["outcome-unknown", "unavailable", "deadline-exceeded"].contains(&code), "{error:#}");
    }
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

/// Sends both again with their ids until they are answered, and finds each stored once and whole.
async fn settle(plain: &Plain, journal: &Journal) {
    for (name, body) in in_doubt() {
        let settled = || async {
            let answer: Answer = plain.command(name, &body).await;
            (answer.body["success"] == true).then_some(answer)
        };
        let first = wait_until(SOON, "the command to be settled", settled).await;
        let again = plain.command(name, &body).await;
        assert_eq!((again.result(), &again.body["metadata"]["replayed"]), (first.result(), &json!(true)));
    }
    let stored = journal.all().await;
    check_histories(&stored);
    let count = |id: &str| stored.iter().filter(|event| event.text("commandid") == id).count();
    assert_eq!((count("one-event"), count("two-events")), (1, 2));
}

/// Callers' traffic and JetStream on two servers, so that there is somebody to tell what is the matter with the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_hangs_is_an_unknown_outcome_in_time_and_the_id_settles_it() {
    let site = Site::alone().await;
    let storing = Site::on(TestServer::start().await);
    let to_storing = storing.proxy().await;
    let starting = site.starting().jetstream_by(&to_storing);
    let short = Duration::from_secs(2);
    let _instance = starting.store(|store| store.ack_timeout(short / 4).settle_timeout(short)).start().await;
    let plain = site.plain().await;
    // Both are in memory, so that the append is the first thing that hangs.
    for id in ["order-1", "order-2"] {
        plain.add(id, "Bread").await.result();
    }

    storing.server().pause().unwrap();
    ask_in_vain(&plain).await;
    // Nor can anything be looked up.
    let deadline = (chrono::Utc::now() + Duration::from_secs(1)).to_rfc3339();
    let body = json!({ "aggregateId": "order-3" }).to_string();
    let headers = headwater_tests::headers([("Headwater-Deadline", &deadline)]);
    let asked = plain.ask_with("receipts.query.receipt.get", headers, body).await;
    assert_eq!(asked.body["error"]["retryable"], true, "{:#}", asked.body);
    let health = plain.ask("receipts.health", "").await;
    assert_eq!(health.body["status"], "degraded", "{:#}", health.body);

    storing.server().resume().unwrap();
    settle(&plain, &storing.journal().await).await;
}

/// The same with the service's circuit around the store: it opens, and nothing that was sent is called unsent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_hangs_is_left_alone_and_what_was_sent_to_it_stays_in_doubt_until_it_is_settled() {
    let site = Site::alone().await;
    let storing = Site::on(TestServer::start().await);
    let to_storing = storing.proxy().await;
    let short = Duration::from_millis(500);
    let breaker = CircuitBreaker::default().min_calls(2).slow_call(SOON).open(short * 3).trial_calls(1);
    let starting = site.starting().jetstream_by(&to_storing).service(|service| service.circuit_breaker(breaker));
    let instance = starting.store(|store| store.ack_timeout(short / 4).settle_timeout(short)).start().await;
    let plain = site.plain().await;
    for id in ["order-1", "order-2"] {
        plain.add(id, "Bread").await.result();
    }
    let circuit = || instance.service.stats().circuit_breaker["store"].clone();
    assert_eq!((circuit().state, circuit().failed), (CircuitState::Closed, 0));

    storing.server().pause().unwrap();
    ask_in_vain(&plain).await;
    // Those two failed, and reads that came before count too; more may be needed for half of them to be failures.
    let refused = wait_until(SOON, "the circuit to open", || async {
        let answer = plain.add("order-1", "Milk").await;
        (answer.body["error"]["details"]["reason"] == "circuit-open").then_some(answer)
    })
    .await;
    let error = refused.error(503, "unavailable");
    assert!((1..=1500).contains(&error["details"]["retryAfterMs"].as_u64().unwrap()), "{error:#}");
    let start = Instant::now();
    plain.get("order-1").await.error(503, "unavailable");
    assert!(start.elapsed() < short, "it is told at once: {:?}", start.elapsed());

    storing.server().resume().unwrap();
    settle(&plain, &storing.journal().await).await;
    wait_until(SOON, "the circuit to close", || async {
        plain.get("order-1").await;
        plain.add("order-3", "Bread").await;
        (circuit().state == CircuitState::Closed).then_some(())
    })
    .await;
}

/// One instance that reaches the leader of the journal, and a caller that reaches it.
struct AtTheLeader {
    _instance: Instance,
    _proxy: FaultProxy,
    plain: Plain,
}

impl AtTheLeader {
    async fn start(site: &Site, leader: &str) -> Self {
        let node = site.node(leader);
        let proxy = FaultProxy::start(node.address()).await.unwrap();
        let starting = site.starting().jetstream_by(&proxy).callers_by(&proxy);
        let settle = Duration::from_secs(2);
        let starting = starting.store(|store| store.replicas(3).ack_timeout(settle / 4).settle_timeout(settle));
        let instance = starting.start().await;
        let plain = Plain { client: async_nats::connect(node.url()).await.unwrap() };
        Self { _instance: instance, _proxy: proxy, plain }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_goes_on_without_one_follower_and_without_both_nothing_is_half_stored() {
    let site = Site::on_cluster(NatsCluster::start().await.unwrap());
    // Makes the stream, so that it has a leader.
    let first = site.starting().store(|store| store.replicas(3)).start().await;
    let info = site.journal().await.info().await;
    let cluster = &info["cluster"];
    let leader = cluster["leader"].as_str().unwrap();
    let followers: Vec<_> =
        cluster["replicas"].as_array().unwrap().iter().map(|replica| replica["name"].as_str().unwrap()).collect();
    assert_eq!(followers.len(), 2, "{cluster:#}");
    first.service.drain().await;
    drop(first);

    let there = AtTheLeader::start(&site, leader).await;
    let plain = &there.plain;
    let journal = Journal::new(plain.client.clone());
    for id in ["order-1", "order-2"] {
        plain.add(id, "Bread").await.result();
    }

    // One is cut off: two of three are enough.
    site.node(followers[0]).pause().unwrap();
    for round in 0..10 {
        plain.add("order-1", &format!("Tea {round}")).await.result();
        plain.command("add-items", &add_items("order-2", &["Cake", "Jam"])).await.result();
        assert_eq!(plain.get("order-2").await.result()["revision"], 3 + 2 * round);
    }
    // A receipt that nobody has in memory yet; the follower that hangs may be asked for it.
    for id in ["order-3", "order-4", "order-5"] {
        assert_eq!(plain.add(id, "Tea").await.result()["revision"], 1);
    }

    // Both are: nothing can be stored, and nobody is told that it was.
    site.node(followers[1]).pause().unwrap();
    ask_in_vain(plain).await;
    for follower in followers {
        site.node(follower).resume().unwrap();
    }
    settle(plain, &journal).await;
}

/// Callers of two instances who try again, while a follower hangs and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_a_follower_that_hangs_for_a_while_loses_and_doubles_nothing() {
    let site = Site::on_cluster(NatsCluster::start().await.unwrap());
    let start = async || site.starting().store(|store| store.replicas(3)).start().await;
    let _instances = [start().await, start().await];
    let retry = RetryPolicy::default();
    let client = site.receipts_with(|client| client.retry(retry).timeout(Duration::from_secs(2))).await;
    let load = Load::start(vec![client; 6], &["hot", "a", "b", "c"]);
    load.progress(40, SOON).await;
    let info = site.journal().await.info().await;
    let follower = info["cluster"]["replicas"][0]["name"].as_str().unwrap();
    site.node(follower).pause().unwrap();
    load.progress(40, SOON).await;
    site.node(follower).resume().unwrap();
    load.progress(40, SOON).await;
    let book = load.finish().await;
    assert!(book.given_up.is_empty(), "callers lost patience: {:#?}", book.failed_calls);
    book.check(&site.journal().await.all().await);
}
