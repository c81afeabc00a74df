//! `headwater doctor`: what is wrong is found, with the command that mends it; what is right is not spoken of.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt as _;
use headwater::Name;
use headwater::nats::connect::{Connection, NatsConfig};
use headwater::store::{JetStreamStore, StoreConfig};
use headwater_testkit::{TestServer, known_to_server};
use serde_json::{Value, json};

use crate::support::{Ended, run_at};

/// A server whose disk has everything that was acknowledged, with the journal of the receipts.
async fn with_a_journal() -> (TestServer, Client) {
    let server = TestServer::with(|server| server.jetstream_config("sync_interval: always")).await;
    let connection = Connection::connect(&NatsConfig::new(&server.url())).await.unwrap();
    JetStreamStore::open(connection, StoreConfig::new(Name::new("receipts").unwrap())).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    (server, client)
}

async fn api(client: &Client, verb: &str, body: Value) -> Value {
    let answer = client.request(format!("$JS.API.{verb}"), body.to_string().into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// What was found about `about`, as pairs of severity and check.
fn found(report: &Value, about: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["about"] == about);
    findings.map(|finding| (text(&finding["severity"]), text(&finding["check"]))).collect()
}

fn pair(severity: &str, check: &str) -> (String, String) {
    (severity.to_owned(), check.to_owned())
}

/// The report of a run that ended with this status.
#[track_caller]
fn report(ended: &Ended, status: i32) -> Value {
    assert_eq!(ended.status, Some(status), "{ended:?}");
    serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap()
}

#[tokio::test]
async fn a_server_and_a_journal_that_are_well_pass() {
    let (server, client) = with_a_journal().await;
    if server.is_older_than((2, 14, 4)) {
        return;
    }
    client.request("receipts.journal.receipt.a.noted", "{}".into()).await.unwrap();
    let monitor = format!("--monitor http://127.0.0.1:{}", server.monitor_port());
    let line = format!("--json doctor --service receipts --role service {monitor} --fail-on info");
    let report = report(&run_at(&server.url(), &line).await, 0);
    assert_eq!(report["findings"], json!([]));
    assert_eq!((&report["streams"], &report["server"]["version"]), (&1.into(), &server.version().to_string().into()));
    assert!(report["server"]["apiLevel"].as_u64().unwrap() >= 2, "{report}");
    assert!(report["clock"]["aheadMs"].as_i64().unwrap().abs() < 1000, "{report}");
    let told = run_at(&server.url(), "doctor").await.done();
    assert!(told.contains("Looked at 1 stream and 0 consumers: 0 severe, 0 warnings"), "{told}");
}

#[tokio::test]
async fn a_journal_that_would_lose_events_is_severe_until_it_is_mended() {
    let (server, client) = with_a_journal().await;
    let mut config = api(&client, "STREAM.INFO.RECEIPTS_JOURNAL", json!({})).await["config"].clone();
    config["discard"] = json!("old");
    config["duplicate_window"] = json!(1_000_000_000);
    let updated = api(&client, "STREAM.UPDATE.RECEIPTS_JOURNAL", config.clone()).await;
    assert!(updated["error"].is_null(), "{updated}");

    let ended = run_at(&server.url(), "--json doctor").await;
    let sick = report(&ended, 1);
    let severe = [pair("severe", "journal-unsafe"), pair("severe", "duplicate-window")];
    assert_eq!(found(&sick, "RECEIPTS_JOURNAL"), [&severe[..], &[pair("info", "stream-empty")]].concat());
    assert!(ended.stderr.contains("unhealthy"), "{ended:?}");
    let told = run_at(&server.url(), "doctor").await.stdout;
    assert!(told.contains("its `discard` is \"old\" and must be \"new\""), "{told}");
    assert!(told.contains("mend: nats stream edit RECEIPTS_JOURNAL --discard new"), "{told}");

    config["discard"] = json!("new");
    config["duplicate_window"] = json!(60_000_000_000_u64);
    api(&client, "STREAM.UPDATE.RECEIPTS_JOURNAL", config).await;
    let well = report(&run_at(&server.url(), "--json doctor").await, 0);
    let infos = [pair("info", "stream-empty"), pair("info", "duplicate-window")];
    assert_eq!(found(&well, "RECEIPTS_JOURNAL"), infos);
}

#[tokio::test]
async fn the_stream_that_holds_the_lease_of_topologies_is_no_stream_to_mend() {
    let server = TestServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("topology.toml");
    std::fs::write(&file, "[[streams]]\nname = \"ORDERS\"\nsubjects = [\"orders.>\"]\n").unwrap();
    for step in ["apply --yes", "destroy --yes"] {
        run_at(&server.url(), &format!("topology {step} {}", file.display())).await.done();
    }
    let report = report(&run_at(&server.url(), "--json doctor").await, 0);
    assert_eq!(report["streams"], 1, "the lease is there: {report}");
    assert_eq!(found(&report, "HEADWATER_TOPOLOGY_LEASE"), []);
}

#[tokio::test]
async fn consumers_that_stand_still_and_messages_that_were_given_up_are_found() {
    let (server, client) = with_a_journal().await;
    api(
        &client,
        "STREAM.CREATE.WORK",
        json!({ "name": "WORK", "subjects": ["work.>"], "max_bytes": 10_000, "discard": "new" }),
    )
    .await;
    for _ in 0..9 {
        client.request("work.a", vec![b'x'; 950].into()).await.unwrap();
    }
    for (name, more, deliveries) in [
        ("stalled", json!({ "max_ack_pending": 2, "ack_wait": 60_000_000_000_u64 }), 2),
        // With room for one at a time, the third is delivered when the two before it were given up.
        ("given-up", json!({ "max_deliver": 2, "max_ack_pending": 1, "ack_wait": 100_000_000 }), 5),
    ] {
        let mut config = json!({ "name": name, "durable_name": name, "ack_policy": "explicit" });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        api(&client, &format!("CONSUMER.CREATE.WORK.{name}"), json!({ "stream_name": "WORK", "config": config })).await;
        let inbox = client.new_inbox();
        let mut messages = client.subscribe(inbox.clone()).await.unwrap();
        known_to_server(&client).await;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.WORK.{name}");
        client.publish_with_reply(next, inbox, r#"{"batch":5,"expires":5000000000}"#.into()).await.unwrap();
        for _ in 0..deliveries {
            tokio::time::timeout(Duration::from_secs(10), messages.next()).await.unwrap().unwrap();
        }
    }
    let report = report(&run_at(&server.url(), "--json doctor").await, 1);
    assert_eq!(found(&report, "WORK > stalled"), [pair("severe", "consumer-stalled")]);
    assert!(found(&report, "WORK > given-up").contains(&pair("warning", "max-deliveries")), "{report}");
    assert_eq!(found(&report, "WORK"), [pair("warning", "stream-full")]);
    assert_eq!(report["consumers"], 2);
}

#[tokio::test]
async fn monitoring_tells_what_a_loss_of_power_takes_and_what_cannot_be_read_is_told() {
    let server = TestServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    api(&client, "STREAM.CREATE.A", json!({ "name": "A", "subjects": ["a"] })).await;
    let monitored = format!("--json doctor --monitor 127.0.0.1:{}", server.monitor_port());
    let told = report(&run_at(&server.url(), &format!("{monitored} --fail-on severe")).await, 0);
    assert_eq!(found(&told, "server"), [pair("warning", "sync-interval")]);
    assert!(told["findings"][0]["reason"].as_str().unwrap().contains("every 120s"), "{told}");
    report(&run_at(&server.url(), &format!("{monitored} --fail-on warning")).await, 1);

    let told = report(&run_at(&server.url(), "--json doctor --monitor http://127.0.0.1:1").await, 0);
    assert_eq!(found(&told, "monitoring"), vec![pair("warning", "monitor-unreadable"); 4]);
    let told = run_at(&server.url(), "doctor --monitor https://127.0.0.1:1").await.refused(2);
    assert!(told.contains("plain http"), "{told}");
}

#[tokio::test]
async fn a_missing_journal_and_a_server_without_jetstream_are_severe() {
    let (server, _client) = with_a_journal().await;
    let told = report(&run_at(&server.url(), "--json doctor --service orders").await, 1);
    assert_eq!(found(&told, "ORDERS_JOURNAL"), [pair("severe", "journal-missing")]);
    let told = report(&run_at(&server.url(), "--json doctor --stream NONE").await, 1);
    assert_eq!(found(&told, "NONE"), [pair("severe", "stream-missing")]);

    let bare = TestServer::with(|server| server.jetstream(false)).await;
    if bare.is_older_than((2, 14, 4)) {
        return;
    }
    let told = report(&run_at(&bare.url(), "--json doctor").await, 1);
    assert_eq!(found(&told, &format!("server {}", bare.name())), [pair("severe", "no-jetstream")]);
    assert_eq!(told["findings"].as_array().map(Vec::len), Some(1), "{told}");
}

#[tokio::test]
async fn what_a_user_may_not_do_is_found_for_its_role() {
    let users = r#"authorization { users = [ { user: till, password: p, permissions {
        publish { allow: ["receipts.command.>", "$SYS.REQ.USER.INFO"] }
        subscribe { allow: ["_INBOX.>"] }
    } } ] }"#;
    let server = TestServer::with(|server| server.config(users)).await;
    let line = "--user till --password p --json doctor --service receipts --role client";
    let told = report(&run_at(&server.url(), line).await, 1);
    let lacking = found(&told, "user till");
    assert_eq!(lacking, vec![pair("severe", "permission-missing"); 3], "{told}");
    let reasons = told["findings"].to_string();
    for reason in
        ["may not publish to receipts.query.*.*", "receipts.schema", "may not subscribe to receipts.events.*.*"]
    {
        assert!(reasons.contains(reason), "{reasons}");
    }
    assert!(reasons.contains("headwater permissions --role client --service receipts"), "{reasons}");
    // What the doctor itself may not ask is a warning.
    assert!(found(&told, "user").contains(&pair("warning", "permission-missing")), "{told}");
}
