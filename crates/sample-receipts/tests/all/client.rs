//! Every call of the client, against a service: what it prints, and its exit status.

use crate::support;

use headwater_testkit::TestServer;
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Running, client, entries, run, run_with_input, serve};

/// A server, a service on it, and the server's URL.
async fn receipts() -> (TestServer, Running, String) {
    let server = TestServer::start().await;
    let (service, url) = (serve(&server.url(), &["--instances", "2"]).await, server.url());
    (server, service, url)
}

#[tokio::test]
async fn a_receipt_from_its_first_item_to_its_end() {
    let (_server, _service, url) = receipts().await;
    let added = client(&url, "add-item order-1 --name Coffee --price 5.99 --quantity 2").await.done();
    assert_eq!(added.lines().next(), Some("done: item-added, revision 1"));
    assert!(added.contains("receipt order-1 is open"), "{added}");
    client(&url, "add-items order-1 --item Tea=2.50x2 --item Cake=4.20").await.done();
    client(&url, "remove-item order-1 --name Tea").await.done();
    client(&url, "finalize order-1").await.done();
    let voided = client(&url, "void order-1 --reason paid-twice --json").await.json();
    let state = json!({
        "id": "order-1",
        "status": "voided",
        "items": [
            { "name": "Coffee", "price": "5.99", "quantity": 2 },
            { "name": "Cake", "price": "4.20", "quantity": 1 },
        ],
        "total": "16.18",
    });
    assert_eq!(voided["state"], state);
    assert_eq!(voided["aggregate"], json!({ "type": "receipt", "id": "order-1" }));
    assert_eq!((&voided["revision"], &voided["replayed"]), (&json!(6), &json!(false)));

    let entity = client(&url, "get order-1 --json").await.json();
    assert_eq!((&entity["revision"], &entity["state"]), (&json!(6), &state));
    let earlier = client(&url, "get order-1 --at-revision 1 --json").await.json();
    assert_eq!((&earlier["revision"], &earlier["state"]["total"]), (&json!(1), &json!("11.98")));
    let summary = client(&url, "summary order-1 --json").await.json();
    assert_eq!(summary["answer"], json!({ "status": "voided", "lines": 2, "pieces": 3, "total": "16.18" }));
}

#[tokio::test]
async fn a_refusal_is_told_on_standard_error_and_is_exit_status_1() {
    let (_server, _service, url) = receipts().await;
    for (call, told) in [
        ("remove-item order-1 --name Tea", "refused: item-not-found: there is no Tea on the receipt\n"),
        ("finalize order-1", "refused: receipt-empty: there is nothing on the receipt\n"),
        ("get order-1", "refused: not-found: "),
        ("add-item order-1 --name Tea --price 1 --expected-revision 3", "refused: conflict: "),
        ("add-item order-1 --name Tea --price 1 --quantity 0", "refused: validation-failed: "),
    ] {
        let reason = client(&url, call).await.refused(1);
        assert!(reason.starts_with(told), "{call}: {reason}");
    }
    let violation = client(&url, "add-item order-1 --name Tea --price 1 --quantity 20000").await.refused(1);
    assert!(violation.contains("\n  /quantity: "), "{violation}");

    client(&url, "void order-1 --reason none").await.done();
    let again = client(&url, "void order-1 --reason none").await.refused(1);
    assert_eq!(again, "refused: already-voided: the receipt has been voided already\n");
    let closed = client(&url, "add-item order-1 --name Tea --price 1 --json").await.refused(1);
    let closed: Value = serde_json::from_str(&closed).unwrap();
    assert_eq!(closed["error"]["code"], "command-rejected");
    assert_eq!(closed["error"]["details"], json!({ "rejection": "receipt-not-open", "status": "voided" }));
}

#[tokio::test]
async fn bad_usage_is_exit_status_2() {
    for call in
        ["client", "client add-item order-1", "client add-item order-1 --name Tea --price 1.999", "serve --store disk"]
    {
        let arguments: Vec<_> = call.split_whitespace().collect();
        let told = run(&arguments).await.refused(2);
        assert!(told.contains("Usage") || told.contains("--help"), "{call}: {told}");
    }
}

#[tokio::test]
async fn nobody_listening_and_nobody_there_are_told_apart() {
    let server = TestServer::start().await;
    let no_service = client(&server.url(), "get order-1 --timeout 1s").await.refused(1);
    assert!(no_service.starts_with("failed: no-responders: "), "{no_service}");
    assert!(no_service.contains("sample-receipts -- serve"), "{no_service}");
    let none_found = client(&server.url(), "discover --timeout 1s").await.refused(1);
    assert!(none_found.starts_with("failed: no-responders: "), "{none_found}");
    let no_server = client("nats://127.0.0.1:1", "get order-1").await.refused(1);
    assert!(no_server.contains("nats://127.0.0.1:1"), "{no_server}");
}

#[tokio::test]
async fn a_repeated_command_id_takes_effect_once() {
    let (_server, _service, url) = receipts().await;
    let call = "add-item order-1 --name Tea --price 1 --command-id till-7 --json";
    let first = client(&url, call).await.json();
    let second = client(&url, call).await.json();
    assert_eq!((&first["replayed"], &second["replayed"]), (&json!(false), &json!(true)));
    assert_eq!((&first["events"], &first["commandId"]), (&second["events"], &json!("till-7")));
    assert_eq!(client(&url, "get order-1 --json").await.json()["revision"], 1);
    let told = client(&url, call.trim_end_matches("--json")).await.done();
    assert!(told.contains("answered from the first attempt"), "{told}");
}

#[tokio::test]
async fn items_come_from_a_file_or_standard_input() {
    let (_server, _service, url) = receipts().await;
    let input =
        r#"{"items": [{"name": "Tea", "price": "2.50", "quantity": 3}, {"name": "Bag", "price": "0", "quantity": 1}]}"#;
    let arguments = ["client", "add-items", "order-1", "--file", "-", "--json", "--nats-url", &url];
    let added = run_with_input(&arguments, input).await.json();
    assert_eq!((&added["revision"], &added["state"]["total"]), (&json!(2), &json!("7.50")));
    let refused = run_with_input(&arguments, "{\"items\": [{\"name\"").await.refused(1);
    assert!(refused.starts_with("standard input "), "{refused}");
}

#[tokio::test]
async fn a_history_is_read_in_parts_and_as_a_whole() {
    let (_server, _service, url) = receipts().await;
    client(&url, "add-items order-1 --item Tea=1 --item Bag=2 --item Cake=3").await.done();
    client(&url, "remove-item order-1 --name Bag").await.done();
    let page = client(&url, "history order-1 --after 1 --limit 2 --json").await.json();
    let listed = |page: &Value| -> Vec<(u64, String)> {
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| (event["revision"].as_u64().unwrap(), event["type"].as_str().unwrap().to_owned())).collect()
    };
    assert_eq!(listed(&page), [(2, "item-added".to_owned()), (3, "item-added".to_owned())]);
    assert_eq!((&page["revision"], &page["next"]), (&json!(4), &json!(3)));
    let whole = client(&url, "history order-1 --json").await.json();
    assert_eq!(listed(&whole).len(), 4);
    assert_eq!(whole["events"][3]["data"], json!({ "name": "Bag", "refundAmount": "2.00" }));
    assert_eq!(whole["next"], Value::Null);
    let text = client(&url, "history order-1 --limit 3").await.done();
    assert_eq!(text.lines().last(), Some("more: --after 3"));
}

#[tokio::test]
async fn a_receipt_is_seen_as_it_was_at_a_time() {
    let (_server, _service, url) = receipts().await;
    client(&url, "add-item order-1 --name Tea --price 1").await.done();
    client(&url, "add-item order-1 --name Cake --price 2").await.done();
    let history = client(&url, "history order-1 --json").await.json();
    let first = history["events"][0]["time"].as_str().unwrap();
    let then = client(&url, &format!("get order-1 --at-time {first} --json")).await.json();
    assert_eq!((&then["revision"], &then["state"]["total"]), (&json!(1), &json!("1.00")));
}

#[tokio::test]
async fn a_revision_that_does_not_come_in_time_is_a_failure() {
    let (_server, _service, url) = receipts().await;
    client(&url, "add-item order-1 --name Tea --price 1").await.done();
    client(&url, "get order-1 --min-revision 1").await.done();
    let late = client(&url, "get order-1 --min-revision 2 --timeout 300ms").await.refused(1);
    assert!(late.starts_with("failed: "), "{late}");
}

#[tokio::test]
async fn events_are_watched_as_they_happen() {
    let (_server, _service, url) = receipts().await;
    let line = ["client", "watch", "order-1", "--event", "item-added", "--count", "2", "--json", "--nats-url", &url];
    let mut watch = Running::start(&line);
    assert_eq!(watch.error_line().await, "watching; Ctrl-C ends it");
    client(&url, "add-item order-2 --name Other --price 1").await.done();
    client(&url, "add-items order-1 --item Tea=1 --item Bag=2").await.done();
    for (revision, name) in [(1, "Tea"), (2, "Bag")] {
        let event: Value = serde_json::from_str(&watch.line().await).unwrap();
        assert_eq!((&event["revision"], &event["data"]["name"]), (&json!(revision), &json!(name)));
    }
    assert_eq!(watch.end().await.0, Some(0));
}

#[tokio::test]
async fn watching_ends_well_when_it_is_asked_to() {
    let (_server, _service, url) = receipts().await;
    let mut watch = Running::start(&["client", "watch", "--nats-url", &url]);
    watch.error_line().await;
    watch.signal(Signal::INT);
    assert_eq!(watch.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn instances_are_found_with_what_they_served() {
    let (_server, _service, url) = receipts().await;
    for number in 0..4 {
        client(&url, &format!("add-item order-{number} --name Tea --price 1")).await.done();
    }
    let found = client(&url, "discover --expect 2 --json").await.json();
    let instances = found.as_array().unwrap();
    assert_eq!(instances.len(), 2);
    let served = instances.iter().flat_map(|instance| instance["endpoints"].as_array().unwrap());
    let served: u64 = served.map(|endpoint| endpoint["num_requests"].as_u64().unwrap()).sum();
    assert_eq!(served, 4);
    assert_eq!(client(&url, "discover --expect 2").await.done().lines().count(), 3);
    let missing = client(&url, "discover --expect 3 --timeout 500ms").await;
    assert_eq!(missing.status, Some(1));
    assert_eq!(missing.stderr, "2 instances answered, and 3 were expected\n");
}

#[tokio::test]
async fn the_url_may_come_from_the_environment() {
    let (_server, _service, url) = receipts().await;
    let mut call = support::program(&["client", "add-item", "order-1", "--name", "Tea", "--price", "1"]);
    call.env("NATS_URL", &url);
    support::finish(call).await.done();
}

#[tokio::test]
async fn a_development_server_prints_its_url_and_goes_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let mut server = Running::start(&["nats-server", "--store-dir", store.to_str().unwrap()]);
    let url = server.line().await;
    let service = serve(&url, &[]).await;
    client(&url, "add-item order-1 --name Tea --price 1").await.done();
    service.signal(Signal::TERM);
    assert_eq!(service.end().await.0, Some(0));
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.0, Some(0));
    assert!(tokio::net::TcpStream::connect(url.trim_start_matches("nats://")).await.is_err());
    assert!(!entries(&store).is_empty(), "the given folder stays");

    let mut server = Running::start(&["nats-server", "--store-dir", store.to_str().unwrap()]);
    let url = server.line().await;
    let _service = serve(&url, &[]).await;
    assert_eq!(client(&url, "get order-1 --json").await.json()["revision"], 1);
    server.signal(Signal::INT);
    assert_eq!(server.end().await.0, Some(0));
}
