//! Commands whose events are over a limit of the store: 413, nothing stored, and the others go on.

use std::time::{Duration, Instant};

use headwater_tests::Site;
use headwater_tests::plain::{add_item, add_items};
use serde_json::json;

/// The limit is the stream's, which the service did not set: only the server knows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_over_the_streams_limit_is_a_413_and_takes_no_other_command_with_it() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    plain.add("order-1", "Tea").await.result();
    journal.reconfigure(|config| config["max_msg_size"] = json!(900)).await;

    // Items may have long names, and `é` takes six bytes in JSON's ASCII and two in UTF-8.
    let long = "é".repeat(190);
    let start = Instant::now();
    let one = plain.command("add-item", &add_item("order-1", &long)).await;
    assert!(one.error(413, "payload-too-large")["details"].get("executed").is_none());
    for items in [[long.as_str(), "Tea"], ["Tea", long.as_str()]] {
        let two = plain.command("add-items", &add_items("order-1", &items)).await;
        assert!(two.error(413, "payload-too-large")["details"].get("executed").is_none());
    }
    assert_eq!(journal.count().await, 1, "nothing of them is stored");

    // Among many others that share batches with them.
    let answers = (0..40).map(|number| {
        let (plain, long) = (plain.clone(), long.clone());
        async move {
            let second = if number % 8 == 3 { long.as_str() } else { "Jam" };
            let body = add_items(&format!("order-{}", number + 2), &["Cake", second]);
            (number, plain.command("add-items", &body).await)
        }
    });
    for (number, answer) in futures_util::future::join_all(answers).await {
        if number % 8 == 3 {
            answer.error(413, "payload-too-large");
        } else {
            assert_eq!(answer.result()["revision"], 2);
        }
    }
    assert!(start.elapsed() < Duration::from_secs(8), "nobody waited for what cannot be: {:?}", start.elapsed());
    assert_eq!(journal.count().await, 1 + 35 * 2);
    assert_eq!(plain.add("order-1", "Coffee").await.result()["revision"], 2);
    assert_eq!(instance.store.stats().unavailable, 0);
}

#[tokio::test]
async fn a_command_of_more_events_than_a_batch_holds_is_a_413_and_nothing_of_it_is_stored() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    let items = vec!["T"; 1001];
    let answer = plain.command("add-items", &add_items("order-1", &items)).await;
    let code = answer.body["error"]["code"].as_str().unwrap_or_default();
    // The sample's own schema may allow fewer.
    assert!(["payload-too-large", "validation-failed"].contains(&code), "{:#}", answer.body);
    assert_eq!(journal.count().await, 0);
    plain.add("order-1", "Tea").await.result();
}
