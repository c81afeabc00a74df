//! Section 4: every failure of the page, reached the way a caller would, with its number, headers and details.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream;
use chrono::{TimeDelta, Utc};
use headwater::service::{Limits, Rate, RateLimit};
use headwater_testkit::{Direction, wait_until};
use headwater_tests::plain::{add_item, add_items, command_subject, headers, query_subject};
use headwater_tests::{Answer, Site};
use serde_json::json;

use super::commands::members;
use super::page::{NOT_YET, codes};

/// A failure has the members of the page and no others.
fn check_shape(answer: &Answer) {
    assert_eq!(members(&answer.body), ["error", "metadata", "success"]);
    assert_eq!(members(&answer.body["error"]), ["code", "details", "message", "retryable"]);
    assert!(answer.body["error"]["details"].is_object());
    let metadata = members(&answer.body["metadata"]);
    for member in ["duration", "instance", "replayed", "timestamp"] {
        assert!(metadata.contains(&member), "{metadata:?}");
    }
}

#[tokio::test]
async fn every_code_of_the_page_is_reached_but_those_that_are_not_built_yet() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    let past = (Utc::now() - TimeDelta::seconds(1)).to_rfc3339();
    let stale = {
        let mut body = add_item("order-1", "Tea");
        body["expectedRevision"] = json!(7);
        body
    };
    let body = add_item("order-1", "Tea").to_string();
    let answers = [
        plain.ask(&command_subject("add-item"), "not json").await,
        plain.command("add-item", &json!({ "aggregateId": "order-1", "command": {} })).await,
        plain.get("nobody").await,
        plain.command("add-item", &stale).await,
        plain.ask(&command_subject("add-item"), vec![b' '; 70_000]).await,
        plain.command("finalize", &json!({ "aggregateId": "nobody", "command": {} })).await,
        plain.ask_with(&command_subject("add-item"), headers([("Headwater-Deadline", &past)]), body).await,
        internal(&site).await,
        unavailable().await,
        outcome_unknown().await,
        rate_limited().await,
    ];
    let mut reached = BTreeSet::new();
    for answer in answers {
        check_shape(&answer);
        let error = &answer.body["error"];
        let code = error["code"].as_str().unwrap();
        let row =
            codes().into_iter().find(|row| row.code == code).unwrap_or_else(|| panic!("{code} is not on the page"));
        answer.error(row.number, code);
        assert_eq!(error["retryable"], row.retryable, "{code}");
        reached.insert(format!("{} {code}", row.number));
    }
    let not_yet = NOT_YET.map(|(code, _)| code);
    let on_the_page: BTreeSet<_> = codes().iter().map(|row| format!("{} {}", row.number, row.code)).collect();
    let expected: BTreeSet<_> = on_the_page.into_iter().filter(|code| !not_yet.contains(&code.as_str())).collect();
    assert_eq!(reached, expected);
}

/// A history with something in it that is no event.
async fn internal(site: &Site) -> Answer {
    let streams = jetstream::new(site.client().await);
    let subject = "receipts.journal.receipt.junk.item-added";
    streams.publish(subject, "junk".into()).await.unwrap().await.unwrap();
    site.plain().await.get("junk").await
}

/// The store is out of reach: nothing was done.
async fn unavailable() -> Answer {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let instance = site.starting().jetstream_by(&proxy).start().await;
    proxy.refuse().await;
    proxy.cut().await;
    instance.connections.jetstream.disconnected().await;
    let answer = site.plain().await.add("order-1", "Tea").await;
    assert_eq!(answer.error(503, "unavailable")["details"]["reason"], "store");
    assert_eq!(site.journal().await.count().await, 0);
    answer
}

/// The append went out, and nothing that JetStream says comes back.
async fn outcome_unknown() -> Answer {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let short = Duration::from_millis(300);
    let starting = site.starting().jetstream_by(&proxy);
    let _instance = starting.store(|store| store.ack_timeout(short).settle_timeout(short)).start().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    proxy.lose_for(Duration::from_secs(60));
    let mut body = add_item("order-1", "Coffee");
    body["metadata"] = json!({ "commandId": "c-1" });
    let answer = plain.command("add-item", &body).await;
    answer.error(503, "outcome-unknown");

    // Sent again with the same id, it is settled.
    proxy.lose_nothing();
    let settled = plain.command("add-item", &body).await;
    assert_eq!(settled.result()["revision"], 2);
    assert_eq!(site.journal().await.count().await, 2);
    answer
}

/// One more than the burst.
async fn rate_limited() -> Answer {
    let site = Site::open().await;
    let limit = RateLimit::default().command("receipt.add-item", Rate::new(1, Duration::from_secs(3600)));
    let _instance = site.starting().service(|service| service.rate_limit(limit)).start().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    let answer = plain.add("order-2", "Tea").await;
    let details = &answer.error(429, "rate-limited")["details"];
    assert_eq!(details["limit"], "command");
    assert!((1..=3_600_000).contains(&details["retryAfterMs"].as_u64().unwrap()), "{details:#}");
    assert_eq!(site.journal().await.count().await, 1);
    answer
}

#[tokio::test]
async fn a_payload_that_breaks_its_schema_is_told_with_every_violation() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let command = json!({ "name": "", "price": "5.999", "quantity": 0, "more": 1 });
    let answer = site.plain().await.command("add-item", &json!({ "aggregateId": "order-1", "command": command })).await;
    let error = answer.error(400, "validation-failed");
    let violations = error["details"]["violations"].as_array().unwrap();
    assert!(violations.iter().all(|violation| members(violation) == ["message", "path"]));
    let mut paths: Vec<_> = violations.iter().map(|violation| violation["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["", "/name", "/price", "/quantity"], "{error:#}");
}

#[tokio::test]
async fn the_domains_no_is_told_with_its_name_and_its_members() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let send = async |name: &str, command: serde_json::Value| {
        plain.command(name, &json!({ "aggregateId": "order-1", "command": command })).await
    };
    let rejected = |answer: &Answer| answer.error(422, "command-rejected")["details"].clone();
    let empty = send("finalize", json!({})).await;
    assert_eq!(rejected(&empty), json!({ "rejection": "receipt-empty" }));
    let missing = send("remove-item", json!({ "name": "Tea" })).await;
    assert_eq!(rejected(&missing), json!({ "rejection": "item-not-found", "name": "Tea" }));
    plain.add("order-1", "Tea").await.result();
    send("finalize", json!({})).await.result();
    let closed = send("finalize", json!({})).await;
    assert_eq!(rejected(&closed), json!({ "rejection": "receipt-not-open", "status": "closed" }));
    send("void", json!({ "reason": "x" })).await.result();
    let voided = send("void", json!({ "reason": "x" })).await;
    assert_eq!(rejected(&voided), json!({ "rejection": "already-voided" }));
}

#[tokio::test]
async fn the_same_command_id_on_another_command_is_a_conflict() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let send = async |item: &str| {
        let mut body = add_item("order-1", item);
        body["metadata"] = json!({ "commandId": "c-1" });
        plain.command("add-item", &body).await
    };
    send("Tea").await.result();
    let reused = send("Coffee").await;
    assert_eq!(reused.error(409, "conflict")["details"]["reason"], "command-id-reused");
    assert_eq!(journal.count().await, 1);
}

#[tokio::test]
async fn an_event_or_a_reply_that_is_too_large_is_a_413_that_says_whether_the_command_was_done() {
    let site = Site::open().await;
    let limits = Limits::default().max_reply(2048);
    let starting = site.starting().service(|service| service.limits(limits));
    let _instance = starting.store(|store| store.max_event_size(1024)).start().await;
    let (plain, journal) = (site.plain().await, site.journal().await);

    let reason = "x".repeat(500);
    let mut body = json!({ "aggregateId": "order-1", "command": { "reason": reason } });
    body["metadata"] = json!({ "userId": "u".repeat(256), "correlationId": "k".repeat(256) });
    let event = plain.command("void", &body).await;
    assert!(event.error(413, "payload-too-large")["details"].get("executed").is_none());
    assert_eq!(journal.count().await, 0);

    let names: Vec<_> = (0..40).map(|line| format!("Item number {line}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let reply = plain.command("add-items", &add_items("order-2", &names)).await;
    let details = &reply.error(413, "payload-too-large")["details"];
    assert_eq!((&details["executed"], &details["revision"]), (&json!(true), &json!(40)));
    assert_eq!(journal.count().await, 40);
    plain.get("order-2").await.error(413, "payload-too-large");
}

#[tokio::test]
async fn an_overloaded_instance_says_so_at_once() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let limits = Limits::default().in_flight(1);
    let instance = site.starting().jetstream_by(&proxy).service(|service| service.limits(limits)).start().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    proxy.delay(Direction::ToClient, Duration::from_millis(500));
    let slow = tokio::spawn({
        let plain = plain.clone();
        async move { plain.add("order-1", "Coffee").await }
    });
    let endpoint = "command-receipt-add-item";
    let under_way = || async { (instance.endpoint(endpoint).data?["in_flight"] == 1).then_some(()) };
    wait_until(Duration::from_secs(5), "the slow command to be under way", under_way).await;
    let shed = plain.add("order-2", "Tea").await;
    assert_eq!(shed.error(503, "unavailable")["details"]["reason"], "overloaded");
    slow.await.unwrap().result();
    proxy.pass();
    let stats = instance.endpoint(endpoint);
    assert_eq!(stats.num_errors, 0, "a request that was turned away is no sign of ill health");
    assert_eq!(stats.data.unwrap()["codes"]["unavailable"], 1);
}

/// A drained instance answers whoever is still waiting: the command's outcome is open, the query's is not.
#[tokio::test]
async fn a_draining_instance_tells_those_it_cannot_wait_for() {
    let site = Site::open().await;
    let proxy = site.proxy().await;
    let starting = site.starting().jetstream_by(&proxy);
    let instance = starting.service(|service| service.drain_timeout(Duration::from_millis(300))).start().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    proxy.freeze();
    let [command, query] = [
        (command_subject("add-item"), add_item("order-1", "Coffee")),
        (query_subject("get"), json!({ "aggregateId": "order-1" })),
    ]
    .map(|(subject, body)| {
        let plain = plain.clone();
        tokio::spawn(async move { plain.ask(&subject, body.to_string()).await })
    });
    let under_way = || async {
        let in_flight = |name: &str| Some(instance.endpoint(name).data?["in_flight"] == 1);
        (in_flight("command-receipt-add-item")? && in_flight("query-receipt-get")?).then_some(())
    };
    wait_until(Duration::from_secs(5), "command and query to be under way", under_way).await;
    let drained = instance.service.drain().await;
    let command = command.await.unwrap();
    assert_eq!(command.error(503, "outcome-unknown")["details"]["reason"], "draining", "{drained:?}");
    assert_eq!(query.await.unwrap().error(503, "unavailable")["details"]["reason"], "draining");
}

#[tokio::test]
async fn the_numbers_of_an_endpoint_count_5xx_as_errors_and_everything_by_its_code() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let plain = site.plain().await;
    let streams = jetstream::new(site.client().await);
    streams.publish("receipts.journal.receipt.junk.item-added", "junk".into()).await.unwrap().await.unwrap();
    plain.add("order-1", "Tea").await.result();
    plain.add("order-1", "Coffee").await.result();
    plain
        .command("add-item", &json!({ "aggregateId": "order-1", "command": {} }))
        .await
        .error(400, "validation-failed");
    plain.add("junk", "Tea").await.error(500, "internal");
    let before = instance.endpoint("command-receipt-add-item");
    assert_eq!((before.num_requests, before.num_errors), (4, 1));
    assert_eq!(before.last_error, "500:internal (history-broken)");
    let data = before.data.unwrap();
    assert_eq!(data["codes"], json!({ "ok": 2, "validation-failed": 1, "internal": 1 }));
    assert_eq!(data["in_flight"], 0);
    assert!(before.processing_time > 0);
    assert_eq!(before.average_processing_time, before.processing_time / 4);
}
