//! Durable readers that cannot be had as they are asked for, and who is told what.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;

use std::time::Duration;

use headwater_core::store::EventFilter;
use headwater_nats_client::RetryPolicy;
use headwater_nats_client::durable::ReaderError;
use headwater_testkit::TestServer;
use journal::{Journal, LONG, Log, MS, connect, name, reader, receipt, world};

#[tokio::test]
async fn a_reader_of_a_journal_that_is_not_there_says_so() {
    let server = TestServer::start().await;
    let reader = reader(connect(&server.url()).await, "totals").open_timeout(300 * MS).build().unwrap();
    let error = reader.run(Log::default().handler()).await.unwrap_err();
    assert!(matches!(&error, ReaderError::Refused(text) if text.contains("RECEIPTS_JOURNAL")), "{error:?}");
}

#[tokio::test]
async fn a_reader_that_is_started_before_the_journal_is_made_waits_for_it() {
    let server = TestServer::start().await;
    let journal = Journal::open(&server.url()).await;
    let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
    let log = Log::default();
    let (running, ()) = tokio::join!(reader.run(log.handler()), async {
        tokio::time::sleep(300 * MS).await;
        journal.make().await;
    });
    journal.append_rounds(&["a"], 3).await;
    log.until(3).await;
    running.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_consumer_that_is_no_readers_is_refused_by_the_name_of_the_field() {
    let (server, journal) = world().await;
    let fit = serde_json::json!({
        "durable_name": "totals", "ack_policy": "explicit", "max_deliver": -1,
        "priority_groups": ["readers"], "priority_policy": "pinned_client", "priority_timeout": 5_000_000_000_u64,
    });
    for (field, value) in [
        ("ack_policy", serde_json::json!("none")),
        ("max_deliver", serde_json::json!(3)),
        ("headers_only", serde_json::json!(true)),
        ("replay_policy", serde_json::json!("original")),
        ("priority_policy", serde_json::json!("overflow")),
        ("priority_groups", serde_json::json!(["others"])),
    ] {
        let mut config = fit.clone();
        config[field] = value;
        if field == "priority_policy" {
            config.as_object_mut().unwrap().remove("priority_timeout");
        }
        let create = serde_json::json!({ "stream_name": "RECEIPTS_JOURNAL", "config": config });
        let answer = journal.api("CONSUMER.DURABLE.CREATE.RECEIPTS_JOURNAL.totals", &create).await;
        assert!(answer.get("error").is_none(), "{field}: {answer}");
        let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
        let error = reader.run(Log::default().handler()).await.unwrap_err();
        assert!(matches!(&error, ReaderError::Refused(text) if text.contains(field)), "{field}: {error:?}");
        journal.delete_consumer("totals").await;
    }
    let create = serde_json::json!({ "stream_name": "RECEIPTS_JOURNAL", "config": fit });
    journal.api("CONSUMER.DURABLE.CREATE.RECEIPTS_JOURNAL.totals", &create).await;
    let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
    reader.run(Log::default().handler()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_all_at_once() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let error = reader(connection.clone(), "totals")
        .max_in_flight(0)
        .parallel(0)
        .ack_wait(Duration::ZERO)
        .takeover_after(MS)
        .open_timeout(Duration::ZERO)
        .retry(RetryPolicy::default().attempts(0))
        .build()
        .unwrap_err();
    let text = error.to_string();
    for setting in ["max_in_flight", "parallel", "ack_wait", "takeover_after", "open_timeout", "retry.attempts"] {
        assert!(text.contains(setting), "{text}");
    }
    let impossible = EventFilter::all().kind(name("invoice")).aggregate(receipt("a"));
    let error = reader(connection, "totals").filter(impossible).build().unwrap_err();
    assert!(matches!(&error, ReaderError::Setting(text) if text.contains("filter")), "{error:?}");
}

#[tokio::test]
async fn a_user_without_rights_is_told_which_one_is_missing() {
    let all = r#""_INBOX.>", "$JS.API.STREAM.INFO.RECEIPTS_JOURNAL", "$JS.API.CONSUMER.INFO.RECEIPTS_JOURNAL.totals",
        "$JS.API.CONSUMER.CREATE.RECEIPTS_JOURNAL.totals.>""#;
    let next = r#""$JS.API.CONSUMER.MSG.NEXT.RECEIPTS_JOURNAL.totals""#;
    let users = format!(
        r#"authorization {{ users: [
            {{ user: all, password: p }},
            {{ user: looker, password: p, permissions: {{ publish: ["_INBOX.>"], subscribe: ["_INBOX.>"] }} }},
            {{ user: maker, password: p, permissions: {{ publish: [{all}], subscribe: ["_INBOX.>"] }} }},
            {{ user: taker, password: p, permissions: {{ publish: [{all}, {next}], subscribe: ["_INBOX.>"] }} }},
        ] }}"#
    );
    let server = TestServer::with(|server| server.config(&users)).await;
    let url = |user: &str| server.url().replace("nats://", &format!("nats://{user}:p@"));
    let all = async_nats::ConnectOptions::with_user_and_password("all".into(), "p".into());
    let journal = Journal::over(all.connect(server.url()).await.unwrap());
    journal.make().await;
    journal.append_rounds(&["a"], 1).await;
    for (user, missing) in [
        ("looker", "$JS.API.CONSUMER.INFO.RECEIPTS_JOURNAL.totals"),
        ("maker", "$JS.API.CONSUMER.MSG.NEXT.RECEIPTS_JOURNAL.totals"),
        ("taker", "$JS.ACK.RECEIPTS_JOURNAL.totals."),
    ] {
        let reader = reader(connect(&url(user)).await, "totals").build().unwrap();
        let ended = async { reader.run(Log::default().handler()).await?.ended().await };
        let error = tokio::time::timeout(LONG, ended).await.unwrap().unwrap_err();
        assert!(matches!(&error, ReaderError::Refused(text) if text.contains(missing)), "{user}: {error:?}");
    }
}
