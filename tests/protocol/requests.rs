//! Section 3: headers of a request, and what a service accepts before it looks any closer.

use std::time::Duration;

use async_nats::HeaderMap;
use chrono::{TimeDelta, Utc};
use futures_util::StreamExt;
use headwater::service::Limits;
use headwater_testkit::{TestServer, wait_until};
use headwater_tests::plain::{add_item, command_subject, headers, query_subject};
use headwater_tests::{Answer, Plain, Site};
use serde_json::{Value, json};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn add_with(plain: &Plain, id: &str, headers: HeaderMap) -> Answer {
    plain.ask_with(&command_subject("add-item"), headers, add_item(id, "Tea").to_string()).await
}

#[tokio::test]
async fn a_body_is_json_unless_its_content_type_says_otherwise() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        add_with(&plain, "order-1", headers([("Content-Type", content_type)])).await.result();
        add_with(&plain, "order-1", headers([("content-type", content_type)])).await.result();
    }
    for content_type in ["text/plain", "application/xml", ""] {
        let answer = add_with(&plain, "order-1", headers([("Content-Type", content_type)])).await;
        assert_eq!(answer.message(400, "invalid-request"), "the header `Content-Type` must be `application/json`");
    }
}

#[tokio::test]
async fn the_trace_of_a_request_reaches_the_stored_event_however_its_header_is_spelled() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    for (id, name) in [("a", "traceparent"), ("b", "Traceparent"), ("c", "TRACEPARENT"), ("d", "TraceParent")] {
        add_with(&plain, id, headers([(name, TRACE), ("Tracestate", "a=b"), ("Baggage", "c=d")])).await.result();
        let stored = journal.of(id).await;
        let trace = stored[0].text("traceparent");
        // The span that appended, within the caller's trace.
        assert_eq!((&trace[..36], trace.len()), (&TRACE[..36], 55), "{name}");
    }
    for broken in ["", "00-abc", &TRACE.to_uppercase()] {
        add_with(&plain, "e", headers([("traceparent", broken)])).await.result();
        assert!(journal.of("e").await.last().unwrap().body.get("traceparent").is_none(), "{broken}");
    }
}

#[tokio::test]
async fn headers_of_a_caller_never_reach_a_stored_event() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let hostile = headers([
        ("Authorization", "Bearer secret"),
        ("X-Request", "mine"),
        ("Nats-Msg-Id", "taken"),
        ("Nats-Expected-Last-Subject-Sequence", "770077"),
        ("Nats-Rollup", "all"),
        ("Nats-TTL", "1s"),
        ("Nats-Batch-Id", "x"),
        ("Headwater-Whatever", "x"),
    ]);
    add_with(&plain, "order-1", hostile).await.result();
    let stored = journal.all().await.remove(0);
    let text = format!("{:?} {}", stored.headers, stored.body);
    for foreign in ["secret", "mine", "taken", "770077", "Rollup", "TTL", "Batch", "Whatever"] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
}

#[tokio::test]
async fn past_its_deadline_a_request_is_dropped_with_504() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let past = (Utc::now() - TimeDelta::seconds(1)).to_rfc3339();
    for name in ["Headwater-Deadline", "headwater-deadline"] {
        add_with(&plain, "order-1", headers([(name, &past)])).await.error(504, "deadline-exceeded");
    }
    let body = json!({ "aggregateId": "order-1" }).to_string();
    let asked = plain.ask_with(&query_subject("get"), headers([("Headwater-Deadline", &past)]), body).await;
    asked.error(504, "deadline-exceeded");
    assert_eq!(journal.count().await, 0);

    let ahead = (Utc::now() + TimeDelta::seconds(5)).to_rfc3339();
    add_with(&plain, "order-1", headers([("Headwater-Deadline", &ahead)])).await.result();
    let elsewhere = (Utc::now() + TimeDelta::seconds(5)).with_timezone(&chrono::FixedOffset::west_opt(3600).unwrap());
    add_with(&plain, "order-1", headers([("Headwater-Deadline", &elsewhere.to_rfc3339())])).await.result();
    let answer = add_with(&plain, "order-1", headers([("Headwater-Deadline", "soon")])).await;
    assert_eq!(answer.message(400, "invalid-request"), "the header `Headwater-Deadline` must be an RFC 3339 time");
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_no_more() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let padded = |size: usize| {
        let mut body = add_item("order-1", "Tea").to_string();
        body.push_str(&" ".repeat(size - body.len()));
        body
    };
    let subject = command_subject("add-item");
    plain.ask(&subject, padded(64 * 1024)).await.result();
    let answer = plain.ask(&subject, padded(64 * 1024 + 1)).await;
    assert_eq!(answer.error(413, "payload-too-large")["details"]["limit"], 64 * 1024);
    assert_eq!(
        answer.message(413, "payload-too-large"),
        "the request body has 65537 bytes; at most 65536 are accepted"
    );
    for further in ["get", "history", "summary"] {
        plain.ask(&query_subject(further), padded(64 * 1024 + 1)).await.error(413, "payload-too-large");
    }
}

#[tokio::test]
async fn there_may_be_64_header_lines_of_8_kib_together() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let lines = |count: usize| {
        let mut headers = HeaderMap::new();
        (0..count).for_each(|line| headers.append("X-Line", line.to_string()));
        headers
    };
    add_with(&plain, "order-1", lines(64)).await.result();
    let answer = add_with(&plain, "order-1", lines(65)).await;
    assert_eq!(answer.error(413, "payload-too-large")["details"]["limit"], 64);
    add_with(&plain, "order-1", headers([("X-Long", &"x".repeat(8000))])).await.result();
    let answer = add_with(&plain, "order-1", headers([("X-Long", &"x".repeat(8 * 1024))])).await;
    assert_eq!(answer.error(413, "payload-too-large")["details"]["limit"], 8 * 1024);
}

#[tokio::test]
async fn json_may_be_32_levels_deep() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let nested = |levels: usize| {
        // The request itself is the first level.
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        let mut body = add_item("order-1", "Tea").to_string();
        body.truncate(body.len() - 1);
        format!("{body},\"extra\":{open}{close}}}")
    };
    let subject = command_subject("add-item");
    plain.ask(&subject, nested(32)).await.result();
    let answer = plain.ask(&subject, nested(33)).await;
    assert_eq!(answer.message(400, "invalid-request"), "the JSON is nested more than 32 levels deep");
}

#[tokio::test]
async fn an_answer_goes_to_an_inbox_or_nowhere() {
    let site = Site::open().await;
    let limits = Limits::default().allow_replies_under("replies.till").unwrap();
    let instance = site.starting().service(|service| service.limits(limits)).start().await;
    let plain = site.plain().await;
    let body = json!({ "aggregateId": "order-1" }).to_string();
    plain.add("order-1", "Tea").await.result();
    for allowed in ["_INBOX.mine.1", "replies.till.1"] {
        let mut replies = plain.client.subscribe(allowed).await.unwrap();
        plain.client.publish_with_reply(query_subject("get"), allowed, body.clone().into()).await.unwrap();
        let reply = tokio::time::timeout(Duration::from_secs(5), replies.next()).await.expect(allowed).unwrap();
        assert_eq!(Answer::of(reply).result()["revision"], 1, "{allowed}");
    }
    let refused = ["receipts.elsewhere", "_INBOXES.a", "replies.tillage.1", "replies"];
    let mut heard = Vec::new();
    for subject in refused {
        heard.push(plain.client.subscribe(subject).await.unwrap());
        plain.client.publish_with_reply(query_subject("get"), subject, body.clone().into()).await.unwrap();
    }
    let counted = || async {
        let data = instance.endpoint("query-receipt-get").data?;
        (data["refused_reply"] == refused.len()).then_some(())
    };
    wait_until(Duration::from_secs(5), "the refused replies to be counted", counted).await;
    // An answer sent before this one would be here before it.
    plain.get("order-1").await.result();
    for (subject, mut replies) in refused.into_iter().zip(heard) {
        let none = tokio::time::timeout(Duration::from_millis(1), replies.next()).await;
        assert!(none.is_err(), "{subject} got an answer");
    }
}

#[tokio::test]
async fn a_request_that_names_no_reply_is_counted_and_not_carried_out() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    plain.client.publish(command_subject("add-item"), add_item("order-1", "Tea").to_string().into()).await.unwrap();
    let counted = || async {
        let data: Value = instance.endpoint("command-receipt-add-item").data?;
        (data["no_reply"] == 1).then_some(())
    };
    wait_until(Duration::from_secs(5), "the request without a reply subject to be counted", counted).await;
    assert_eq!(journal.count().await, 0);
}

/// The server puts a reply subject under `_R_.` in place of the caller's; no client may name one itself.
#[tokio::test]
async fn callers_in_another_account_are_answered() {
    let accounts = r#"accounts {
        SERVICE: { jetstream: enabled, users: [{ user: service, password: service }], exports: [{ service: "receipts.>" }] }
        CALLERS: {
            users: [{ user: caller, password: caller }]
            imports: [{ service: { account: SERVICE, subject: "receipts.>" } }]
        }
    }"#;
    let server = TestServer::with(|server| server.config(accounts)).await;
    let site = Site::on(server).signed_in("service");
    let _instance = site.instance().await;
    let site = site.signed_in("caller");
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    assert_eq!(plain.get("order-1").await.result()["revision"], 1);
    plain.get("nobody").await.error(404, "not-found");
}
