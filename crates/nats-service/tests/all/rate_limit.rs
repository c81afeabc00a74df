//! Rate limits, as callers see them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::recorded;
use crate::support;

use std::time::Duration;

use headwater_core::store::MemoryStore;
use headwater_nats_service::edge::{At, Caller as Verified, Request, Stage};
use headwater_nats_service::{Rate, RateLimit, Service, StartError};
use headwater_testkit::TestServer;
use recorded::Recorded;
use serde_json::{Value, json};
use support::{Reply, World, body, connection, headers, tallies};
use tokio::time::sleep;

/// Slow enough that what is used up stays used up during a test.
fn hourly(burst: u32) -> Rate {
    Rate::new(1, Duration::from_secs(3600)).burst(burst)
}

async fn limited(limit: RateLimit) -> World {
    World::with(|service| service.rate_limit(limit)).await
}

async fn stats(world: &World) -> Value {
    world.caller.ask("$SRV.STATS.tallies", "").await.body["data"]["rateLimit"].clone()
}

/// Asks for a command as somebody.
async fn add_as(world: &World, header: (&str, &str)) -> Reply {
    world.caller.ask_with("tallies.command.tally.add", headers([header]), body("a", &json!({ "amount": 1 }))).await
}

fn passed(reply: &Reply) -> bool {
    match reply.body["success"] == true {
        true => true,
        false => {
            reply.failure(429, "rate-limited");
            false
        }
    }
}

/// How many of `count` commands pass.
async fn pass(world: &World, header: (&str, &str), count: usize) -> usize {
    let mut number = 0;
    for _ in 0..count {
        number += usize::from(passed(&add_as(world, header).await));
    }
    number
}

#[tokio::test]
async fn a_service_without_rate_limits_lets_everything_pass_and_does_not_name_them() {
    let world = World::start().await;
    assert_eq!(pass(&world, ("X-Client", "one"), 100).await, 100);
    assert_eq!(stats(&world).await, Value::Null);
    assert!(world.service.stats().rate_limit.is_none());
    assert!(!world.service.info().identity.metadata["features"].contains("rate-limit"));
}

#[tokio::test]
async fn rate_limits_that_limit_nothing_are_off() {
    let world = limited(RateLimit::default()).await;
    assert!(world.service.stats().rate_limit.is_none());
    assert!(!world.service.info().identity.metadata["features"].contains("rate-limit"));
}

#[tokio::test]
async fn beyond_the_burst_a_request_is_refused_with_the_time_after_which_it_passes() {
    let world = limited(RateLimit::default().service(Rate::new(1, Duration::from_millis(400)).burst(3))).await;
    assert!(world.service.info().identity.metadata["features"].ends_with(",rate-limit"));
    let mut before = 0;
    let refused = loop {
        let reply = world.caller.get("nobody").await;
        if reply.body["error"]["code"] == "rate-limited" {
            break reply;
        }
        before += 1;
        assert!(before < 1000, "the limit never holds");
    };
    assert!(before >= 3, "{before}");
    let details = &refused.failure(429, "rate-limited")["details"];
    assert_eq!(details["limit"], "service");
    let wait = details["retryAfterMs"].as_u64().unwrap();
    assert!((1..=400).contains(&wait), "{wait}");
    sleep(Duration::from_millis(wait)).await;
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
}

#[tokio::test]
async fn a_refused_command_has_no_effect_and_is_seen_in_statistics() {
    let world = limited(RateLimit::default().command("tally.add", hourly(2))).await;
    assert_eq!(pass(&world, ("X-Client", "one"), 5).await, 2);
    let refused = add_as(&world, ("X-Client", "one")).await;
    assert_eq!(refused.failure(429, "rate-limited")["details"]["limit"], "command");
    // Other commands and queries have no limit.
    world.caller.command("a", "add-many", json!({ "amounts": [10, 20] })).await.result();
    assert_eq!(world.caller.get("a").await.result()["state"]["total"], 32);

    let expected = json!({
        "allowed": 4,
        "refused": { "service": 0, "tenant": 0, "caller": 0, "command": 4, "query": 0 },
        "keys": 0,
        "crowded": 0,
    });
    assert_eq!(stats(&world).await, expected);
    let told = world.service.stats();
    assert_eq!(serde_json::to_value(told.rate_limit).unwrap(), expected);
    let add = told.endpoints.iter().find(|endpoint| endpoint.name == "command-tally-add").unwrap();
    assert_eq!(add.num_errors, 0, "a limit that works is no error");
    assert_eq!(add.data.as_ref().unwrap()["codes"]["rate-limited"], 4);
}

#[tokio::test]
async fn what_the_limits_decide_is_a_metric_by_limit_and_names_nobody() {
    let recorded = Recorded::new();
    let settings = recorded.settings();
    let limit = RateLimit::default().caller(hourly(2)).caller_header("X-Client");
    let world = World::with(|service| service.rate_limit(limit).telemetry(settings)).await;
    assert_eq!(pass(&world, ("X-Client", "ann"), 5).await, 2);
    let decisions = |label| recorded.measurement("headwater.rate_limit.decisions", label).value;
    assert_eq!(decisions(("headwater.outcome", "allowed")), 2.0);
    assert_eq!(["caller", "service"].map(|limit| decisions(("headwater.limit", limit))), [3.0, 0.0]);
    assert_eq!(recorded.measurement("headwater.server.turned_away", ("headwater.stage", "rate-limit")).value, 3.0);
    let measured = recorded.measured();
    assert!(
        measured.iter().all(|measured| measured.labels.values().all(|label| !label.contains("ann"))),
        "{measured:?}"
    );
}

#[tokio::test]
async fn a_query_has_a_limit_of_its_own() {
    let world = limited(RateLimit::default().query("tally.get", hourly(1)).query("tally.is-above", hourly(1))).await;
    world.caller.get("a").await.failure(404, "not-found");
    let refused = world.caller.get("a").await;
    assert_eq!(refused.failure(429, "rate-limited")["details"]["limit"], "query");
    assert_eq!(pass(&world, ("X-Client", "one"), 5).await, 5);
    world.caller.query("is-above", json!({ "aggregateId": "a", "query": { "limit": 1 } })).await.result();
}

#[tokio::test]
async fn callers_are_told_apart_by_a_header_and_those_without_it_are_one() {
    let world = limited(RateLimit::default().caller(hourly(2)).caller_header("X-Client")).await;
    assert_eq!(pass(&world, ("X-Client", "one"), 4).await, 2);
    assert_eq!(pass(&world, ("x-client", "two"), 4).await, 2);
    assert_eq!(pass(&world, ("X-Other", "three"), 1).await, 1);
    assert_eq!(pass(&world, ("X-Other", "four"), 4).await, 1);
    let refused = add_as(&world, ("X-Client", "one")).await;
    let error = refused.failure(429, "rate-limited");
    assert_eq!(error["details"]["limit"], "caller");
    assert!(!error.to_string().contains("one"), "{error}");
    assert_eq!(stats(&world).await["keys"], 3);
}

#[tokio::test]
async fn callers_are_told_apart_by_a_function_of_the_service() {
    let limit = RateLimit::default()
        .caller(hourly(1))
        .caller_key(|request| request.header("X-Client")?.split('/').next().map(Into::into));
    let world = limited(limit).await;
    assert_eq!(pass(&world, ("X-Client", "till/1"), 2).await, 1);
    assert_eq!(pass(&world, ("X-Client", "till/2"), 2).await, 0);
    assert_eq!(pass(&world, ("X-Client", "shop/1"), 2).await, 1);
}

#[tokio::test]
async fn a_function_that_panics_costs_its_own_request_and_nothing_else() {
    let limit = RateLimit::default().caller(hourly(2)).caller_key(|request| match request.header("X-Client") {
        Some("broken") => panic!("as the test wants it"),
        other => other.map(Into::into),
    });
    let world = limited(limit).await;
    add_as(&world, ("X-Client", "broken")).await.failure(500, "internal");
    assert_eq!(pass(&world, ("X-Client", "one"), 4).await, 2);
}

/// Says who is calling, in the place of auth: `{user}@{tenant}`.
fn verify(mut request: Request) -> Request {
    let known = request.header("X-User").and_then(|said| said.split_once('@'));
    if let Some((user, tenant)) = known {
        let caller = Verified::new(user).tenant(tenant);
        request.set_caller(caller);
    }
    request
}

fn verified(service: Service) -> Service {
    let layer = tower::layer::layer_fn(|next| tower::util::MapRequest::new(next, verify));
    service.layer(At::after(Stage::Auth), layer)
}

#[tokio::test]
async fn whoever_was_verified_has_a_budget_that_nobody_else_can_use_up() {
    let limit = RateLimit::default().caller(hourly(2)).caller_header("X-Client");
    let world = World::with(|service| verified(service.rate_limit(limit))).await;
    assert_eq!(pass(&world, ("X-Client", "ann"), 4).await, 2);
    assert_eq!(pass(&world, ("X-User", "ann@north"), 4).await, 2);
    assert_eq!(pass(&world, ("X-User", "ann@south"), 4).await, 2);
}

#[tokio::test]
async fn a_tenants_callers_share_its_budget_and_what_it_refuses_costs_them_nothing() {
    let limit = RateLimit::default().tenant(hourly(3)).caller(hourly(2)).service(hourly(6));
    let world = World::with(|service| verified(service.rate_limit(limit))).await;
    assert_eq!(pass(&world, ("X-User", "ann@north"), 4).await, 2);
    assert_eq!(pass(&world, ("X-User", "bob@north"), 4).await, 1);
    let refused = add_as(&world, ("X-User", "bob@north")).await;
    assert_eq!(refused.failure(429, "rate-limited")["details"]["limit"], "tenant");
    // Three have passed, and what was refused is not counted by the limit of the service: it has three left.
    assert_eq!(pass(&world, ("X-User", "cid@south"), 4).await, 2);
    assert_eq!(pass(&world, ("X-User", "dan@south"), 4).await, 1);
    assert_eq!(pass(&world, ("X-User", "eve@west"), 1).await, 0);
    let refused = &stats(&world).await["refused"];
    assert_eq!((&refused["service"], &refused["command"]), (&json!(1), &json!(0)));
}

/// The problems of a service with this limit, as texts.
async fn problems(server: &TestServer, limit: RateLimit) -> Vec<String> {
    let service = tallies(&MemoryStore::new()).rate_limit(limit);
    let Err(StartError::Invalid { problems }) = service.start(connection(server).await).await else {
        panic!("the service starts");
    };
    problems.iter().map(ToString::to_string).collect()
}

fn read(text: &str) -> RateLimit {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_at_the_start_by_name_and_value() {
    let server = TestServer::start().await;
    for (text, expected) in [
        ("service = { rate = 0 }", "rate_limit.service.rate `0`: must be from 1 to 4294967295"),
        ("caller = { rate = 5, burst = -20 }", "rate_limit.caller.burst `-20`: must be from 1 to 4294967295"),
        ("tenant = { rate = -1 }", "rate_limit.tenant.rate `-1`: must be from 1 to 4294967295"),
        ("service = { rate = 5, per = '0s' }", "rate_limit.service.per `0s`: must be longer than nothing"),
        ("service = { rate = 5000, per = '1us' }", "rate_limit.service.rate `5000`: is more than one in a nanosecond"),
        (
            "service = { rate = 1, per = '10000000h' }",
            "rate_limit.service.per `36000000000s`: the budget would take more than 100 years to fill",
        ),
        ("commands.'tally.add' = { rate = 0 }", "rate_limit.commands.\"tally.add\".rate `0`: must be from 1"),
        (
            "commands.'tally.destroy' = { rate = 1 }",
            "rate_limit.commands `tally.destroy`: the service has no such command",
        ),
        ("commands.add = { rate = 1 }", "rate_limit.commands `add`: the service has no such command"),
        ("commands.'tally.get' = { rate = 1 }", "rate_limit.commands `tally.get`: the service has no such command"),
        ("queries.'tally.add' = { rate = 1 }", "rate_limit.queries `tally.add`: the service has no such query"),
        ("max_keys = 0\nservice = { rate = 1 }", "rate_limit.max_keys `0`: must be from 1 to 100000000"),
        ("caller_header = 'X-Client'", "rate_limit.caller_header `X-Client`: does nothing without rate_limit.caller"),
        (
            "caller_header = 'X Client'\ncaller = { rate = 1 }",
            "rate_limit.caller_header `X Client`: is not the name of a header",
        ),
    ] {
        let problems = problems(&server, read(text)).await;
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{text}: {problems:?}");
    }
    let several = read("service = { rate = 0, burst = 0 }\ncommands.'tally.destroy' = { rate = 0 }");
    assert_eq!(problems(&server, several).await.len(), 4);
}

#[test]
fn settings_are_read_from_a_file_and_what_it_cannot_mean_is_refused_by_name() {
    let read_settings = read(
        "service = { rate = 1000, per = '1s', burst = 200 }\ncaller = { rate = 10 }\ncaller_header = 'X-Client'\n\
         max_keys = 5000\n[commands.'receipt.add-item']\nrate = 300\nper = '1m'",
    );
    let built = RateLimit::default()
        .service(Rate::per_second(1000).burst(200))
        .caller(Rate::per_second(10))
        .caller_header("X-Client")
        .max_keys(5000)
        .command("receipt.add-item", Rate::per_minute(300));
    assert_eq!(read_settings, built);
    let written = toml::to_string(&built).unwrap();
    assert_eq!(read(&written), built);

    for (text, named) in [
        ("servce = { rate = 1 }", "servce"),
        ("service = { rate = 1, bursts = 2 }", "bursts"),
        ("service = { per = '1s' }", "rate"),
        ("service = { rate = 1, per = '1 day' }", "1 day"),
        ("service = { rate = 'many' }", "many"),
    ] {
        let error = toml::from_str::<RateLimit>(text).unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn the_settings_have_a_schema_that_agrees_with_what_is_read() {
    let schema: Value = schemars::schema_for!(RateLimit).into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good =
        json!({ "service": { "rate": 5, "per": "250ms" }, "commands": { "tally.add": { "rate": 1, "burst": 2 } } });
    assert!(validator.is_valid(&good));
    for bad in [
        json!({ "service": { "rate": 0 } }),
        json!({ "service": { "rate": 1, "burst": -1 } }),
        json!({ "service": { "rate": 1, "per": "soon" } }),
        json!({ "services": { "rate": 1 } }),
        json!({ "max_keys": 0 }),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}
