//! Limits, as callers see them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use headwater_core::store::MemoryStore;
use headwater_nats_service::{Limits, StartError};
use headwater_testkit::{TestServer, wait_until};
use serde_json::{Value, json};
use support::{Gate, Reply, World, connection, gate, tallies};
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

async fn limited(gate: &Arc<Gate>, limits: Limits) -> World {
    World::gated(gate, |service| service.limits(limits)).await
}

/// Commands that wait at the gate, one for each of these tallies, once they are under way.
async fn waiting(world: &World, ids: &[&str]) -> Vec<JoinHandle<Reply>> {
    let begin = |id: &&str| {
        let (caller, id) = (world.caller.clone(), (*id).to_owned());
        tokio::spawn(async move { caller.command(&id, "add-later", json!({})).await })
    };
    let begun: Vec<_> = ids.iter().map(begin).collect();
    let all = ids.len() as u64;
    wait_until(SOON, "all under way", async || (world.service.stats().in_flight == all).then_some(())).await;
    begun
}

#[track_caller]
fn overloaded(reply: &Reply, limit: &str) {
    let details = &reply.failure(503, "unavailable")["details"];
    assert_eq!((&details["reason"], &details["limit"]), (&json!("overloaded"), &json!(limit)));
}

#[tokio::test]
async fn a_command_with_as_many_under_way_as_it_may_is_refused_and_others_are_served() {
    let gate = gate();
    let world = limited(&gate, Limits::default().command_in_flight("tally.add-later", 2)).await;
    let begun = waiting(&world, &["a", "b"]).await;
    overloaded(&world.caller.command("c", "add-later", json!({})).await, "command");
    world.caller.command("c", "add", json!({ "amount": 1 })).await.result();
    world.caller.get("c").await.result();
    gate.0.add_permits(3);
    for reply in begun {
        reply.await.unwrap().result();
    }
    assert_eq!(world.caller.command("c", "add-later", json!({})).await.result()["revision"], 2);

    let stats = world.service.stats();
    let later = stats.endpoints.iter().find(|endpoint| endpoint.name == "command-tally-add-later").unwrap();
    let data = later.data.as_ref().unwrap();
    assert_eq!((&data["shed"], &data["in_flight"], later.num_errors), (&json!(1), &json!(0), 0), "{data}");
}

#[tokio::test]
async fn a_query_has_a_limit_of_its_own() {
    let world = limited(&gate(), Limits::default().query_in_flight("tally.get", 1)).await;
    let caller = world.caller.clone();
    let patient = json!({ "aggregateId": "a", "minRevision": 1 });
    let first = tokio::spawn(async move { caller.query("get", patient).await });
    wait_until(SOON, "it under way", async || (world.service.stats().in_flight == 1).then_some(())).await;
    overloaded(&world.caller.get("b").await, "query");
    world.caller.query("history", json!({ "aggregateId": "b" })).await.failure(404, "not-found");
    world.caller.command("a", "add", json!({ "amount": 7 })).await.result();
    assert_eq!(first.await.unwrap().result()["state"]["total"], 7);
    world.caller.get("a").await.result();
}

#[tokio::test]
async fn whoever_is_refused_learns_which_limit_it_was() {
    let gate = gate();
    let limits = Limits::default().in_flight(3).lane(1).command_in_flight("tally.add-later", 3);
    let world = limited(&gate, limits).await;
    let begun = waiting(&world, &["a", "a"]).await;
    overloaded(&world.caller.command("a", "add", json!({ "amount": 1 })).await, "aggregate");
    let more = tokio::spawn({
        let caller = world.caller.clone();
        async move { caller.command("b", "add-later", json!({})).await }
    });
    wait_until(SOON, "it under way", async || (world.service.stats().in_flight == 3).then_some(())).await;
    overloaded(&world.caller.command("b", "add", json!({ "amount": 1 })).await, "instance");
    overloaded(&world.caller.command("b", "add-later", json!({})).await, "command");
    gate.0.add_permits(3);
    for reply in begun.into_iter().chain([more]) {
        reply.await.unwrap().result();
    }
}

#[tokio::test]
async fn without_limits_of_their_own_commands_take_the_places_there_are_and_events_are_as_they_like() {
    let gate = gate();
    let world = World::gated(&gate, |service| service).await;
    let ids: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let begun = waiting(&world, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.caller.command("many", "add-many", json!({ "amounts": vec![1; 900] })).await.result();
    gate.0.add_permits(100);
    for reply in begun {
        reply.await.unwrap().result();
    }
    assert_eq!(world.store.len(), 1000);
}

#[tokio::test]
async fn a_handler_that_asks_for_too_long_is_given_up_and_its_aggregate_goes_on() {
    let gate = gate();
    let world = limited(&gate, Limits::default().handler_timeout(300 * MS)).await;
    let begun = waiting(&world, &["a"]).await;
    // It waits behind the other, and has its turn long before the deadline of either.
    assert_eq!(world.caller.command("a", "add", json!({ "amount": 5 })).await.result()["revision"], 1);
    for reply in begun {
        let reply = reply.await.unwrap();
        let error = reply.failure(504, "deadline-exceeded");
        assert_eq!(error["details"]["limit"], "handler");
        assert!(error["message"].as_str().unwrap().contains("`add-later` took longer than the 300ms"), "{error}");
    }
    assert_eq!(world.store.len(), 1);
    gate.0.add_permits(1);
    assert_eq!(world.caller.command("a", "add-later", json!({})).await.result()["state"]["total"], 6);
}

#[tokio::test]
async fn a_command_whose_events_are_too_large_or_too_many_is_refused_by_name_before_any_is_stored() {
    let limits = Limits::default().max_event_size(16).max_events(3);
    let world = World::with(|service| service.limits(limits)).await;
    world.caller.command("a", "add-many", json!({ "amounts": [1, 2, 3] })).await.result();

    let many = world.caller.command("a", "add-many", json!({ "amounts": [1, 2, 3, 4] })).await;
    let error = many.failure(413, "payload-too-large");
    assert_eq!(error["message"], "the command leads to 4 events; at most 3 are stored for one command");
    assert_eq!(error["details"], json!({ "events": 4, "limit": 3 }));

    // `{"amount":1000}` has 15 bytes.
    let large = world.caller.command("a", "add-many", json!({ "amounts": [1000, 100_000] })).await;
    let error = large.failure(413, "payload-too-large");
    assert_eq!(error["message"], "event 2 of 2, `added`, has 17 bytes; at most 16 are stored");
    assert_eq!(error["details"], json!({ "event": "added", "size": 17, "limit": 16 }));

    assert_eq!(world.store.len(), 3);
    assert_eq!(world.caller.get("a").await.result()["state"]["total"], 6);
}

fn read(text: &str) -> Limits {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_at_the_start_by_name_and_value() {
    let server = TestServer::start().await;
    for (text, expected) in [
        ("in_flight = 0", "limits.in_flight `0`: must be at least 1"),
        ("max_body = 0", "limits.max_body `0`: must be at least 1"),
        ("max_event_size = 0", "limits.max_event_size `0`: must be at least 1"),
        ("max_events = 0", "limits.max_events `0`: must be at least 1"),
        ("max_events = 1001", "limits.max_events `1001`: must be at most 1000"),
        ("max_reply = 10", "limits.max_reply `10`: must be at least 1024"),
        ("in_flight = 9223372036854775807", "limits.in_flight `9223372036854775807`: is more than can be counted"),
        ("handler_timeout = '0s'", "limits.handler_timeout `0s`: must be longer than nothing"),
        ("default_deadline = '2m'", "limits.default_deadline `120s`: must not be above limits.longest_deadline"),
        ("reply_prefixes = ['$JS']", "limits.reply_prefixes `$JS`: must be plain tokens"),
        ("commands.'tally.add' = { in_flight = 0 }", "limits.commands.\"tally.add\".in_flight `0`: must be at least 1"),
        ("commands.'tally.fly' = { in_flight = 1 }", "limits.commands `tally.fly`: the service has no such command"),
        ("commands.'tally.get' = { in_flight = 1 }", "limits.commands `tally.get`: the service has no such command"),
        ("commands.add = { in_flight = 1 }", "limits.commands `add`: the service has no such command"),
        ("queries.'tally.add' = { in_flight = 1 }", "limits.queries `tally.add`: the service has no such query"),
    ] {
        let service = tallies(&MemoryStore::new()).limits(read(text));
        let Err(StartError::Invalid { problems }) = service.start(connection(&server).await).await else {
            panic!("{text}: the service starts");
        };
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].to_string().starts_with(expected), "{text}: {problems:?}");
    }
}

#[test]
fn limits_are_read_from_a_file_and_what_it_cannot_mean_is_refused_by_name() {
    let from_file = read(
        "max_body = 16384\nmax_event_size = 4096\nmax_events = 10\nin_flight = 256\nlane = 32\ndefault_deadline = '2s'\n\
         longest_deadline = '1m'\nhandler_timeout = '500ms'\nreply_prefixes = ['_INBOX_till']\n\
         commands.'receipt.import' = { in_flight = 4 }\nqueries.'receipt.history' = { in_flight = 8 }",
    );
    let built = Limits::default()
        .max_body(16384)
        .max_event_size(4096)
        .max_events(10)
        .in_flight(256)
        .lane(32)
        .default_deadline(2000 * MS)
        .longest_deadline(60_000 * MS)
        .handler_timeout(500 * MS)
        .command_in_flight("receipt.import", 4)
        .query_in_flight("receipt.history", 8)
        .allow_replies_under("_INBOX_till")
        .unwrap();
    assert_eq!(from_file, built);
    assert_eq!(read(&toml::to_string(&built).unwrap()), built);
    assert_eq!(read(""), Limits::default());

    for (text, named) in [
        ("in_flght = 1", "in_flght"),
        ("in_flight = -5", "-5"),
        ("handler_timeout = 5", "handler_timeout"),
        ("default_deadline = '1 day'", "1 day"),
        ("commands.'tally.add' = { places = 1 }", "places"),
        ("commands.'tally.add' = {}", "in_flight"),
    ] {
        let error = toml::from_str::<Limits>(text).unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn limits_have_a_schema_that_agrees_with_what_is_read() {
    let schema: Value = schemars::schema_for!(Limits).into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = json!({ "in_flight": 5, "handler_timeout": "250ms", "commands": { "tally.add": { "in_flight": 1 } } });
    assert!(validator.is_valid(&good) && validator.is_valid(&json!(Limits::default())));
    for bad in [
        json!({ "in_flight": 0 }),
        json!({ "max_events": 1001 }),
        json!({ "handler_timeout": "soon" }),
        json!({ "commands": { "tally.add": { "in_flight": 0 } } }),
        json!({ "commands": { "tally.add": {} } }),
        json!({ "limit": 1 }),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}
