//! `headwater events`: the live feed and the journal.

use serde_json::Value;

use crate::support::receipts::Receipts;
use crate::support::running::Running;

/// Three events of two receipts, then the closing of one of them.
async fn history() -> Receipts {
    let receipts = Receipts::start(1).await;
    for (id, name) in [("order-1", "Tea"), ("order/2", "Cake"), ("order-1", "Bread")] {
        receipts.add(id, name).await;
    }
    receipts.run("command send receipts receipt finalize order-1").await.done();
    receipts
}

fn sequences(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["sequence"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_journal_is_shown_to_its_end_and_filtered() {
    let receipts = history().await;
    let shown = async |line: &str| sequences(&receipts.run(&format!("events show --json {line}")).await.json_lines());
    assert_eq!(shown("receipts").await, [1, 2, 3, 4]);
    assert_eq!(shown("--service receipts").await, [1, 2, 3, 4]);
    assert_eq!(shown("receipts --aggregate receipt").await, [1, 2, 3, 4]);
    assert_eq!(shown("receipts --aggregate receipt/order/2").await, [2]);
    assert_eq!(shown("receipts --type item-added").await, [1, 2, 3]);
    assert_eq!(
        shown("receipts --type receipt-finalized --type item-added --aggregate receipt/order-1").await,
        [1, 3, 4]
    );
    assert_eq!(shown("receipts --from-sequence 3").await, [3, 4]);
    assert_eq!(shown("receipts --from-sequence 3 --count 1").await, [3]);
    assert_eq!(shown("receipts --since 1h --type receipt-finalized").await, [4]);
    assert!(shown("receipts --type never").await.is_empty());

    let text = receipts.run("events show receipts -n 2").await.done();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("receipt/order-1  r1  item-added  {") && lines[0].contains("\"Tea\""), "{text}");
    assert!(lines[1].contains("receipt/order/2  r1  item-added"), "{text}");
}

#[tokio::test]
async fn following_the_journal_goes_on_until_somebody_ends_it() {
    let receipts = history().await;
    let mut following = Running::start(receipts.program("events show receipts --from-sequence 4 --follow --json"));
    let sequence = |line: &str| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64();
    assert_eq!(sequence(&following.line().await), Some(4));
    receipts.add("order-3", "Tea").await;
    assert_eq!(sequence(&following.line().await), Some(5));
    following.interrupt();
    assert_eq!(following.end().await, (Some(0), String::new(), String::new()));
}

#[tokio::test]
async fn the_live_feed_shows_what_is_committed_from_now_on() {
    let receipts = history().await;
    let mut all = Running::start(receipts.program("events tail receipts"));
    let mut one = Running::start(
        receipts
            .program("events tail --service receipts --aggregate receipt/order-3 --type item-added --count 1 --json"),
    );
    for tail in [&mut all, &mut one] {
        assert_eq!(tail.note().await, "following receipts; Ctrl-C ends it");
    }
    receipts.add("order-4", "Cake").await;
    receipts.add("order-3", "Tea").await;
    assert!(all.line().await.contains("receipt/order-4  r1  item-added"));
    assert!(all.line().await.contains("receipt/order-3  r1  item-added"));
    all.interrupt();
    assert_eq!(all.end().await.0, Some(0));
    let (status, events, _) = one.end().await;
    let event: Value = serde_json::from_str(&events).unwrap();
    assert_eq!((status, event["subject"].as_str(), event["sequence"].as_u64()), (Some(0), Some("order-3"), Some(6)));
}

#[tokio::test]
async fn a_journal_that_is_not_there_is_told() {
    let receipts = Receipts::start(0).await;
    let told = receipts.run("events show receipts").await.refused(1);
    assert!(told.starts_with("refused: ") && told.contains("RECEIPTS_JOURNAL"), "{told}");
    for line in [
        "events show",
        "events tail",
        "events show receipts --since yesterday",
        "events show receipts --since 2999-01-01T00:00:00Z",
        "events show receipts --from-sequence 0",
        "events show receipts --aggregate Receipt",
        "events show receipts --since 1h --from-sequence 1",
    ] {
        receipts.run(line).await.refused(2);
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_the_following_without_a_word() {
    let receipts = history().await;
    let mut child = receipts.program("events show receipts --follow").spawn().unwrap();
    drop(child.stdout.take());
    let ended = tokio::time::timeout(crate::support::WITHIN, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}
