//! Queue groups of single aggregate types, commands and queries, and queries that every instance answers.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use headwater_core::store::MemoryStore;
use headwater_nats_service::{QueueGroups, RunningService};
use headwater_testkit::TestServer;
use serde_json::{Value, json};
use support::{Caller, Reply, body, connection, plain, tallies};
use tokio::time::timeout;

/// For as long no second answer came, there is none.
const QUIET: Duration = Duration::from_millis(200);

fn groups() -> QueueGroups {
    QueueGroups::default()
        .aggregate("plain", "plains")
        .command("tally.add", "adders")
        .query("plain.get", "readers")
        .broadcast("tally.get")
}

/// Three instances on one store.
async fn three(server: &TestServer, groups: &QueueGroups) -> Vec<RunningService> {
    let store = MemoryStore::new();
    let start = || async {
        let service = tallies(&store).aggregate_type(plain()).queue_groups(groups.clone());
        service.start(connection(server).await).await.unwrap()
    };
    join_all((0..3).map(|_| start())).await
}

/// Every answer to one request.
async fn answers(caller: &Caller, subject: &str, body: String) -> Vec<Value> {
    let inbox = caller.client.new_inbox();
    let mut replies = caller.client.subscribe(inbox.clone()).await.unwrap();
    caller.client.publish_with_reply(subject.to_owned(), inbox, Bytes::from(body)).await.unwrap();
    let mut answers = Vec::new();
    while let Ok(Some(message)) = timeout(QUIET, replies.next()).await {
        answers.push(Reply::of(message).body);
    }
    answers
}

#[tokio::test]
async fn each_request_is_answered_once_by_its_group_and_a_broadcast_query_by_every_instance() {
    let server = TestServer::start().await;
    let services = three(&server, &groups()).await;
    let caller = Caller::connect(&server).await;
    for revision in 1..=20 {
        let answered = answers_of_add(&caller, "tally").await;
        assert_eq!(answered, [revision], "a command of a group of its own takes effect once");
    }
    assert_eq!(answers_of_add(&caller, "plain").await, [1]);
    let get = || json!({ "aggregateId": "a" }).to_string();
    assert_eq!(answers(&caller, "tallies.query.plain.get", get()).await.len(), 1);
    assert_eq!(answers(&caller, "tallies.query.tally.history", get()).await.len(), 1);

    let everybody = answers(&caller, "tallies.query.tally.get", get()).await;
    let mut instances: Vec<_> =
        everybody.iter().map(|answer| answer["metadata"]["instance"].as_str().unwrap()).collect();
    instances.sort_unstable();
    let mut expected: Vec<_> = services.iter().map(RunningService::instance_id).collect();
    expected.sort_unstable();
    assert_eq!(instances, expected);
    // What an instance does not have is answered once too.
    assert_eq!(answers(&caller, "tallies.command.tally.subtract", get()).await.len(), 1);
    let strays = services.iter().map(|service| service.stats().strays.unknown).sum::<u64>();
    assert_eq!(strays, 1);
}

async fn answers_of_add(caller: &Caller, kind: &str) -> Vec<u64> {
    let subject = format!("tallies.command.{kind}.add");
    let answers = answers(caller, &subject, body("a", &json!({ "amount": 1 }))).await;
    answers.iter().map(|answer| answer["result"]["revision"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn discovery_tells_each_endpoints_group() {
    let server = TestServer::start().await;
    let services = three(&server, &groups()).await;
    let info = services[0].info();
    let group = |name: &str| {
        let endpoint = info.endpoints.iter().find(|endpoint| endpoint.name == name);
        endpoint.unwrap_or_else(|| panic!("there is no {name}")).queue_group.clone()
    };
    for (name, expected) in [
        ("command-tally-add", "adders"),
        ("command-tally-add-many", "q"),
        ("query-tally-get", ""),
        ("query-tally-history", "q"),
        ("command-plain-add", "plains"),
        ("query-plain-get", "readers"),
        ("query-plain-history", "plains"),
    ] {
        assert_eq!(group(name), expected, "{name}");
    }
    let stats = services[0].stats();
    let adders = stats.endpoints.iter().find(|endpoint| endpoint.name == "command-tally-add").unwrap();
    assert_eq!(adders.queue_group, "adders");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_leave_a_group_of_an_endpoint_under_load_without_a_lost_request() {
    let server = TestServer::start().await;
    let mut services = three(&server, &groups()).await;
    let over = Arc::new(AtomicBool::new(false));
    let callers = (0..8).map(|number| {
        let over = Arc::clone(&over);
        let server = server.url();
        tokio::spawn(async move {
            let client = async_nats::connect(server).await.unwrap();
            let mut done = 0;
            while !over.load(Ordering::Relaxed) {
                let body = body(&format!("a-{number}"), &json!({ "amount": 1 }));
                let reply = client.request("tallies.command.tally.add", body.into()).await.unwrap();
                done += 1;
                assert_eq!(Reply::of(reply).result()["revision"], done, "once each, and none is lost");
            }
            done
        })
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let _ = services.pop().unwrap().drain().await;
    }
    over.store(true, Ordering::Relaxed);
    for done in join_all(callers).await {
        assert!(done.unwrap() > 0);
    }
}

#[tokio::test]
async fn groups_of_what_does_not_exist_and_bad_names_stop_the_start() {
    let server = TestServer::start().await;
    let groups = QueueGroups::default()
        .aggregate("receipt", "a")
        .command("tally.get", "b")
        .command("tally.add", "no spaces")
        .query("tally.get", "c")
        .broadcast("tally.get")
        .broadcast("tally.add");
    let service = tallies(&MemoryStore::new()).queue_groups(groups);
    let error = service.start(connection(&server).await).await.unwrap_err();
    let found: Vec<_> =
        error.problems().iter().map(|problem| (problem.setting.as_str(), problem.value.as_str())).collect();
    assert_eq!(
        found,
        [
            ("queue_groups.aggregates", "receipt"),
            ("queue_groups.commands", "tally.get"),
            ("queue_groups.broadcast", "tally.add"),
            ("queue_groups.broadcast", "tally.get"),
            ("queue_groups", "no spaces"),
        ]
    );
}
