//! In which order commands run, and what happens when there are too many.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use headwater_nats_service::Limits;
use headwater_testkit::wait_until;
use serde_json::json;
use support::{Reply, World, body, gate};
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_commands_on_one_aggregate_run_in_the_order_they_were_sent() {
    const COMMANDS: usize = 500;
    let world = World::start().await;
    let client = &world.caller.client;
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(format!("{inbox}.*")).await.unwrap();
    for place in 0..COMMANDS {
        let body = body("a", &json!({ "amount": place as i64 % 1000 }));
        client.publish_with_reply("tallies.command.tally.add", format!("{inbox}.{place}"), body.into()).await.unwrap();
    }
    let mut revisions = HashMap::new();
    while revisions.len() < COMMANDS {
        let message = timeout(SOON, replies.next()).await.expect("a reply in time").unwrap();
        let place: usize = message.subject.rsplit('.').next().unwrap().parse().unwrap();
        revisions.insert(place, Reply::of(message).result()["revision"].as_u64().unwrap());
    }
    for place in 0..COMMANDS {
        assert_eq!(revisions[&place], place as u64 + 1, "the command sent as number {place}");
    }
}

#[tokio::test]
async fn a_slow_command_holds_up_its_own_aggregate_and_no_other() {
    let gate = gate();
    let world = World::gated(&gate, |service| service).await;
    let slow = tokio::spawn({
        let caller = world.caller.clone();
        async move { caller.command("a", "add-later", json!({})).await.result()["revision"].clone() }
    });
    wait_until(SOON, "the slow command under way", async || (world.service.stats().in_flight == 1).then_some(())).await;
    let behind = tokio::spawn({
        let caller = world.caller.clone();
        async move { caller.command("a", "add", json!({ "amount": 1 })).await.result()["revision"].clone() }
    });
    wait_until(SOON, "the one behind it", async || (world.service.stats().in_flight == 2).then_some(())).await;
    assert_eq!(world.caller.command("b", "add", json!({ "amount": 1 })).await.result()["revision"], 1);
    assert!(!slow.is_finished() && !behind.is_finished());
    gate.0.add_permits(1);
    assert_eq!((slow.await.unwrap(), behind.await.unwrap()), (json!(1), json!(2)));
}

#[tokio::test]
async fn too_many_commands_are_refused_at_once_and_queries_go_on() {
    let gate = gate();
    let limits = Limits::default().in_flight(4);
    let world = World::gated(&gate, |service| service.limits(limits)).await;
    let waiting: Vec<_> = (0..4)
        .map(|id| {
            let caller = world.caller.clone();
            tokio::spawn(async move { caller.command(&id.to_string(), "add-later", json!({})).await })
        })
        .collect();
    wait_until(SOON, "all places taken", async || (world.service.stats().in_flight == 4).then_some(())).await;

    let asked = Instant::now();
    let reply = world.caller.command("z", "add", json!({ "amount": 1 })).await;
    assert_eq!(reply.failure(503, "unavailable")["details"]["reason"], "overloaded");
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    world.caller.get("z").await.failure(404, "not-found");

    gate.0.add_permits(4);
    for reply in join_all(waiting).await {
        reply.unwrap().result();
    }
    assert_eq!(world.caller.command("z", "add", json!({ "amount": 1 })).await.result()["revision"], 1);

    let stats = world.service.stats();
    let add = stats.endpoints.iter().find(|endpoint| endpoint.name == "command-tally-add").unwrap();
    let data = add.data.as_ref().unwrap();
    assert_eq!((&data["codes"]["unavailable"], &data["shed"], add.num_errors), (&json!(1), &json!(1), 0), "{data}");
}

#[tokio::test]
async fn a_lane_that_is_full_refuses_and_other_aggregates_are_served() {
    let gate = gate();
    let limits = Limits::default().lane(2);
    let world = World::gated(&gate, |service| service.limits(limits)).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let caller = world.caller.clone();
            tokio::spawn(async move { caller.command("a", "add-later", json!({})).await })
        })
        .collect();
    wait_until(SOON, "the lane full", async || (world.service.stats().in_flight == 3).then_some(())).await;
    let reply = world.caller.command("a", "add", json!({ "amount": 1 })).await;
    assert_eq!(reply.failure(503, "unavailable")["details"]["reason"], "overloaded");
    world.caller.command("b", "add", json!({ "amount": 1 })).await.result();
    gate.0.add_permits(3);
    for reply in join_all(waiting).await {
        reply.unwrap().result();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_answered_whole_in_successes_and_refusals() {
    const REQUESTS: usize = 800;
    let world = World::with(|service| service.limits(Limits::default().in_flight(8))).await;
    let asking = (0..REQUESTS).map(|number| {
        let caller = world.caller.clone();
        async move { caller.command(&number.to_string(), "add", json!({ "amount": 1 })).await }
    });
    let replies = join_all(asking).await;
    let done = replies.iter().filter(|reply| reply.body["success"] == true).count();
    for refused in replies.iter().filter(|reply| reply.body["success"] == false) {
        assert_eq!(refused.failure(503, "unavailable")["details"]["reason"], "overloaded");
    }
    assert!(done >= 8, "{done}");
    assert_eq!(world.store.len(), done);
    assert_eq!(world.service.stats().in_flight, 0);
}
