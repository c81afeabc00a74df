//! A full store: 503 with the reason, nothing half stored, and work goes on as soon as there is room.

use std::time::Duration;

use headwater_testkit::wait_until;
use headwater_tests::plain::add_items;
use headwater_tests::{Answer, Site};
use serde_json::{Value, json};

fn check_full(answer: &Answer) {
    let error = answer.error(503, "unavailable");
    assert_eq!(error["details"]["reason"], "store", "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("the journal is full"), "{error:#}");
}

#[tokio::test]
async fn room_for_one_event_is_not_taken_by_half_of_a_command() {
    let site = Site::open().await;
    let _instance = site.starting().store(|store| store.max_msgs(3)).start().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    plain.add("order-1", "Tea").await.result();
    plain.add("order-2", "Tea").await.result();

    let two = add_items("order-1", &["Cake", "Jam"]);
    for _ in 0..3 {
        check_full(&plain.command("add-items", &two).await);
        assert_eq!(journal.count().await, 2, "nothing of the two events");
    }
    assert_eq!(plain.get("order-1").await.result()["revision"], 1);
    assert_eq!(plain.add("order-1", "Coffee").await.result()["revision"], 2, "one event fits");
    check_full(&plain.add("order-1", "Bread").await);
    assert_eq!(journal.count().await, 3);

    journal.reconfigure(|config| config["max_msgs"] = json!(100)).await;
    assert_eq!(plain.command("add-items", &two).await.result()["revision"], 4);
    assert_eq!(journal.count().await, 5);
}

#[tokio::test]
async fn a_store_without_room_for_more_bytes_takes_nothing_until_it_has() {
    let site = Site::open().await;
    let instance = site.starting().store(|store| store.max_bytes(64 * 1024)).start().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let bytes = async || journal.info().await["state"]["bytes"].as_u64().unwrap();
    let first = bytes().await;
    plain.add("order-0", "Tea").await.result();
    let one_event = bytes().await - first;

    // Room for one and a half events.
    let limit = bytes().await + one_event + one_event / 2;
    journal.reconfigure(|config| config["max_bytes"] = json!(limit)).await;
    let mut two = add_items("order-1", &["Tea", "Tea"]);
    two["metadata"] = json!({ "commandId": "two-at-once" });
    for _ in 0..3 {
        check_full(&plain.command("add-items", &two).await);
        assert_eq!(journal.count().await, 1, "nothing of the two events");
    }
    plain.add("order-2", "Tea").await.result();
    check_full(&plain.add("order-3", "Tea").await);
    check_full(&plain.command("add-items", &two).await);
    assert_eq!(journal.count().await, 2);
    plain.get("order-2").await.result();
    plain.get("order-1").await.error(404, "not-found");

    journal.reconfigure(|config| config["max_bytes"] = json!(1 << 20)).await;
    let done = plain.command("add-items", &two).await;
    assert_eq!((&done.result()["revision"], &done.body["metadata"]["replayed"]), (&json!(2), &json!(false)));
    assert_eq!(journal.count().await, 4);
    assert_eq!(instance.endpoint("command-receipt-add-items").num_errors, 4, "a full store is a matter of health");
}

#[tokio::test]
async fn health_says_that_the_store_is_full() {
    let site = Site::open().await;
    let _instance = site.starting().store(|store| store.max_msgs(1)).start().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    plain.add("order-1", "Tea").await.result();
    let health = || async {
        let health: Value = plain.ask("receipts.health", "").await.body;
        (health["status"] == "degraded").then_some(health)
    };
    let health = wait_until(Duration::from_secs(5), "health to tell of the full store", health).await;
    assert_eq!((&health["checks"]["nats"]["ok"], &health["checks"]["store"]["ok"]), (&json!(true), &json!(false)));
    assert!(health["checks"]["store"]["detail"].as_str().unwrap().contains("full"), "{health:#}");

    journal.reconfigure(|config| config["max_msgs"] = json!(10)).await;
    let well = || async { (plain.ask("receipts.health", "").await.body["status"] == "ok").then_some(()) };
    wait_until(Duration::from_secs(5), "health to be good again", well).await;
}
