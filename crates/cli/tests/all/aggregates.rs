//! `headwater aggregate`: the state and the history of one aggregate, now and as of a revision.

use serde_json::json;

use crate::support::receipts::Receipts;

/// A receipt with three items, closed.
async fn closed() -> Receipts {
    let receipts = Receipts::start(1).await;
    for name in ["Tea", "Cake", "Bread"] {
        receipts.add("order-1", name).await;
    }
    receipts.run("command send receipts receipt finalize order-1").await.done();
    receipts
}

#[tokio::test]
async fn a_state_is_shown_as_it_is_and_as_it_was() {
    let receipts = closed().await;
    let now = receipts.run("aggregate show receipts receipt order-1").await.done();
    assert!(now.starts_with("receipt/order-1  revision 4, sequence 4\n{"), "{now}");
    assert!(now.contains("\"status\": \"closed\""), "{now}");
    let then = receipts.run("aggregate show receipts receipt order-1 --at 2 --json").await.json();
    assert_eq!(
        (&then["revision"], &then["state"]["total"], &then["state"]["status"]),
        (&json!(2), &json!("5.00"), &json!("open"))
    );
    let future =
        receipts.run("aggregate show receipts receipt order-1 --at-time 2999-01-01T00:00:00Z --json").await.json();
    assert_eq!(future["revision"], 4);
    let past = receipts.run("aggregate show receipts receipt order-1 --at-time 2001-01-01T00:00:00Z").await.refused(1);
    assert!(past.starts_with("refused: not-found: "), "{past}");
    let missing = receipts.run("aggregate show receipts receipt order-9").await.refused(1);
    assert!(missing.starts_with("refused: not-found: "), "{missing}");
    receipts.run("aggregate show receipts receipt order-1 --at 1 --at-time 2999-01-01T00:00:00Z").await.refused(2);
}

#[tokio::test]
async fn a_history_is_listed_up_to_a_revision_after_one_and_in_part() {
    let receipts = closed().await;
    let whole = receipts.run("aggregate history receipts receipt order-1").await.done();
    assert_eq!(whole.lines().count(), 4, "{whole}");
    assert!(whole.lines().next().unwrap().contains("r1  item-added  {"), "{whole}");

    let revisions = async |line: &str| -> Vec<u64> {
        let events =
            receipts.run(&format!("aggregate history receipts receipt order-1 --json {line}")).await.json_lines();
        events.iter().map(|event| event["revision"].as_u64().unwrap()).collect()
    };
    assert_eq!(revisions("").await, [1, 2, 3, 4]);
    assert_eq!(revisions("--at 2").await, [1, 2]);
    assert_eq!(revisions("--after 1 --at 3").await, [2, 3]);
    assert_eq!(revisions("--after 3").await, [4]);
    assert!(revisions("--after 3 --at 2").await.is_empty());

    let part = receipts.run("aggregate history receipts receipt order-1 --limit 3").await;
    assert_eq!((part.status, part.stdout.lines().count()), (Some(0), 3));
    assert_eq!(part.stderr, "1 event more: --after 3\n");

    let events = receipts.run("aggregate history receipts receipt order-1 --json --limit 1").await.json_lines();
    let event = &events[0];
    assert_eq!(
        (&event["specversion"], &event["type"], &event["subject"]),
        (&json!("1.0"), &json!("item-added"), &json!("order-1"))
    );
    assert_eq!((&event["sequence"], &event["data"]["name"]), (&json!(1), &json!("Tea")));
}
