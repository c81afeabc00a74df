//! Ten times as many requests as an instance takes on: what it holds stays bounded, and every caller is answered.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::time::Duration;

use futures_util::StreamExt;
use headwater_nats_service::{Limits, ServiceStats};
use headwater_testkit::wait_until;
use serde_json::json;
use support::{Reply, World, body, gate};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// How many commands may be under way.
const PLACES: usize = 16;

/// How many are sent at once.
const SENT: usize = 10 * PLACES;

const WAVES: usize = 5;

/// What an instance holds of requests: under way, and waiting for an aggregate.
#[track_caller]
fn assert_bounded(stats: &ServiceStats) {
    assert!(stats.in_flight <= PLACES as u64, "{} under way", stats.in_flight);
    let lanes = json!(stats.dispatch)["activeLanes"].as_u64().unwrap();
    assert!(lanes <= PLACES as u64, "{lanes} aggregates with commands");
}

/// The commands that are admitted wait at a gate until all others have been refused, so that nothing depends on how fast the
/// machine is: what is admitted is exactly what there are places for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_ten_times_the_load_callers_are_refused_at_once_and_what_is_admitted_is_served() {
    let gate = gate();
    let world = World::gated(&gate, |service| service.limits(Limits::default().in_flight(PLACES))).await;
    let client = &world.caller.client;
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(format!("{inbox}.*")).await.unwrap();
    for wave in 0..WAVES {
        for number in 0..SENT {
            let (to, body) = (format!("{inbox}.{wave}-{number}"), body(&format!("{wave}-{number}"), &json!({})));
            client.publish_with_reply("tallies.command.tally.add-later", to, body.into()).await.unwrap();
        }
        for _ in 0..SENT - PLACES {
            let refused = timeout(SOON, replies.next()).await.expect("a refusal in time").unwrap();
            let refused = Reply::of(refused);
            let details = &refused.failure(503, "unavailable")["details"];
            assert_eq!((&details["reason"], &details["limit"]), (&json!("overloaded"), &json!("instance")));
            assert_bounded(&world.service.stats());
        }
        assert_eq!(world.service.stats().in_flight, PLACES as u64);
        assert_eq!(world.store.len(), wave * PLACES);
        gate.0.add_permits(PLACES);
        for _ in 0..PLACES {
            Reply::of(timeout(SOON, replies.next()).await.expect("an answer in time").unwrap()).result();
        }
        // A caller has its answer a moment before its place is free again.
        wait_until(SOON, "all places free", async || (world.service.stats().in_flight == 0).then_some(())).await;
    }
    assert_eq!(world.store.len(), WAVES * PLACES);
    let stats = world.service.stats();
    let later = stats.endpoints.iter().find(|endpoint| endpoint.name == "command-tally-add-later").unwrap();
    let data = later.data.as_ref().unwrap();
    assert_eq!((later.num_requests, later.num_errors), ((WAVES * SENT) as u64, 0));
    assert_eq!((&data["shed"], &data["codes"]["ok"]), (&json!(WAVES * (SENT - PLACES)), &json!(WAVES * PLACES)));
}
