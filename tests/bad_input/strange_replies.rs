//! A reply subject that points into the journal or into JetStream's API: an answer there would be stored as an event, or
//! do what the service's user may do. There is none, and it is counted.

use std::time::Duration;

use headwater_testkit::wait_until;
use headwater_tests::plain::{add_item, command_subject, query_subject};
use headwater_tests::{Instance, Site};
use serde_json::{Value, json};

const TARGETS: [&str; 7] = [
    "receipts.journal.receipt.order-1.item-added",
    "receipts.command.receipt.void",
    "receipts.events.receipt.item-added",
    "$JS.API.STREAM.DELETE.RECEIPTS_JOURNAL",
    "$JS.API.STREAM.PURGE.RECEIPTS_JOURNAL",
    "$JS.API.DIRECT.GET.RECEIPTS_JOURNAL",
    "$SRV.PING",
];

fn refused(instance: &Instance, endpoint: &str) -> u64 {
    instance.endpoint(endpoint).data.unwrap()["refused_reply"].as_u64().unwrap()
}

#[tokio::test]
async fn requests_with_such_a_reply_are_not_carried_out_and_not_answered() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let (plain, journal, client) = (site.plain().await, site.journal().await, site.client().await);
    plain.add("order-1", "Tea").await.result();
    let mut publishes = client.subscribe("receipts.journal.>").await.unwrap();
    headwater_testkit::known_to_server(&client).await;
    let mut raw = site.raw().await;
    let get = json!({ "aggregateId": "order-1" }).to_string();
    let add = add_item("order-1", "Coffee").to_string();
    for target in TARGETS {
        raw.publish(&query_subject("get"), Some(target), get.as_bytes()).await.unwrap();
        raw.publish(&command_subject("add-item"), Some(target), add.as_bytes()).await.unwrap();
        raw.publish(&command_subject("add-item"), Some(target), b"not even JSON").await.unwrap();
    }
    raw.ping().await.unwrap();
    let expected = TARGETS.len() as u64;
    let counted = || async {
        let [queries, commands] =
            ["query-receipt-get", "command-receipt-add-item"].map(|endpoint| refused(&instance, endpoint));
        (queries == expected && commands == 2 * expected).then_some(())
    };
    wait_until(Duration::from_secs(5), "every one of them to be counted", counted).await;

    assert_eq!(journal.count().await, 1, "the stream is still there, with what was in it");
    plain.add("order-1", "Cake").await.result();
    let first = tokio::time::timeout(Duration::from_secs(5), futures_util::StreamExt::next(&mut publishes)).await;
    let event: Value = serde_json::from_slice(&first.unwrap().unwrap().payload).unwrap();
    assert_eq!(event["data"]["name"], "Cake", "nothing else was published where events are stored");
    assert_eq!(plain.get("order-1").await.result()["state"]["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn unknown_requests_and_questions_with_such_a_reply_are_counted_too() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let mut raw = site.raw().await;
    let questions =
        ["receipts.health", "receipts.info", "receipts.stats", "receipts.schema", "$SRV.INFO", "$SRV.STATS.receipts"];
    for target in TARGETS {
        raw.publish("receipts.command.receipt.nothing", Some(target), b"{}").await.unwrap();
        for question in questions {
            raw.publish(question, Some(target), b"").await.unwrap();
        }
    }
    raw.ping().await.unwrap();
    // `$SRV.PING` as a reply is answered by nobody either: a question needs an answer's address of its own.
    let (unknown, unasked) = (TARGETS.len() as u64, (TARGETS.len() * questions.len()) as u64);
    let counted = || async {
        let strays = instance.service.stats().strays;
        (strays.unanswerable == unknown && strays.unasked == unasked).then_some(())
    };
    wait_until(Duration::from_secs(5), "every one of them to be counted", counted).await;
    assert_eq!(journal.count().await, 0);
    plain.add("order-1", "Tea").await.result();
}
