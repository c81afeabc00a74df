//! A service that cannot start says what is wrong, through the door users use: `sample-receipts serve` ends with exit
//! status 1 and names the cause on standard error.

use std::net::{Ipv4Addr, SocketAddr};

use headwater_testkit::TestServer;
use headwater_tests::{Program, Site};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sample-receipts-under-test");

/// What `serve` says on standard error when it cannot start.
async fn refusal(url: &str) -> String {
    let ended = Program::start(PROGRAM, ["serve", "--nats-url", url]).ended().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.errors);
    ended.errors
}

#[track_caller]
fn check(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[tokio::test]
async fn an_unreachable_server() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let text = refusal(&format!("nats://{gone}")).await;
    check(&text, &[&gone.to_string(), "sample-receipts -- nats-server"]);
}

#[tokio::test]
async fn a_server_that_is_too_old() {
    let old = server_of_version("2.10.0").await;
    let text = refusal(&format!("nats://{old}")).await;
    check(&text, &["2.10.0", "2.12.1"]);
}

/// Speaks as much NATS as a client needs to call itself connected.
async fn server_of_version(version: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let info = json!({
        "server_id": "OLD", "server_name": "old", "version": version, "proto": 1, "headers": true, "jetstream": true,
        "max_payload": 1_048_576, "host": "127.0.0.1", "port": address.port(),
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let info = info.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                write.write_all(format!("INFO {info}\r\n").as_bytes()).await?;
                let mut lines = BufReader::new(read).lines();
                while let Some(line) = lines.next_line().await? {
                    if line == "PING" {
                        write.write_all(b"PONG\r\n").await?;
                    }
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

#[tokio::test]
async fn a_server_without_jetstream() {
    let server = TestServer::with(|server| server.jetstream(false).name("plain-server")).await;
    let text = refusal(&server.url()).await;
    check(&text, &["JetStream", "plain-server", "-js"]);
}

#[tokio::test]
async fn an_account_without_jetstream() {
    let accounts = "accounts { A: { users: [{ user: a, password: a }] }, B: { jetstream: enabled, users: [{ user: b, password: b }] } }";
    let server = TestServer::with(|server| server.config(accounts)).await;
    let text = refusal(&format!("nats://a:a@{}", server.address())).await;
    check(&text, &["JetStream", "account"]);
}

#[tokio::test]
async fn wrong_credentials() {
    let server = TestServer::with(|server| server.user_and_password("alice", "right")).await;
    let address = server.address();
    for url in [format!("nats://alice:hunter2@{address}"), format!("nats://{address}")] {
        let text = refusal(&url).await.to_lowercase();
        check(&text, &["authoriz", &address.to_string()]);
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_stream_that_would_not_keep_the_journal_safe() {
    let site = Site::open().await;
    let streams = async_nats::jetstream::new(site.client().await);
    let config = async_nats::jetstream::stream::Config {
        name: "RECEIPTS_JOURNAL".to_owned(),
        subjects: vec!["receipts.journal.>".to_owned()],
        max_age: std::time::Duration::from_secs(3600),
        ..Default::default()
    };
    streams.create_stream(config).await.unwrap();
    let text = refusal(&site.url()).await;
    check(&text, &["RECEIPTS_JOURNAL", "max_age", "discard", "deny_delete", "deny_purge", "allow_atomic", "republish"]);
}

#[tokio::test]
async fn a_url_that_is_none() {
    let text = refusal("http://localhost:80").await;
    check(&text, &["nats.servers", "http://localhost:80"]);
}
