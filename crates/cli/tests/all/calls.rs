//! `headwater command` and `headwater query`: what is sent, what is refused before it is sent, and what comes back.

use std::time::Duration;

use futures_util::StreamExt as _;
use headwater_testkit::{TestServer, known_to_server};
use serde_json::{Value, json};

use crate::support::receipts::{Receipts, item};
use crate::support::{finish_with_input, run_at};

#[tokio::test]
async fn a_command_is_sent_and_what_it_did_is_shown() {
    let receipts = Receipts::start(1).await;
    let tea = item("Tea", 2);
    let line = format!("command send receipts receipt add-item order-1 --command-id till-1 --data {tea}");
    let done = receipts.run(&line).await.done();
    let mut lines = done.lines();
    assert_eq!(lines.next(), Some("done: item-added"));
    assert_eq!(lines.next(), Some("revision 1, sequence 1, command till-1"));
    let state: Value = serde_json::from_str(&lines.collect::<String>()).unwrap();
    assert_eq!(state["total"], "5.00");

    let again = receipts.run(&format!("{line} --json")).await.json();
    assert_eq!((&again["replayed"], &again["revision"]), (&json!(true), &json!(1)));
    assert_eq!(again["aggregate"], json!({ "type": "receipt", "id": "order-1" }));
    assert_eq!((&again["state"]["total"], &again["commandId"]), (&json!("5.00"), &json!("till-1")));

    let made = receipts
        .run("command send receipts receipt finalize order-1 --json --no-state --correlation-id c-1 --expected-revision 1")
        .await
        .json();
    assert_eq!(made["events"][0]["type"], "receipt-finalized");
    assert!(made["commandId"].as_str().is_some_and(|id| !id.is_empty()), "one is made: {made}");
    assert_eq!((made.get("state"), &made["correlationId"]), (None, &json!("c-1")));
}

#[tokio::test]
async fn a_payload_comes_from_a_file_or_from_standard_input_too() {
    let receipts = Receipts::start(1).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "name": "Green tea", "price": "3.00", "quantity": 1 }).to_string()).unwrap();
    let path = file.path().display();
    receipts.run(&format!("command send receipts receipt add-item order-1 --data-file {path}")).await.done();
    for source in ["--data -", "--data-file -"] {
        let command = receipts.program(&format!("command send receipts receipt add-item order-1 {source} --json"));
        let sent = finish_with_input(command, r#"{ "name": "Cake", "price": "1.50", "quantity": 2 }"#).await.json();
        assert_eq!(sent["events"][0]["type"], "item-added");
    }
    let state = receipts.run("aggregate show receipts receipt order-1 --json").await.json();
    assert_eq!((&state["state"]["total"], &state["revision"]), (&json!("9.00"), &json!(3)));
}

#[tokio::test]
async fn a_payload_that_breaks_the_schema_is_refused_with_its_places_before_it_is_sent() {
    let receipts = Receipts::start(1).await;
    let line = r#"command send receipts receipt add-item order-1 --data {"name":"","price":"secret","quantity":0}"#;
    let told = receipts.run(line).await.refused(1);
    assert!(
        told.starts_with("refused: validation-failed: the payload breaks the schema of `add-item`; nothing was sent\n"),
        "{told}"
    );
    for place in ["\n  /name: ", "\n  /price: ", "\n  /quantity: "] {
        assert!(told.contains(place), "{told}");
    }
    assert!(!told.contains("secret"), "{told}");
    let requests = receipts.instances[0].0.stats().endpoints.iter().map(|endpoint| endpoint.num_requests).sum::<u64>();
    assert_eq!(requests, 0, "nothing was sent");

    let unchecked = receipts.run(&format!("{line} --no-check --json")).await.refused(1);
    let unchecked: Value = serde_json::from_str(&unchecked).unwrap();
    assert_eq!(unchecked["error"]["code"], "validation-failed");
    assert_eq!(unchecked["error"]["details"]["violations"].as_array().map(Vec::len), Some(3), "{unchecked}");
}

#[tokio::test]
async fn what_the_service_does_not_have_is_told_with_what_it_has() {
    let receipts = Receipts::start(1).await;
    let told = receipts.run("command send receipts receipt add-itm order-1").await.refused(1);
    assert!(told.starts_with("refused: not-found: `receipts` has no command `add-itm` for `receipt`\n"), "{told}");
    assert!(told.contains("There are: add-item, add-items, finalize, remove-item, void."), "{told}");
    let told = receipts.run("query receipts receipt sumary order-1").await.refused(1);
    assert!(told.contains("summary"), "{told}");
    let told = receipts.run("command send receipts invoice add-item order-1").await.refused(1);
    assert!(told.contains("Its aggregate types: receipt."), "{told}");
}

#[tokio::test]
async fn a_no_of_the_service_is_told_by_its_name_with_what_to_do() {
    let receipts = Receipts::start(1).await;
    let empty = receipts.run("command send receipts receipt finalize order-1").await.refused(1);
    assert_eq!(empty, "refused: receipt-empty: there is nothing on the receipt\n");
    receipts.add("order-1", "Tea").await;
    let stale =
        format!("command send receipts receipt add-item order-1 --expected-revision 0 --data {}", item("Tea", 1));
    let told = receipts.run(&stale).await.refused(1);
    assert!(told.starts_with("refused: conflict: ") && told.contains("headwater aggregate show"), "{told}");
    let told: Value = serde_json::from_str(&receipts.run(&format!("{stale} --json")).await.refused(1)).unwrap();
    assert_eq!((&told["error"]["code"], &told["error"]["details"]["actualRevision"]), (&json!("conflict"), &json!(1)));
}

#[tokio::test]
async fn what_makes_no_sense_is_told_before_anybody_is_asked() {
    // No server is there, which nobody finds out.
    for line in [
        "command send receipts receipt add-item order-1 --data {",
        "command send receipts receipt add-item order-1 --data-file /nonexistent/item.json",
        "command send receipts receipt add-item order-1 --data {} --data-file item.json",
        "command send Receipts receipt add-item order-1",
        "command send receipts receipt add.item order-1",
        "command send receipts receipt add-item",
        "command send receipts receipt add-item order-1 --expected-revision first",
        "query receipts receipt get order-1",
        "query receipts receipt summary order-1 --data nonsense",
    ] {
        let told = run_at("nats://127.0.0.1:1", line).await.refused(2);
        assert!(told.starts_with("error: "), "{line}: {told}");
    }
    let hint = run_at("nats://127.0.0.1:1", "query receipts receipt get order-1").await.refused(2);
    assert!(hint.contains("headwater aggregate show receipts receipt order-1"), "{hint}");
}

#[tokio::test]
async fn a_query_is_checked_asked_and_answered() {
    let receipts = Receipts::start(1).await;
    receipts.add("order-1", "Tea").await;
    let answer = receipts.run("query receipts receipt summary order-1 --min-revision 1 --json").await.json();
    assert_eq!(answer["answer"], json!({ "status": "open", "lines": 1, "pieces": 1, "total": "2.50" }));
    assert_eq!(answer["revision"], 1);
    let text = receipts.run("query receipts receipt summary order-1").await.done();
    assert!(text.contains("\"total\": \"2.50\"") && text.ends_with("revision 1, sequence 1\n"), "{text}");

    let broken = receipts.run(r#"query receipts receipt summary order-1 --data {"colour":"green"}"#).await.refused(1);
    assert!(broken.starts_with("refused: validation-failed: "), "{broken}");
    assert!(broken.contains("\n  the payload: ") && broken.contains("colour"), "{broken}");
    let missing = receipts.run("query receipts receipt summary order-9").await.refused(1);
    assert!(missing.starts_with("refused: not-found: "), "{missing}");
}

#[tokio::test]
async fn a_lost_reply_is_told_with_the_id_that_settles_it() {
    let server = TestServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    // A service that hears and never answers.
    let mut requests = client.subscribe("receipts.command.>").await.unwrap();
    known_to_server(&client).await;
    let line = "command send receipts receipt finalize order-1 --no-check --timeout 700ms";
    let told = run_at(&server.url(), line).await.refused(1);
    assert!(told.starts_with("failed: outcome-unknown: "), "{told}");
    let request = tokio::time::timeout(Duration::from_secs(10), requests.next()).await.unwrap().unwrap();
    let request: Value = serde_json::from_slice(&request.payload).unwrap();
    let id = request["metadata"]["commandId"].as_str().unwrap();
    assert!(told.contains(&format!("--command-id {id}: it takes effect once at most")), "{told}");

    let unasked = run_at(&server.url(), "query orders order summary order-1 --no-check").await.refused(1);
    assert!(unasked.starts_with("failed: no-responders: ") && unasked.contains("headwater services ls"), "{unasked}");
}

/// A service that hears and never answers, but says of itself that it has one endpoint with this metadata.
async fn silent(server: &TestServer, metadata: Value) -> async_nats::Client {
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut heard = client.subscribe("orders.>").await.unwrap();
    let mut asked = client.subscribe("$SRV.INFO.orders").await.unwrap();
    known_to_server(&client).await;
    let info = json!({
        "type": "io.nats.micro.v1.info_response", "name": "orders", "id": "a", "version": "1.0.0", "metadata": {},
        "description": "", "endpoints": [{ "name": "all", "subject": "orders.>", "queue_group": "q", "metadata": metadata }],
    });
    let answering = client.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(_) = heard.next() => {}
                Some(question) = asked.next() => {
                    answering.publish(question.reply.unwrap(), info.to_string().into()).await.unwrap();
                }
                else => break,
            }
        }
    });
    client
}

#[tokio::test]
async fn a_service_without_a_schema_is_not_waited_for() {
    let server = TestServer::start().await;
    let _service = silent(&server, json!({})).await;
    for line in ["command send orders order place order-1", "query orders order summary order-1"] {
        // As long as a test may take: it ends well before that.
        let told = run_at(&server.url(), &format!("{line} --timeout 5m")).await.refused(1);
        assert!(told.starts_with("refused: no-schema: `orders` publishes no schema"), "{told}");
        assert!(told.contains("--no-check"), "{told}");
    }
}

#[tokio::test]
async fn a_schema_is_waited_for_as_long_as_for_any_answer() {
    let server = TestServer::start().await;
    let client =
        silent(&server, json!({ "request-schema": "orders.schema#/aggregates/order/commands/place/request" })).await;
    let told = run_at(&server.url(), "command send orders order place order-1 --timeout 400ms").await.refused(1);
    assert!(told.starts_with("failed: no-answer: ") && told.contains("400ms"), "{told}");
    assert!(told.contains("nothing was sent"), "{told}");

    let mut schemas = client.subscribe("orders.schema").await.unwrap();
    let mut commands = client.subscribe("orders.command.>").await.unwrap();
    known_to_server(&client).await;
    let late = async {
        let asked = schemas.next().await.unwrap();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        client.publish(asked.reply.unwrap(), r#"{ "type": "object" }"#.into()).await.unwrap();
        commands.next().await.unwrap()
    };
    let url = server.url();
    let sending = run_at(&url, "command send orders order place order-1 --timeout 3s");
    let (ended, sent) = tokio::join!(sending, late);
    assert_eq!(sent.subject.as_str(), "orders.command.order.place", "it was sent once the schema was there");
    assert!(ended.refused(1).starts_with("failed: outcome-unknown: "));
}
