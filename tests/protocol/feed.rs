//! Section 2: the live feed shows what was committed and nothing else.

use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream;
use futures_util::StreamExt;
use headwater_tests::Site;
use headwater_tests::plain::add_items;
use serde_json::{Value, json};
use tokio::time::timeout;

async fn next(feed: &mut Subscriber) -> async_nats::Message {
    timeout(Duration::from_secs(5), feed.next()).await.expect("an event in time").unwrap()
}

#[tokio::test]
async fn committed_events_are_republished_by_aggregate_type_and_name() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal, client) = (site.plain().await, site.journal().await, site.client().await);
    let mut all = client.subscribe("receipts.events.>").await.unwrap();
    let mut finalized = client.subscribe("receipts.events.receipt.receipt-finalized").await.unwrap();
    headwater_testkit::known_to_server(&client).await;
    plain.add("a.b", "Coffee").await.result();
    plain.command("add-items", &add_items("a.b", &["Cake", "Jam"])).await.result();
    plain.command("finalize", &json!({ "aggregateId": "a.b", "command": {} })).await.result();
    for stored in journal.all().await {
        let message = next(&mut all).await;
        assert_eq!(message.subject.as_str(), format!("receipts.events.receipt.{}", stored.text("type")));
        assert_eq!(message.payload, stored.raw, "the body is the stored event, byte for byte");
        let headers = message.headers.unwrap();
        let value = |name: &str| headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
        assert_eq!(value("Nats-Stream"), "RECEIPTS_JOURNAL");
        assert_eq!(value("Nats-Subject"), stored.subject);
        assert_eq!(value("Nats-Sequence"), stored.sequence.to_string());
    }
    let last = next(&mut finalized).await;
    let event: Value = serde_json::from_slice(&last.payload).unwrap();
    assert_eq!(event["data"], json!({ "finalTotal": "13.98", "itemCount": 3 }));
}

#[tokio::test]
async fn a_publish_that_jetstream_refuses_is_seen_in_the_journals_subject_and_not_in_the_feed() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, client) = (site.plain().await, site.client().await);
    plain.add("order-1", "Coffee").await.result();
    let mut feed = client.subscribe("receipts.events.>").await.unwrap();
    let mut publishes = client.subscribe("receipts.journal.>").await.unwrap();
    headwater_testkit::known_to_server(&client).await;

    // A writer that lost the race: its expectation does not hold.
    let lost =
        jetstream::message::PublishMessage::build().payload("{\"lost\":true}".into()).expected_last_subject_sequence(0);
    let subject = "receipts.journal.receipt.order-1.item-added";
    let refused = jetstream::new(client.clone()).send_publish(subject, lost).await.unwrap().await;
    assert!(refused.is_err());
    assert_eq!(next(&mut publishes).await.payload, "{\"lost\":true}");

    plain.add("order-1", "Tea").await.result();
    let event: Value = serde_json::from_slice(&next(&mut feed).await.payload).unwrap();
    assert_eq!(event["data"]["name"], "Tea", "the first thing in the feed is what was committed");
}

#[tokio::test]
async fn rejected_and_conflicting_commands_leave_no_trace() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal, client) = (site.plain().await, site.journal().await, site.client().await);
    let mut publishes = client.subscribe("receipts.journal.>").await.unwrap();
    let mut feed = client.subscribe("receipts.events.>").await.unwrap();
    headwater_testkit::known_to_server(&client).await;
    plain.command("finalize", &json!({ "aggregateId": "order-1", "command": {} })).await.error(422, "command-rejected");
    let mut stale = headwater_tests::plain::add_item("order-1", "Tea");
    stale["expectedRevision"] = json!(7);
    plain.command("add-item", &stale).await.error(409, "conflict");
    plain.add("order-1", "Cake").await.result();
    for room in [&mut publishes, &mut feed] {
        let event: Value = serde_json::from_slice(&next(room).await.payload).unwrap();
        assert_eq!(event["data"]["name"], "Cake");
    }
    assert_eq!(journal.count().await, 1);
}
