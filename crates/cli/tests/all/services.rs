//! `headwater services`: several instances, found over `$SRV`.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use headwater_testkit::{TestServer, known_to_server};
use serde_json::{Value, json};

use crate::support::receipts::{Receipts, item};
use crate::support::run_at;

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[tokio::test]
async fn services_are_listed_once_with_all_their_instances() {
    let mut receipts = Receipts::start(2).await;
    let table = receipts.run("services ls --expect 2").await.done();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(cells(lines[0]), ["SERVICE", "VERSION", "INSTANCES", "ENDPOINTS", "CONTRACT", "DESCRIPTION"]);
    let row = cells(lines[1]);
    assert_eq!((lines.len(), row[0], row[1], row[2]), (2, "receipts", sample_receipts::VERSION, "2"), "{table}");
    assert_eq!(row[5], "Receipts: the worked example of Headwater");
    assert!(!table.contains('\u{1b}'), "no colours where nobody sees them: {table}");

    let another = receipts.instance("9.0.0").await;
    receipts.instances.push(another);
    let listed = receipts.run("services ls --expect 3 --json").await.json();
    assert_eq!(listed[0]["name"], "receipts");
    assert_eq!(listed[0]["versions"], json!([sample_receipts::VERSION, "9.0.0"]));
    assert_eq!(listed[0]["instances"].as_array().map(Vec::len), Some(3), "{listed}");
    assert_eq!(listed[0]["contracts"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test]
async fn info_tells_what_a_service_can_be_asked_and_who_serves_it() {
    let receipts = Receipts::start(2).await;
    let told = receipts.run("services info receipts --expect 2").await.done();
    for text in
        ["Receipts: the worked example", "contract", "receipts.command.receipt.add-item", "receipts.query.receipt.get"]
    {
        assert!(told.contains(text), "{text}: {told}");
    }
    for (instance, _) in &receipts.instances {
        assert!(told.contains(instance.instance_id()), "{told}");
    }
    let id = receipts.instances[0].0.instance_id();
    let one = receipts.run(&format!("services info receipts --instance {id} --json")).await.json();
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    assert_eq!((&one[0]["id"], &one[0]["type"]), (&json!(id), &json!("io.nats.micro.v1.info_response")));
}

#[tokio::test]
async fn stats_count_what_instances_and_endpoints_have_done() {
    let receipts = Receipts::start(2).await;
    for number in 0..3 {
        receipts.add(&format!("order-{number}"), "Tea").await;
    }
    let line = format!("command send receipts receipt add-item order-1 --no-check --data {}", item("Tea", 0));
    receipts.run(&line).await.refused(1);

    let table = receipts.run("services stats receipts --expect 2").await.done();
    let rows: Vec<_> = table.lines().skip(1).map(cells).collect();
    assert_eq!(rows.len(), 2, "{table}");
    let served: u64 = rows.iter().map(|row| row[4].parse::<u64>().unwrap()).sum();
    assert_eq!(served, 4, "{table}");

    let endpoints = receipts.run("services stats receipts --expect 2 --endpoints").await.done();
    let add_item = endpoints.lines().map(cells).find(|row| row[1] == "command-receipt-add-item").unwrap();
    assert_eq!(add_item[2], "4", "both instances together: {endpoints}");

    let stats = receipts.run("services stats receipts --expect 2 --json").await.json();
    let requests = |stats: &Value| {
        let endpoints = stats["endpoints"].as_array().unwrap();
        endpoints.iter().map(|endpoint| endpoint["num_requests"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(stats.as_array().unwrap().iter().map(requests).sum::<u64>(), 4);
}

#[tokio::test]
async fn ping_ends_early_when_all_are_there_and_late_with_status_1_when_they_are_not() {
    let receipts = Receipts::start(2).await;
    let start = Instant::now();
    let pings = receipts.run("services ping --expect 2 --wait 30s --json").await.json();
    assert!(start.elapsed() < Duration::from_secs(15), "it ends with the second answer");
    assert_eq!(pings.as_array().map(Vec::len), Some(2));
    assert!(pings[0]["tookMs"].as_f64().is_some_and(|took| took > 0.0), "{pings}");
    let table = receipts.run("services ping receipts --expect 2").await.done();
    assert_eq!(table.lines().count(), 3, "{table}");

    let fewer = receipts.run("services ping receipts --expect 3 --wait 500ms").await;
    assert_eq!((fewer.status, fewer.stdout.lines().count()), (Some(1), 3), "{fewer:?}");
    assert!(fewer.stderr.starts_with("failed: too-few: 2 instances answered, and 3 were expected"), "{fewer:?}");
    // Without a number it ends when nobody has answered for a moment.
    let start = Instant::now();
    receipts.run("services ping --wait 30s").await.done();
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_contract_is_shown_whole_or_in_part() {
    let receipts = Receipts::start(1).await;
    let whole = receipts.run("services schema receipts --json").await.json();
    assert_eq!(whole["service"], "receipts");
    let part = receipts.run("services schema receipts /aggregates/receipt/commands/add-item/request").await.done();
    let part: Value = serde_json::from_str(&part).unwrap();
    assert_eq!(part, whole["aggregates"]["receipt"]["commands"]["add-item"]["request"]);
    let none = receipts.run("services schema receipts /aggregates/invoice").await.refused(1);
    assert!(none.starts_with("refused: not-found: "), "{none}");
}

#[tokio::test]
async fn a_service_of_another_kind_is_listed_too_and_plays_no_tricks() {
    let server = TestServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut questions = client.subscribe("$SRV.INFO").await.unwrap();
    known_to_server(&client).await;
    let answering = tokio::spawn(async move {
        let question = questions.next().await.unwrap();
        let inbox = question.reply.unwrap();
        let info = json!({ "type": "io.nats.micro.v1.info_response", "name": "clock", "id": "c1", "version": "0.1.0",
            "description": "tells\u{1b}[2J the time", "metadata": null, "endpoints": null });
        client.publish(inbox.clone(), "no JSON".into()).await.unwrap();
        client.publish(inbox, info.to_string().into()).await.unwrap();
        client.flush().await.unwrap();
    });
    let listed = run_at(&server.url(), "services ls --expect 1").await;
    answering.await.unwrap();
    assert_eq!(listed.stderr, "left out: 1 answer that cannot be read\n");
    let listed = listed.done();
    assert_eq!(cells(listed.lines().nth(1).unwrap()), ["clock", "0.1.0", "1", "0", "tells\\u{1b}[2J the time"]);
}

#[tokio::test]
async fn nobody_there_is_status_1_and_says_so() {
    let server = TestServer::start().await;
    for (line, told) in [
        ("services ls --wait 500ms", "failed: no-responders: no service answered\n"),
        ("services info receipts --wait 500ms", "failed: no-responders: no instance of `receipts` answered\n"),
        ("services stats receipts --instance x --wait 500ms", "failed: no-responders: no instance `x` of `receipts`"),
        ("services ping --wait 500ms", "failed: no-responders: "),
        ("services schema receipts", "failed: no-responders: no instance of `receipts` is listening"),
    ] {
        let reason = run_at(&server.url(), line).await.refused(1);
        assert!(reason.starts_with(told), "{line}: {reason}");
    }
    let json = run_at(&server.url(), "services ls --wait 500ms --json").await.refused(1);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["success"], &json["error"]["code"]), (&json!(false), &json!("no-responders")));
}
