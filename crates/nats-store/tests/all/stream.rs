//! The journal's stream: made as the protocol says, and refused when it would not keep the guarantees.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;

use std::time::{Duration, Instant};

use common::{config, connect, receipt, store, store_at, story};
use headwater_core::store::{EventStore, Head};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_store::{JetStreamStore, Manage, OpenErrorKind, StoreConfig};
use headwater_testkit::{TestServer, wait_until};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const STREAM: &str = "RECEIPTS_JOURNAL";

/// What the protocol says the stream is, written out once more.
fn protocol() -> Value {
    json!({
        "name": STREAM,
        "subjects": ["receipts.journal.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": 0,
        "max_msgs_per_subject": -1,
        "num_replicas": 1,
        "allow_direct": true,
        "allow_atomic": true,
        "deny_delete": true,
        "deny_purge": true,
        "republish": {
            "src": "receipts.journal.*.*.*",
            "dest": "receipts.events.{{wildcard(1)}}.{{wildcard(3)}}",
        },
    })
}

async fn ask(server: &TestServer, verb: &str, body: &Value) -> Value {
    let client = async_nats::connect(server.url()).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = client.request(format!("$JS.API.STREAM.{verb}.{STREAM}"), body.into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

async fn make(server: &TestServer, stream: &Value) {
    let answer = ask(server, "CREATE", stream).await;
    assert!(answer.get("error").is_none(), "{answer}\n{stream}");
}

/// Another stream, for tests that delete theirs: the server removes the folder of all streams with the last of them,
/// and may do so right after it made it for the next one.
async fn keep_the_folder(server: &TestServer) {
    let client = async_nats::connect(server.url()).await.unwrap();
    let other = json!({ "name": "KEEPER", "subjects": ["keeper"], "storage": "file" });
    client.request("$JS.API.STREAM.CREATE.KEEPER", other.to_string().into()).await.unwrap();
}

async fn open(server: &TestServer, config: StoreConfig) -> Result<JetStreamStore, headwater_nats_store::OpenError> {
    JetStreamStore::open(connect(&server.url()).await, config).await
}

#[tokio::test]
async fn the_stream_is_created_as_the_protocol_says() {
    let server = TestServer::start().await;
    let config = config().max_bytes(1 << 20).max_msgs(1000).duplicate_window(Duration::from_secs(90));
    open(&server, config).await.unwrap();
    let found = &ask(&server, "INFO", &Value::Null).await["config"];
    for (field, wanted) in protocol().as_object().unwrap() {
        assert_eq!(found[field], *wanted, "{field}");
    }
    assert_eq!(found["max_bytes"], json!(1 << 20));
    assert_eq!(found["max_msgs"], json!(1000));
    assert_eq!(found["duplicate_window"], json!(90_000_000_000_u64));
    // And a second look has nothing to complain about.
    open(&server, common::config().manage(Manage::Verify)).await.unwrap();
}

#[tokio::test]
async fn instances_that_start_at_once_share_one_stream() {
    let server = TestServer::start().await;
    let opened = futures_util::future::join_all((0..8).map(|_| open(&server, config()))).await;
    for store in opened {
        store.unwrap().check().await.unwrap();
    }
    // Also when they do not agree on what is harmless.
    let other = TestServer::start().await;
    let opened =
        futures_util::future::join_all((1..8).map(|count| open(&other, config().max_msgs(count * 1000)))).await;
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
}

#[tokio::test]
async fn a_stream_that_breaks_a_guarantee_is_refused_by_the_name_of_the_field() {
    let server = TestServer::start().await;
    keep_the_folder(&server).await;
    for (field, value) in [
        ("subjects", json!(["receipts.journal.>", "something.else"])),
        ("retention", json!("interest")),
        ("retention", json!("workqueue")),
        ("storage", json!("memory")),
        ("discard", json!("old")),
        ("max_age", json!(3_600_000_000_000_u64)),
        ("max_msgs_per_subject", json!(100)),
        ("allow_direct", json!(false)),
        ("allow_atomic", json!(false)),
        ("deny_delete", json!(false)),
        ("deny_purge", json!(false)),
        ("no_ack", json!(true)),
        ("allow_msg_ttl", json!(true)),
        ("allow_msg_schedules", json!(true)),
        ("sources", json!([{ "name": "ELSEWHERE" }])),
        ("subject_transform", json!({ "src": "receipts.journal.>", "dest": "receipts.journal.>" })),
        ("republish", json!({ "src": "receipts.journal.>", "dest": "live.>" })),
        (
            "republish",
            json!({
                "src": "receipts.journal.*.*.*",
                "dest": "receipts.events.{{wildcard(1)}}.{{wildcard(3)}}",
                "headers_only": true,
            }),
        ),
        ("republish", Value::Null),
    ] {
        let mut stream = protocol();
        stream[field] = value.clone();
        // The server allows some only together with others, which are refused as well.
        if field.starts_with("allow_msg_") {
            stream["deny_purge"] = json!(false);
        }
        match field {
            "allow_msg_schedules" => stream["discard"] = json!("old"),
            "no_ack" => stream["allow_atomic"] = json!(false),
            _ => {}
        }
        make(&server, &stream).await;
        for manage in [Manage::Create, Manage::Verify, Manage::Update] {
            let refused = open(&server, config().manage(manage)).await.expect_err(field);
            assert_eq!(refused.kind(), OpenErrorKind::Unsafe, "{refused}");
            let text = refused.to_string();
            assert!(text.contains(STREAM) && text.contains(&format!("`{field}` is ")), "{field} = {value}: {text}");
        }
        assert_eq!(ask(&server, "DELETE", &Value::Null).await["success"], true);
    }
}

#[tokio::test]
async fn a_sealed_stream_and_a_mirror_are_refused() {
    let server = TestServer::start().await;
    keep_the_folder(&server).await;
    make(&server, &protocol()).await;
    let mut sealed = protocol();
    sealed["sealed"] = json!(true);
    let answer = ask(&server, "UPDATE", &sealed).await;
    assert!(answer.get("error").is_none(), "{answer}");
    let text = open(&server, config()).await.unwrap_err().to_string();
    assert!(text.contains("`sealed` is true"), "{text}");
    ask(&server, "DELETE", &Value::Null).await;
    make(&server, &json!({ "name": STREAM, "storage": "file", "mirror": { "name": "ELSEWHERE" } })).await;
    let text = open(&server, config()).await.unwrap_err().to_string();
    assert!(text.contains("`mirror` is {\"name\":\"ELSEWHERE\"}"), "{text}");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_stream_is_said_at_once() {
    let server = TestServer::start().await;
    make(&server, &json!({ "name": STREAM, "subjects": ["other.>"], "storage": "memory", "max_age": 1_000_000_000 }))
        .await;
    let text = open(&server, config()).await.unwrap_err().to_string();
    for problem in [
        "`subjects` is [\"other.>\"] and must be [\"receipts.journal.>\"]",
        "`storage` is \"memory\" and must be \"file\"",
        "`max_age` is 1000000000 and must be 0",
        "`discard` is \"old\" and must be \"new\"",
        "`deny_purge` is false and must be true",
        "`allow_atomic` is false and must be true",
        "`republish` is absent",
    ] {
        assert!(text.contains(problem), "{problem} is not in {text}");
    }
}

#[tokio::test]
async fn a_missing_stream_is_refused_when_it_must_only_be_verified() {
    let server = TestServer::start().await;
    let refused = open(&server, config().manage(Manage::Verify)).await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Missing);
    assert!(refused.to_string().contains(STREAM));
    assert_eq!(ask(&server, "INFO", &Value::Null).await["error"]["err_code"], 10059);
}

#[tokio::test]
async fn limits_are_changed_only_when_the_settings_say_so() {
    let server = TestServer::start().await;
    open(&server, config()).await.unwrap();
    let wanted = config().max_msgs(5000).duplicate_window(Duration::from_secs(60));
    open(&server, wanted.clone()).await.unwrap();
    let before = ask(&server, "INFO", &Value::Null).await["config"].clone();
    assert_eq!((&before["max_msgs"], &before["duplicate_window"]), (&json!(-1), &json!(120_000_000_000_u64)));
    open(&server, wanted.manage(Manage::Update)).await.unwrap();
    let mut after = ask(&server, "INFO", &Value::Null).await["config"].clone();
    assert_eq!((&after["max_msgs"], &after["duplicate_window"]), (&json!(5000), &json!(60_000_000_000_u64)));
    // Nothing else was touched.
    after["max_msgs"] = before["max_msgs"].clone();
    after["duplicate_window"] = before["duplicate_window"].clone();
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_the_server_cannot_give_is_refused_in_its_words() {
    let server = TestServer::start().await;
    let refused = open(&server, config().replicas(3)).await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Refused, "{refused}");
    assert!(refused.to_string().contains("could not be created: "), "{refused}");
}

#[tokio::test]
async fn a_subject_that_another_stream_has_is_refused() {
    let server = TestServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let other = json!({ "name": "OTHER", "subjects": ["receipts.>"], "storage": "memory" });
    client.request("$JS.API.STREAM.CREATE.OTHER", other.to_string().into()).await.unwrap();
    let refused = open(&server, config()).await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Refused);
    assert!(refused.to_string().contains("overlap"), "{refused}");
}

#[tokio::test]
async fn without_jetstream_the_message_says_so() {
    let server = TestServer::with(|server| server.jetstream(false)).await;
    let start = Instant::now();
    let refused = open(&server, config()).await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::JetStreamDisabled);
    let text = refused.to_string();
    assert!(text.contains("JetStream is switched off") && text.contains(server.name()), "{text}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_account_without_jetstream_is_told_apart() {
    let accounts = r#"
        accounts {
          WITH { jetstream: enabled, users: [{ user: with, password: w }] }
          WITHOUT { users: [{ user: without, password: w }] }
        }"#;
    let server = TestServer::with(|server| server.config(accounts)).await;
    let signed_in = |user: &str| NatsConfig::new(&server.url()).user_and_password(user, "w");
    let without = Connection::connect(&signed_in("without")).await.unwrap();
    let refused = JetStreamStore::open(without, config()).await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::JetStreamDisabled, "{refused}");
    assert!(refused.to_string().contains("account"), "{refused}");
    let with = Connection::connect(&signed_in("with")).await.unwrap();
    JetStreamStore::open(with, config()).await.unwrap();
}

#[tokio::test]
async fn a_user_without_the_right_is_told_which_one() {
    let users = r#"
        authorization { users: [{ user: u, password: w, permissions: { publish: ["receipts.journal.>"] } }] }"#;
    let server = TestServer::with(|server| server.config(users).jetstream(true)).await;
    let signed_in = NatsConfig::new(&server.url()).user_and_password("u", "w");
    let start = Instant::now();
    let refused = JetStreamStore::open(Connection::connect(&signed_in).await.unwrap(), config()).await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Refused, "{refused}");
    assert!(refused.to_string().contains("$JS.API.STREAM.INFO.RECEIPTS_JOURNAL"), "{refused}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_with_its_version() {
    // Nothing but a greeting and answers to PING: all that is needed to look like a server.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let info = r#"{"server_id":"old","server_name":"old-one","version":"2.11.10","proto":1,"go":"go1",
                "host":"127.0.0.1","port":4222,"headers":true,"max_payload":1048576,"jetstream":true,"client_id":1}"#;
            let info = format!("INFO {}\r\n", info.replace(['\n', ' '], ""));
            stream.write_all(info.as_bytes()).await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("PING") {
                    write.write_all(b"PONG\r\n").await.unwrap();
                }
            }
        }
    });
    let refused = JetStreamStore::open(connect(&format!("nats://{address}")).await, config()).await.unwrap_err();
    server.abort();
    assert_eq!(refused.kind(), OpenErrorKind::UnsupportedServer);
    let text = refused.to_string();
    assert!(text.contains("2.11.10") && text.contains("2.12.1 or newer") && text.contains("old-one"), "{text}");
}

#[tokio::test]
async fn the_check_notices_a_changed_a_full_and_an_absent_journal() {
    let server = TestServer::start().await;
    let store = store_at(&server.url(), common::hasty().max_msgs(2)).await;
    store.check().await.unwrap();
    common::append(&store, &receipt("one"), &Head::EMPTY, 2).await;
    assert!(story(&store.check().await.unwrap_err()).contains("full"));

    let mut changed = ask(&server, "INFO", &Value::Null).await["config"].clone();
    changed["max_msgs"] = json!(-1);
    changed["max_age"] = json!(3_600_000_000_000_u64);
    assert!(ask(&server, "UPDATE", &changed).await.get("error").is_none());
    let text = story(&store.check().await.unwrap_err());
    assert!(text.contains("`max_age`"), "{text}");

    server.stop().await;
    let start = Instant::now();
    assert!(store.check().await.is_err());
    assert!(start.elapsed() < Duration::from_secs(5));
    server.restart().await.unwrap();
    changed["max_age"] = json!(0);
    assert!(ask(&server, "UPDATE", &changed).await.get("error").is_none());
    wait_until(Duration::from_secs(10), "the check to pass again", async || store.check().await.ok()).await;
}

#[tokio::test]
async fn several_services_keep_their_journals_apart() {
    let server = TestServer::start().await;
    let receipts = store(&server).await;
    let other = StoreConfig::new(headwater_core::Name::new("receipts-eu").unwrap());
    let other = store_at(&server.url(), other).await;
    let one = receipt("one");
    common::append(&receipts, &one, &Head::EMPTY, 1).await;
    common::append(&other, &one, &Head::EMPTY, 3).await;
    assert_eq!(common::history(&receipts, &one).await.events.len(), 1);
    assert_eq!(common::history(&other, &one).await.events.len(), 3);
}
