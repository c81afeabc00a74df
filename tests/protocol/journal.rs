//! Section 5: stored events, as any reader of the journal finds them.

use std::collections::BTreeSet;

use async_nats::jetstream;
use base64::Engine;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use headwater_tests::plain::{add_item, add_items};
use headwater_tests::{Site, Stored};
use serde_json::{Value, json};
use uuid::Uuid;

use super::commands::members;

/// Every member that a stored event may have.
pub(crate) const MEMBERS: [&str; 19] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "aggregatetype",
    "revision",
    "schemaversion",
    "commandid",
    "correlationid",
    "causationid",
    "userid",
    "tenantid",
    "traceparent",
    "previous",
    "data",
    "data_base64",
];

/// The names of a message's headers, in order.
fn header_names(headers: &async_nats::HeaderMap) -> Vec<String> {
    let mut names: Vec<_> = headers.iter().map(|(name, _)| name.to_string()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn an_event_is_stored_as_a_cloud_event_with_the_members_of_the_page() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let before = Utc::now();
    let mut body = add_item("order-1", "Coffee");
    body["metadata"] =
        json!({ "commandId": "c-1", "correlationId": "k", "causationId": "e", "userId": "u", "tenantId": "t" });
    plain.command("add-item", &body).await.result();
    plain.add("order-1", "Tea").await.result();
    let stored = journal.all().await;

    let [first, second] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(first.subject, "receipts.journal.receipt.order-1.item-added");
    let mut rest = first.body.clone();
    let rest_of = rest.as_object_mut().unwrap();
    let (id, time) = (rest_of.remove("id").unwrap(), rest_of.remove("time").unwrap());
    assert_eq!(
        rest,
        json!({
            "specversion": "1.0", "source": "/receipts", "type": "item-added", "subject": "order-1",
            "datacontenttype": "application/json", "aggregatetype": "receipt", "revision": 1, "schemaversion": 1,
            "commandid": "c-1", "correlationid": "k", "causationid": "e", "userid": "u", "tenantid": "t",
            "data": { "name": "Coffee", "price": "5.99", "quantity": 2, "lineTotal": "11.98" },
        })
    );
    assert_eq!(Uuid::parse_str(id.as_str().unwrap()).unwrap().get_version_num(), 5);
    let time = time.as_str().unwrap();
    assert!(time.ends_with('Z') && DateTime::parse_from_rfc3339(time).unwrap() >= before, "{time}");

    let unknown_left_out = [
        "aggregatetype",
        "commandid",
        "data",
        "datacontenttype",
        "id",
        "previous",
        "revision",
        "schemaversion",
        "source",
        "specversion",
        "subject",
        "time",
        "type",
    ];
    assert_eq!(members(&second.body), unknown_left_out);
    assert_eq!((second.revision(), second.text("previous")), (2, first.sequence.to_string().as_str()));
}

#[tokio::test]
async fn the_headers_of_a_stored_event_are_nats_own() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    plain.add("order-1", "Coffee").await.result();
    plain.command("add-items", &add_items("order-1", &["Cake", "Jam"])).await.result();
    for stored in journal.all().await {
        let names = header_names(&stored.headers);
        assert!(names.iter().all(|name| name.starts_with("Nats-")), "{names:?}");
        assert_eq!(stored.headers.get("Nats-Msg-Id").unwrap().as_str(), stored.text("id"));
    }
}

/// The raw publishes, as only a plain subscription to the journal sees them.
#[tokio::test]
async fn an_append_carries_the_headers_of_the_page() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, client) = (site.plain().await, site.client().await);
    let mut publishes = client.subscribe("receipts.journal.>").await.unwrap();
    headwater_testkit::known_to_server(&client).await;
    plain.add("a.b", "Coffee").await.result();
    plain.add("other", "Coffee").await.result();
    plain.command("add-items", &add_items("a.b", &["Cake", "Jam", "Bread"])).await.result();

    let filter = "receipts.journal.receipt.a%2Eb.*";
    let first = publishes.next().await.unwrap();
    let headers = first.headers.unwrap();
    assert_eq!(
        header_names(&headers),
        ["Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject", "Nats-Msg-Id"]
    );
    assert_eq!(headers.get("Nats-Expected-Last-Subject-Sequence").unwrap().as_str(), "0");
    assert_eq!(headers.get("Nats-Expected-Last-Subject-Sequence-Subject").unwrap().as_str(), filter);
    publishes.next().await.unwrap();

    let mut batch_ids = BTreeSet::new();
    for place in 1..=3 {
        let message = publishes.next().await.unwrap();
        let headers = message.headers.unwrap();
        let value = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        batch_ids.insert(value("Nats-Batch-Id").unwrap());
        assert_eq!(value("Nats-Batch-Sequence"), Some(place.to_string()));
        assert_eq!(value("Nats-Batch-Commit"), (place == 3).then(|| "1".to_owned()));
        assert_eq!(value("Nats-Expected-Last-Subject-Sequence"), (place == 1).then(|| "1".to_owned()));
        assert_eq!(value("Nats-Expected-Last-Subject-Sequence-Subject"), (place == 1).then(|| filter.to_owned()));
        assert!(value("Nats-Msg-Id").is_some());
    }
    assert_eq!(batch_ids.len(), 1);
}

/// The sequences that `previous` names, those of the same batch resolved.
fn previous(stored: &Stored) -> Vec<u64> {
    let place = |text: &str| match text.strip_prefix('-') {
        Some(back) => stored.sequence - back.parse::<u64>().unwrap(),
        None => text.parse().unwrap(),
    };
    stored.text("previous").split(',').filter(|text| !text.is_empty()).map(place).collect()
}

#[tokio::test]
async fn previous_names_the_32_events_before_newest_first() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let names: Vec<_> = (0..40).map(|line| format!("Item {line}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    plain.add("order-1", "Coffee").await.result();
    plain.add("other", "Coffee").await.result();
    plain.command("add-items", &add_items("order-1", &["Cake", "Jam", "Bread"])).await.result();
    plain.add("other", "Tea").await.result();
    plain.command("add-items", &add_items("order-1", &names)).await.result();
    plain.add("order-1", "Tea").await.result();

    let stored = journal.of("order-1").await;
    let written: Vec<_> = stored.iter().take(5).map(|stored| stored.text("previous")).collect();
    assert_eq!(written, ["", "1", "-1,1", "-1,-2,1", "5,4,3,1"]);
    assert!(stored[0].body.get("previous").is_none());
    for (place, event) in stored.iter().enumerate() {
        let expected: Vec<_> = stored[..place].iter().rev().take(32).map(|earlier| earlier.sequence).collect();
        assert_eq!(previous(event), expected, "revision {}", event.revision());
        assert_eq!(event.revision(), place as u64 + 1);
    }
    // The 33rd of the 40 has more before it in its own batch than may be named.
    assert!(stored[4 + 33].text("previous").split(',').all(|place| place.starts_with('-')));
}

#[tokio::test]
async fn event_ids_follow_from_command_aggregate_and_place_alone() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let site = Site::open().await;
        let _instance = site.instance().await;
        let (plain, journal) = (site.plain().await, site.journal().await);
        for id in ["order-1", "order-2"] {
            let mut body = add_items(id, &["Cake", "Jam"]);
            body["metadata"] = json!({ "commandId": "c-1" });
            plain.command("add-items", &body).await.result();
        }
        seen.push(journal.all().await.iter().map(|stored| stored.text("id").to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], seen[1], "another journal, the same ids");
    assert_eq!(seen[0].iter().collect::<BTreeSet<_>>().len(), 4, "each aggregate and place has its own");
    assert!(seen[0].iter().all(|id| Uuid::parse_str(id).unwrap().get_version_num() == 5));
}

#[tokio::test]
async fn the_journals_stream_is_made_as_the_page_says() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let config = site.journal().await.info().await["config"].take();
    let expected = json!({
        "name": "RECEIPTS_JOURNAL",
        "subjects": ["receipts.journal.>"],
        "republish": { "src": "receipts.journal.*.*.*", "dest": "receipts.events.{{wildcard(1)}}.{{wildcard(3)}}" },
        "storage": "file", "retention": "limits", "discard": "new",
        "allow_direct": true, "allow_atomic": true, "deny_delete": true, "deny_purge": true,
        "max_age": 0, "max_msgs": -1, "max_bytes": -1, "max_msgs_per_subject": -1,
        "num_replicas": 1, "duplicate_window": 120_000_000_000_u64,
    });
    for (field, value) in expected.as_object().unwrap() {
        let mut found = config[field].clone();
        if field == "republish" {
            // The server writes what is left at its default too.
            found.as_object_mut().unwrap().retain(|_, value| *value != json!(false));
        }
        assert_eq!(found, *value, "{field}");
    }
}

#[tokio::test]
async fn nothing_stored_can_be_deleted_or_purged() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, client) = (site.plain().await, site.client().await);
    plain.add("order-1", "Coffee").await.result();
    for (verb, body) in [("PURGE", json!({})), ("MSG.DELETE", json!({ "seq": 1 }))] {
        let subject = format!("$JS.API.STREAM.{verb}.RECEIPTS_JOURNAL");
        let answer = client.request(subject, body.to_string().into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer["error"]["code"].as_u64().unwrap() >= 400, "{answer}");
    }
    assert_eq!(plain.get("order-1").await.result()["revision"], 1);
}

/// An event as a program in another language would write it.
fn foreign(revision: u64, previous: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": Uuid::new_v4(), "source": "/receipts", "type": "item-added", "subject": "order-1",
        "time": "2026-11-20T12:00:00.123456Z", "datacontenttype": "application/json", "aggregatetype": "receipt",
        "revision": revision, "schemaversion": 1, "commandid": format!("foreign-{revision}"), "previous": previous,
        "data_base64": base64::engine::general_purpose::STANDARD.encode(data.to_string()), "extension": "passed over",
    })
}

#[tokio::test]
async fn events_that_another_program_wrote_by_the_page_are_part_of_the_history() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let streams = jetstream::new(site.client().await);
    let data = json!({ "name": "Tea", "price": "2.50", "quantity": 2, "lineTotal": "5.00" });
    for (revision, previous) in [(1, ""), (2, "1")] {
        let mut event = foreign(revision, previous, &data);
        if revision == 1 {
            event.as_object_mut().unwrap().remove("previous");
        }
        let subject = "receipts.journal.receipt.order-1.item-added";
        streams.publish(subject, event.to_string().into()).await.unwrap().await.unwrap();
    }
    assert_eq!(plain.get("order-1").await.result()["state"]["total"], "10.00");
    let added = plain.add("order-1", "Coffee").await;
    assert_eq!((&added.result()["revision"], &added.result()["state"]["total"]), (&json!(3), &json!("21.98")));
    assert_eq!(journal.all().await.pop().unwrap().text("previous"), "2,1");
}

/// What breaks a history, and what the service says about it.
#[tokio::test]
async fn a_broken_history_is_reported_with_aggregate_and_revision_and_never_skipped() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    let streams = jetstream::new(site.client().await);
    let publish = async |id: &str, body: String| {
        let subject = format!("receipts.journal.receipt.{id}.item-added");
        streams.publish(subject, body.into()).await.unwrap().await.unwrap().sequence
    };
    let data = json!({ "name": "Tea", "price": "2.50", "quantity": 2, "lineTotal": "5.00" });
    let event = |id: &str, revision: u64, previous: &str| {
        let mut event = foreign(revision, previous, &data);
        event["subject"] = json!(id);
        event.to_string()
    };
    plain.add("gap", "Coffee").await.result();
    publish("gap", event("gap", 3, "1")).await;
    publish("lost", event("lost", 2, "9999")).await;
    publish("foreign", event("gap", 1, "")).await;
    publish("junk", "not an event".to_owned()).await;
    for (id, revision) in [("gap", 2), ("lost", 1), ("foreign", 1), ("junk", 1)] {
        let get = plain.get(id).await;
        let error = get.error(500, "internal");
        assert_eq!(error["details"]["reason"], "history-broken", "{id}: {error:#}");
        assert!(error["message"].as_str().unwrap().contains(&format!("receipt/{id}")), "{id}: {error:#}");
        assert!(
            error["details"]["revision"].as_u64().is_some_and(|told| told.abs_diff(revision) <= 1),
            "{id}: {error:#}"
        );
        let add = plain.add(id, "Coffee").await;
        assert_eq!(add.error(500, "internal")["details"]["reason"], "history-broken", "{id}");
    }
    plain.add("whole", "Coffee").await.result();
}
