//! Section 2: the JetStream objects of a service, and that a snapshot is only ever a cache: whatever is in the bucket,
//! the answers are those of the journal.

use std::time::Duration;

use async_nats::jetstream::{self, kv};
use headwater::Name;
use headwater::nats::connect::Connection;
use headwater::store::{JetStreamSnapshots, JetStreamStore, SnapshotConfig, StoreConfig};
use headwater_testkit::wait_until;
use headwater_tests::plain::add_items;
use headwater_tests::{Instance, Site};
use serde_json::json;

async fn bucket(site: &Site) -> kv::Store {
    jetstream::new(site.client().await).get_key_value("RECEIPTS_SNAPSHOTS").await.unwrap()
}

fn snapshots_used(instance: &Instance) -> u64 {
    instance.service.stats().dispatch.snapshots_used
}

/// An instance that has left behind a receipt of 40 events, and a snapshot of it.
async fn leave_a_receipt(site: &Site) {
    let instance = site.instance().await;
    let names: Vec<_> = (0..40).map(|line| format!("Item {line}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    site.plain().await.command("add-items", &add_items("order.1", &names)).await.result();
    instance.service.drain().await;
}

#[tokio::test]
async fn a_service_keeps_snapshots_in_its_bucket_and_starts_from_them() {
    let site = Site::open().await;
    leave_a_receipt(&site).await;
    let bucket = bucket(&site).await;
    let key = "receipt.order/2E1";
    let kept = || async { bucket.get(key).await.unwrap() };
    wait_until(Duration::from_secs(5), "a snapshot of the receipt", kept).await;
    let instance = site.instance().await;
    let state = site.plain().await.get("order.1").await;
    assert_eq!((&state.result()["revision"], &state.result()["state"]["total"]), (&json!(40), &json!("40.00")));
    assert_eq!(snapshots_used(&instance), 1);
}

#[tokio::test]
async fn a_snapshot_that_is_not_whole_or_not_of_this_history_is_not_believed() {
    let site = Site::open().await;
    leave_a_receipt(&site).await;
    let (plain, bucket) = (site.plain().await, bucket(&site).await);
    let key = "receipt.order/2E1";
    let whole = bucket.get(key).await.unwrap().unwrap();
    let mut flipped = whole.to_vec();
    let total = flipped.windows(5).rposition(|text| text == b"40.00").unwrap();
    flipped[total] = b'9';
    for (what, bytes) in [
        ("a changed total", flipped),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("something else", b"{}".to_vec()),
        ("nothing", Vec::new()),
    ] {
        bucket.put(key, bytes.into()).await.unwrap();
        let instance = site.instance().await;
        let state = plain.get("order.1").await;
        assert_eq!(state.result()["state"]["total"], "40.00", "{what}");
        assert_eq!(snapshots_used(&instance), 0, "{what}");
        instance.service.drain().await;
    }
    // Another receipt's snapshot is whole, but its history is not this one's.
    bucket.put("receipt.order-2", whole).await.unwrap();
    let instance = site.instance().await;
    plain.add("order-2", "Tea").await.result();
    assert_eq!(plain.get("order-2").await.result()["state"]["total"], "11.98");
    assert_eq!(snapshots_used(&instance), 0);
}

#[tokio::test]
async fn without_its_bucket_a_service_goes_on() {
    let site = Site::open().await;
    leave_a_receipt(&site).await;
    let _instance = site.instance().await;
    jetstream::new(site.client().await).delete_key_value("RECEIPTS_SNAPSHOTS").await.unwrap();
    let plain = site.plain().await;
    assert_eq!(plain.get("order.1").await.result()["revision"], 40);
    assert_eq!(plain.add("order.1", "Tea").await.result()["revision"], 41);
}

#[tokio::test]
async fn dashes_in_the_name_of_a_service_become_underscores_in_its_jetstream_objects() {
    let site = Site::open().await;
    let connection = Connection::connect(&site.config()).await.unwrap();
    let config = StoreConfig::new(Name::new("till-receipts-2").unwrap());
    JetStreamSnapshots::open(connection.clone(), SnapshotConfig::beside(&config)).await.unwrap();
    JetStreamStore::open(connection, config).await.unwrap();
    let streams = jetstream::new(site.client().await);
    let stream = streams.get_stream("TILL_RECEIPTS_2_JOURNAL").await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!(config.subjects, ["till-receipts-2.journal.>"]);
    let republish = config.republish.as_ref().unwrap();
    assert_eq!(republish.source, "till-receipts-2.journal.*.*.*");
    assert_eq!(republish.destination, "till-receipts-2.events.{{wildcard(1)}}.{{wildcard(3)}}");
    streams.get_key_value("TILL_RECEIPTS_2_SNAPSHOTS").await.unwrap();
}
