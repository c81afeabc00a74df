//! Sections 2 to 4: the queries that every aggregate has, and those a service adds.

use std::future::IntoFuture as _;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use headwater::service::Limits;
use headwater_tests::plain::{add_items, headers, query_subject};
use headwater_tests::{Answer, Plain, Site, Stored};
use sample_receipts::domain::{AddItem, ReceiptClient};
use serde_json::{Value, json};

use super::commands::members;

/// A receipt with this many lines, each an event of its own.
async fn receipt(plain: &Plain, id: &str, lines: usize) {
    for line in 0..lines {
        plain.add(id, &format!("Item {line}")).await.result();
    }
}

#[tokio::test]
async fn get_answers_the_entity_as_it_is_now() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    receipt(&plain, "order-1", 3).await;
    receipt(&plain, "other", 1).await;
    let mut ask = json!({ "aggregateId": "order-1", "metadata": { "correlationId": "k" } });
    let answer = plain.query("get", &ask).await;
    assert_eq!(members(&answer.body), ["metadata", "result", "success"]);
    assert_eq!(members(answer.result()), ["aggregate", "revision", "sequence", "state"]);
    assert_eq!(answer.result()["aggregate"], json!({ "type": "receipt", "id": "order-1" }));
    assert_eq!(answer.result()["revision"], 3);
    assert_eq!(answer.result()["sequence"], journal.of("order-1").await[2].sequence);
    assert_eq!(answer.result()["state"]["total"], "35.94");
    let metadata = &answer.body["metadata"];
    assert_eq!(members(metadata), ["correlationId", "duration", "instance", "replayed", "timestamp"]);
    assert_eq!((&metadata["correlationId"], &metadata["instance"]), (&json!("k"), &json!(instance.id())));

    ask["unknown"] = json!(true);
    plain.query("get", &ask).await.result();
}

#[tokio::test]
async fn get_answers_the_entity_as_it_was_at_a_revision() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    receipt(&plain, "order-1", 4).await;
    let at =
        async |revision: u64| plain.query("get", &json!({ "aggregateId": "order-1", "atRevision": revision })).await;
    for revision in 1..=4 {
        let answer = at(revision).await;
        assert_eq!(answer.result()["revision"], revision);
        assert_eq!(answer.result()["sequence"], journal.of("order-1").await[revision as usize - 1].sequence);
        assert_eq!(answer.result()["state"]["items"].as_array().unwrap().len() as u64, revision);
    }
    for revision in [0, 5] {
        at(revision).await.error(404, "not-found");
    }
}

#[tokio::test]
async fn get_answers_the_entity_as_it_was_at_a_time() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    receipt(&plain, "order-1", 3).await;
    let at = async |time: &str| plain.query("get", &json!({ "aggregateId": "order-1", "atTime": time })).await;
    for stored in journal.of("order-1").await {
        assert_eq!(at(stored.text("time")).await.result()["revision"], stored.revision());
    }
    assert_eq!(at("2999-01-01T00:00:00Z").await.result()["revision"], 3);
    at("2001-01-01T00:00:00Z").await.error(404, "not-found");
    at(&(Utc::now() - TimeDelta::hours(1)).to_rfc3339()).await.error(404, "not-found");
    assert_eq!(at("yesterday").await.message(400, "invalid-request"), "`atTime` must be an RFC 3339 time");
    let both = json!({ "aggregateId": "order-1", "atRevision": 1, "atTime": "2999-01-01T00:00:00Z" });
    plain.query("get", &both).await.error(400, "invalid-request");
}

#[tokio::test]
async fn a_minimal_revision_is_waited_for_or_a_504() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    receipt(&plain, "order-1", 1).await;
    let ask = async |minimal: u64, wait: TimeDelta| {
        let deadline = (Utc::now() + wait).to_rfc3339();
        let body = json!({ "aggregateId": "order-1", "minRevision": minimal }).to_string();
        plain.ask_with(&query_subject("get"), headers([("Headwater-Deadline", &deadline)]), body).await
    };
    for reached in [0, 1] {
        assert_eq!(ask(reached, TimeDelta::seconds(5)).await.result()["revision"], 1);
    }
    let begun = Instant::now();
    ask(2, TimeDelta::milliseconds(300)).await.error(504, "deadline-exceeded");
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());

    let (later, _) = tokio::join!(ask(3, TimeDelta::seconds(10)), async {
        plain.command("add-items", &add_items("order-1", &["Cake", "Jam"])).await.result();
    });
    assert_eq!(later.result()["revision"], 3);
}

/// Whichever instance is asked, and whichever of them is to write what is waited for.
#[tokio::test]
async fn what_one_instance_commits_another_waits_for_within_the_deadline() {
    let site = Site::open().await;
    let instances = [site.instance().await, site.instance().await];
    let [one, other] = instances.each_ref().map(|instance| ReceiptClient::new(instance.service.dispatcher().clone()));
    let item = || AddItem { name: "Tea".to_owned(), price: "1".parse().unwrap(), quantity: 1 };
    one.add_item("order-1", item()).await.unwrap();
    other.get("order-1").await.unwrap();
    for revision in 2..12u64 {
        let (seen, done) = tokio::join!(other.get("order-1").min_revision(revision).into_future(), async {
            tokio::task::yield_now().await;
            one.add_item("order-1", item()).await.unwrap()
        });
        assert_eq!((done.revision.get(), seen.unwrap().revision.get()), (revision, revision));
    }
    // A receipt that does not exist yet is waited for just the same.
    let (seen, _) =
        tokio::join!(other.get("order-2").min_revision(1).into_future(), one.add_item("order-2", item()).into_future());
    assert_eq!(seen.unwrap().revision.get(), 1);

    // Nobody writes it: the answer comes with the deadline and not much later, from either instance.
    let plain = site.plain().await;
    for _ in 0..6 {
        let (begun, wait) = (Instant::now(), TimeDelta::milliseconds(200));
        let deadline = (Utc::now() + wait).to_rfc3339();
        let body = json!({ "aggregateId": "order-1", "minRevision": 99 }).to_string();
        let answer = plain.ask_with(&query_subject("get"), headers([("Headwater-Deadline", &deadline)]), body).await;
        answer.error(504, "deadline-exceeded");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn an_aggregate_without_events_is_not_found() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    for (query, further) in [("get", json!({})), ("history", json!({})), ("summary", json!({ "query": {} }))] {
        let mut body = json!({ "aggregateId": "nobody" });
        body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        plain.query(query, &body).await.error(404, "not-found");
    }
}

#[tokio::test]
async fn a_history_is_the_stored_events_page_by_page() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    receipt(&plain, "other", 1).await;
    receipt(&plain, "order-1", 2).await;
    plain.command("add-items", &add_items("order-1", &["Cake", "Jam", "Bread"])).await.result();
    let ask = async |after: u64, limit: Value| {
        plain.query("history", &json!({ "aggregateId": "order-1", "afterRevision": after, "limit": limit })).await
    };
    let whole = ask(0, Value::Null).await;
    assert_eq!(members(whole.result()), ["aggregate", "events", "next", "revision"]);
    assert_eq!((&whole.result()["revision"], &whole.result()["next"]), (&json!(5), &Value::Null));
    let shown = |stored: Stored| {
        let mut event = stored.body;
        event["sequence"] = stored.sequence.into();
        event.as_object_mut().unwrap().remove("previous");
        event
    };
    let as_stored: Vec<_> = journal.of("order-1").await.into_iter().map(shown).collect();
    assert_eq!(whole.result()["events"], json!(as_stored));

    let mut pages = Vec::new();
    let mut after = 0;
    loop {
        let page = ask(after, json!(2)).await;
        pages.push(page.result()["events"].as_array().unwrap().clone());
        match page.result()["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(pages.concat(), as_stored);
    let beyond = ask(5, Value::Null).await;
    assert_eq!((&beyond.result()["events"], &beyond.result()["next"]), (&json!([]), &Value::Null));
    for bad in [json!(0), json!(-1), json!("2"), json!(1.5)] {
        let refused = ask(0, bad).await;
        assert_eq!(refused.message(400, "invalid-request"), "`limit` must be a positive integer");
    }
}

#[tokio::test]
async fn a_page_is_cut_where_the_reply_would_be_too_large() {
    let site = Site::open().await;
    let limits = Limits::default().max_reply(4096);
    let _instance = site.starting().service(|service| service.limits(limits)).start().await;
    let (plain, client) = (site.plain().await, site.client().await);
    receipt(&plain, "order-1", 20).await;
    let mut after = 0;
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let body = json!({ "aggregateId": "order-1", "afterRevision": after }).to_string();
        let message = client.request(query_subject("history"), body.into()).await.unwrap();
        assert!(message.payload.len() <= 4096, "{}", message.payload.len());
        let page = Answer::of(message);
        let revision = |event: &Value| event["revision"].as_u64().unwrap();
        seen.extend(page.result()["events"].as_array().unwrap().iter().map(revision));
        pages += 1;
        match page.result()["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    assert!(pages > 1);
}

#[tokio::test]
async fn a_further_query_answers_from_the_newest_state() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    receipt(&plain, "order-1", 2).await;
    let answer = plain.query("summary", &json!({ "aggregateId": "order-1", "query": {}, "minRevision": 2 })).await;
    assert_eq!(members(answer.result()), ["aggregate", "answer", "revision", "sequence"]);
    let summary = json!({ "status": "open", "lines": 2, "pieces": 4, "total": "23.96" });
    assert_eq!((&answer.result()["answer"], &answer.result()["revision"]), (&summary, &json!(2)));
    let invalid = plain.query("summary", &json!({ "aggregateId": "order-1", "query": { "more": 1 } })).await;
    invalid.error(400, "validation-failed");
    let missing = plain.query("summary", &json!({ "aggregateId": "order-1" })).await;
    assert_eq!(missing.message(400, "invalid-request"), "missing member `query`");
}

#[tokio::test]
async fn what_the_service_does_not_have_is_told_apart() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let body = json!({ "aggregateId": "order-1", "command": {}, "query": {} }).to_string();
    for (subject, number, code, message) in [
        ("receipts.query.receipt.nothing", 404, "not-found", "aggregate `receipt` has no query `nothing`"),
        ("receipts.command.receipt.nothing", 400, "invalid-request", "aggregate `receipt` has no command `nothing`"),
        ("receipts.command.receipt.get", 400, "invalid-request", "aggregate `receipt` has no command `get`"),
        ("receipts.command.invoice.add-item", 400, "invalid-request", "there is no aggregate type `invoice`"),
        ("receipts.query.invoice.get", 400, "invalid-request", "there is no aggregate type `invoice`"),
    ] {
        assert_eq!(plain.ask(subject, body.clone()).await.message(number, code), message, "{subject}");
    }
    let shapeless = plain.ask("receipts.command.receipt.add-item.more", body.clone()).await;
    assert!(shapeless.message(400, "invalid-request").contains("receipts.command|query.{aggregate}.{name}"));
    let elsewhere = plain.try_ask("receipts.nothing", headers([]), body).await.unwrap_err();
    assert_eq!(elsewhere.kind(), async_nats::RequestErrorKind::NoResponders);
}
