//! What a service answers, asked the way any NATS program would.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::time::Duration;

use chrono::Utc;
use headwater_nats_service::Limits;
use serde_json::{Value, json};
use support::{World, body, headers};

#[tokio::test]
async fn a_command_is_answered_with_the_entity_and_its_events() {
    let world = World::start().await;
    let request = json!({
        "aggregateId": "order-1", "command": { "amounts": [1, 2] }, "expectedRevision": 0, "something": "else",
        "metadata": { "commandId": "c-1", "correlationId": "k-1", "timestamp": "2026-11-20T12:00:00Z" },
    });
    let reply = world.caller.ask("tallies.command.tally.add-many", request.to_string()).await;
    let result = reply.result();
    assert_eq!(result["aggregate"], json!({ "type": "tally", "id": "order-1" }));
    assert_eq!((&result["revision"], &result["sequence"]), (&json!(2), &json!(2)));
    assert_eq!(result["state"], json!({ "id": "order-1", "total": 3, "padding": "" }));
    let events = result["events"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!((&events[1]["type"], &events[1]["revision"]), (&json!("added"), &json!(2)));
    assert!(uuid::Uuid::parse_str(events[1]["id"].as_str().unwrap()).is_ok());

    let metadata = &reply.body["metadata"];
    assert_eq!((&metadata["commandId"], &metadata["correlationId"]), (&json!("c-1"), &json!("k-1")));
    assert_eq!(metadata["instance"], world.service.instance_id());
    assert_eq!(metadata["replayed"], false);
    assert!(metadata["duration"].as_f64().unwrap() >= 0.0);
    assert!(metadata["timestamp"].as_str().unwrap().ends_with('Z'), "{metadata}");
}

#[tokio::test]
async fn a_reply_without_the_state_can_be_asked_for() {
    let world = World::start().await;
    let request = json!({ "aggregateId": "a", "command": { "amount": 1 }, "return": "revision" });
    let reply = world.caller.ask("tallies.command.tally.add", request.to_string()).await;
    assert_eq!(reply.result()["revision"], 1);
    assert!(reply.result().get("state").is_none());
}

#[tokio::test]
async fn a_command_without_an_id_is_given_one_and_a_repeated_id_gets_the_first_outcome() {
    let world = World::start().await;
    let first = world.caller.command("a", "add", json!({ "amount": 1 })).await;
    let id = first.body["metadata"]["commandId"].as_str().unwrap();
    let again = json!({ "aggregateId": "a", "command": { "amount": 1 }, "metadata": { "commandId": id } });
    let again = world.caller.ask("tallies.command.tally.add", again.to_string()).await;
    assert_eq!(again.result()["events"], first.result()["events"]);
    assert_eq!(again.body["metadata"]["replayed"], true);
    assert_eq!(world.store.len(), 1);
}

#[tokio::test]
async fn a_failure_names_the_command_id_that_a_retry_has_to_carry() {
    let world = World::start().await;
    let reply = world.caller.command("a", "refuse", json!({})).await;
    reply.failure(422, "command-rejected");
    assert!(reply.body["metadata"]["commandId"].is_string(), "{:#}", reply.body);
}

#[tokio::test]
async fn ids_of_any_kind_are_aggregates_of_their_own() {
    let world = World::start().await;
    for id in ["a.b", "*", ">", "two words", "🧾", "50%", "a=b", &"x".repeat(128)] {
        assert_eq!(world.caller.command(id, "add", json!({ "amount": 1 })).await.result()["revision"], 1, "{id}");
        assert_eq!(world.caller.get(id).await.result()["aggregate"]["id"], id);
    }
}

#[tokio::test]
async fn queries_answer_state_history_and_what_the_aggregate_adds() {
    let world = World::start().await;
    for amount in [1, 2, 3] {
        world.caller.command("a", "add", json!({ "amount": amount })).await.result();
    }
    let now = world.caller.get("a").await;
    assert_eq!(now.result()["state"]["total"], 6);
    let then = world.caller.query("get", json!({ "aggregateId": "a", "atRevision": 2 })).await;
    assert_eq!((&then.result()["revision"], &then.result()["state"]["total"]), (&json!(2), &json!(3)));

    let page = world.caller.query("history", json!({ "aggregateId": "a", "afterRevision": 1, "limit": 1 })).await;
    let page = page.result();
    assert_eq!((&page["revision"], &page["next"]), (&json!(3), &json!(2)));
    let event = &page["events"][0];
    assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("/tallies")));
    assert_eq!(
        (&event["revision"], &event["sequence"], &event["data"]),
        (&json!(2), &json!(2), &json!({ "amount": 2 }))
    );

    let above =
        json!({ "aggregateId": "a", "query": { "limit": 5 }, "minRevision": 3, "metadata": { "correlationId": "k" } });
    let above = world.caller.query("is-above", above).await;
    assert_eq!((&above.result()["answer"], &above.result()["revision"]), (&json!(true), &json!(3)));
    assert_eq!(above.body["metadata"]["correlationId"], "k");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_and_named() {
    let world = World::start().await;
    let long = body(&"x".repeat(129), &json!({ "amount": 1 }));
    let control = body("a\u{7}b", &json!({ "amount": 1 }));
    for (sent, code, named) in [
        ("", "invalid-request", "empty"),
        ("{\"aggregateId\": \"a\", \"comm", "invalid-request", "not JSON"),
        ("[1, 2]", "invalid-request", "JSON object"),
        ("{}", "invalid-request", "aggregateId"),
        (r#"{"aggregateId": "a"}"#, "invalid-request", "command"),
        (r#"{"aggregateId": 7, "command": {}}"#, "invalid-request", "aggregateId"),
        (r#"{"aggregateId": "", "command": {}}"#, "invalid-request", "aggregateId"),
        (long.as_str(), "invalid-request", "aggregateId"),
        (control.as_str(), "invalid-request", "aggregateId"),
        (r#"{"aggregateId": "a", "aggregateId": "b", "command": {}}"#, "invalid-request", "aggregateId"),
        (r#"{"aggregateId": "\ud800", "command": {}}"#, "invalid-request", "JSON"),
        (
            r#"{"aggregateId": "a", "command": {"amount": 1}, "expectedRevision": -1}"#,
            "invalid-request",
            "expectedRevision",
        ),
        (r#"{"aggregateId": "a", "command": {"amount": 1}, "return": "all"}"#, "invalid-request", "return"),
        (
            r#"{"aggregateId": "a", "command": {"amount": 1}, "metadata": {"commandId": ""}}"#,
            "invalid-request",
            "commandId",
        ),
        (r#"{"aggregateId": "a", "command": {}}"#, "validation-failed", "amount"),
        (r#"{"aggregateId": "a", "command": {"amount": "1"}}"#, "validation-failed", "/amount"),
        (r#"{"aggregateId": "a", "command": {"amount": 1001}}"#, "validation-failed", "/amount"),
        (r#"{"aggregateId": "a", "command": {"amount": 18446744073709551616}}"#, "validation-failed", "/amount"),
        (r#"{"aggregateId": "a", "command": {"amount": 1e999}}"#, "invalid-request", "JSON"),
        (r#"{"aggregateId": "a", "command": {"amount": 1, "more": 2}}"#, "validation-failed", "more"),
        (r#"{"aggregateId": "a", "command": null}"#, "validation-failed", ""),
    ] {
        let reply = world.caller.ask("tallies.command.tally.add", sent.to_owned()).await;
        let error = reply.failure(400, code);
        assert!(error["message"].as_str().unwrap().contains(named), "{sent}: {error:#}");
        if code == "validation-failed" {
            assert!(!error["details"]["violations"].as_array().unwrap().is_empty(), "{error:#}");
        }
    }
    assert!(world.store.is_empty());
}

#[tokio::test]
async fn what_the_service_does_not_have_is_named() {
    let world = World::start().await;
    for (subject, number, code, named) in [
        ("tallies.command.tally.fly", 400, "invalid-request", "fly"),
        ("tallies.command.bird.add", 400, "invalid-request", "bird"),
        ("tallies.command.tally", 400, "invalid-request", "subject"),
        ("tallies.command.tally.add.now", 400, "invalid-request", "subject"),
        ("tallies.query.bird.get", 400, "invalid-request", "bird"),
        ("tallies.query.tally.all", 404, "not-found", "all"),
        ("tallies.query.tally.add", 404, "not-found", "add"),
        ("tallies.query.tally.get.it", 400, "invalid-request", "subject"),
    ] {
        let reply = world.caller.ask(subject, body("a", &json!({ "amount": 1 }))).await;
        let error = reply.failure(number, code);
        assert!(error["message"].as_str().unwrap().contains(named), "{subject}: {error:#}");
    }
    assert_eq!(world.service.stats().strays.unknown, 8);
}

#[tokio::test]
async fn the_domains_no_travels_with_its_members() {
    let world = World::start().await;
    let reply = world.caller.command("a", "refuse", json!({})).await;
    let error = reply.failure(422, "command-rejected");
    assert_eq!(error["details"], json!({ "rejection": "not-with-me", "by": "the tally" }));
    assert_eq!(error["message"], "not with me, the tally");
}

#[tokio::test]
async fn a_revision_that_does_not_hold_is_a_conflict_that_tells_the_one_that_does() {
    let world = World::start().await;
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
    let request = json!({ "aggregateId": "a", "command": { "amount": 1 }, "expectedRevision": 0 });
    let reply = world.caller.ask("tallies.command.tally.add", request.to_string()).await;
    assert_eq!(reply.failure(409, "conflict")["details"]["actualRevision"], 1);
}

#[tokio::test]
async fn an_aggregate_without_events_is_not_found() {
    let world = World::start().await;
    world.caller.get("nobody").await.failure(404, "not-found");
    world.caller.query("history", json!({ "aggregateId": "nobody" })).await.failure(404, "not-found");
}

#[tokio::test]
async fn a_panic_is_one_callers_failure_and_the_next_is_served() {
    let world = World::start().await;
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
    for _ in 0..3 {
        world.caller.command("a", "explode", json!({})).await.failure(500, "internal");
        let query = json!({ "aggregateId": "a", "query": {} });
        world.caller.query("explode-too", query).await.failure(500, "internal");
    }
    assert_eq!(world.caller.command("a", "add", json!({ "amount": 1 })).await.result()["revision"], 2);
    assert_eq!(world.caller.get("a").await.result()["state"]["total"], 2);
}

#[tokio::test]
async fn something_outside_that_does_not_answer_is_named() {
    let world = World::start().await;
    let reply = world.caller.command("a", "ask-outside", json!({})).await;
    let error = reply.failure(503, "unavailable");
    assert_eq!(error["details"]["reason"], "price-list");
    assert!(!error["message"].as_str().unwrap().contains("no route"), "{error:#}");
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_told_so_and_nothing_is_done() {
    let world = World::start().await;
    let past = (Utc::now() - Duration::from_secs(1)).to_rfc3339();
    let body = body("a", &json!({ "amount": 1 }));
    let reply =
        world.caller.ask_with("tallies.command.tally.add", headers([("Headwater-Deadline", &past)]), body.clone());
    reply.await.failure(504, "deadline-exceeded");
    let bad = headers([("headwater-deadline", "soon")]);
    let reply = world.caller.ask_with("tallies.command.tally.add", bad, body).await;
    assert!(reply.failure(400, "invalid-request")["message"].as_str().unwrap().contains("Headwater-Deadline"));
    assert!(world.store.is_empty());
}

#[tokio::test]
async fn a_deadline_that_passes_while_the_handler_works_is_told_so() {
    let world = World::start().await;
    let soon = (Utc::now() + Duration::from_millis(300)).to_rfc3339();
    let headers = headers([("Headwater-Deadline", &soon)]);
    let reply = world.caller.ask_with("tallies.command.tally.add-later", headers, body("a", &json!({}))).await;
    reply.failure(504, "deadline-exceeded");
    assert_eq!(world.caller.command("a", "add", json!({ "amount": 1 })).await.result()["revision"], 1);
}

#[tokio::test]
async fn a_request_without_a_deadline_has_the_services() {
    let limits = Limits::default().default_deadline(Duration::from_millis(200));
    let world = World::with(|service| service.limits(limits)).await;
    world.caller.command("a", "add-later", json!({})).await.failure(504, "deadline-exceeded");
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
    let query = json!({ "aggregateId": "a", "minRevision": 9 });
    world.caller.query("get", query).await.failure(504, "deadline-exceeded");
}

#[tokio::test]
async fn only_json_is_read() {
    let world = World::start().await;
    let body = body("a", &json!({ "amount": 1 }));
    let xml = headers([("Content-Type", "application/xml")]);
    let reply = world.caller.ask_with("tallies.command.tally.add", xml, body.clone()).await;
    assert!(reply.failure(400, "invalid-request")["message"].as_str().unwrap().contains("Content-Type"));
    let json = headers([("content-type", "application/json; charset=utf-8")]);
    world.caller.ask_with("tallies.command.tally.add", json, body).await.result();
}

#[tokio::test]
async fn a_trace_reaches_the_events_and_other_headers_do_not() {
    let world = World::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent = headers([
        ("Traceparent", trace),
        ("Nats-Msg-Id", "forged"),
        ("Nats-Rollup", "all"),
        ("Nats-Expected-Last-Sequence", "99"),
        ("X-Other", "kept out"),
    ]);
    let request = json!({
        "aggregateId": "a", "command": { "amount": 1 },
        "metadata": { "correlationId": "k", "causationId": "e", "userId": "u", "tenantId": "t" },
    });
    world.caller.ask_with("tallies.command.tally.add", sent, request.to_string()).await.result();
    let page = world.caller.query("history", json!({ "aggregateId": "a" })).await;
    let event = &page.result()["events"][0];
    assert_eq!(event["traceparent"], trace);
    for (member, value) in [("correlationid", "k"), ("causationid", "e"), ("userid", "u"), ("tenantid", "t")] {
        assert_eq!(event[member], value);
    }
    assert!(!event.to_string().contains("forged") && !event.to_string().contains("kept out"), "{event}");

    let broken = headers([("traceparent", "not a trace")]);
    let body = body("b", &json!({ "amount": 1 }));
    world.caller.ask_with("tallies.command.tally.add", broken, body).await.result();
}

#[tokio::test]
async fn a_state_too_large_to_send_does_not_make_a_failure_of_what_was_done() {
    let limits = Limits::default().max_reply(2048);
    let world = World::with(|service| service.limits(limits)).await;
    let reply = world.caller.command("a", "pad", json!({ "bytes": 4000 })).await;
    let error = reply.failure(413, "payload-too-large");
    assert_eq!((&error["details"]["executed"], &error["details"]["revision"]), (&json!(true), &json!(1)));
    assert!(error["message"].as_str().unwrap().contains("carried out"), "{error:#}");

    world.caller.get("a").await.failure(413, "payload-too-large");
    let request = json!({ "aggregateId": "a", "command": { "amount": 1 }, "return": "revision" });
    let reply = world.caller.ask("tallies.command.tally.add", request.to_string()).await;
    assert_eq!(reply.result()["revision"], 2);
}

#[tokio::test]
async fn a_page_of_history_is_cut_where_the_reply_would_be_too_large() {
    let limits = Limits::default().max_reply(2048);
    let world = World::with(|service| service.limits(limits)).await;
    let many = json!({ "aggregateId": "a", "command": { "amounts": vec![1; 40] }, "return": "revision" });
    world.caller.ask("tallies.command.tally.add-many", many.to_string()).await.failure(413, "payload-too-large");
    let mut seen = Vec::new();
    let mut after = Value::from(0);
    while !after.is_null() {
        let page = world.caller.query("history", json!({ "aggregateId": "a", "afterRevision": after })).await;
        let page = page.result();
        assert!(page.to_string().len() <= 2048);
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["revision"].as_u64().unwrap()));
        after = page["next"].clone();
    }
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_servers_own_limit_holds_for_replies_too() {
    let server = headwater_testkit::TestServer::with(|server| server.max_payload(16 * 1024)).await;
    let world = World::on(server, |service| service).await;
    world.caller.command("a", "pad", json!({ "bytes": 100_000 })).await.failure(413, "payload-too-large");
    assert_eq!(world.caller.command("b", "add", json!({ "amount": 1 })).await.result()["revision"], 1);
}
