//! One server: it starts ready, keeps its address and store, says why it failed, and is never left behind.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::jetstream;
use headwater_testkit::{NatsServer, StartError, TestServer};
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn a_started_server_answers_at_once_with_jetstream() {
    let server = TestServer::start().await;
    assert!(server.version().major >= 2);
    let client = async_nats::connect(server.url()).await.unwrap();
    assert_eq!(client.server_info().server_name, server.name());
    assert_eq!(client.server_info().port, server.port());
    let context = jetstream::new(client);
    context.create_stream(stream("A")).await.unwrap();
    assert!(server.store_dir().join("jetstream").is_dir());
}

#[tokio::test]
async fn a_server_without_jetstream_says_so() {
    let server = TestServer::with(|server| server.jetstream(false)).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    assert!(!client.server_info().jetstream);
}

#[tokio::test]
async fn a_configuration_made_for_elsewhere_runs_at_our_ports_and_in_our_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("elsewhere.conf");
    let text = r#"
        server_name: elsewhere, listen: "0.0.0.0:4222", http_port: 8222, max_payload: 2048
        jetstream: { store_dir: $NATS_STORE_DIR }
        authorization: { user: app, password: $APP_PASSWORD }
    "#;
    std::fs::write(&file, text).unwrap();
    let server = TestServer::with(|server| server.config_file(&file).variable("APP_PASSWORD", "secret")).await;
    assert!(async_nats::connect(server.url()).await.is_err(), "nobody is let in without a password");
    let options = async_nats::ConnectOptions::with_user_and_password("app".into(), "secret".into());
    let client = options.connect(server.url()).await.unwrap();
    assert_eq!(client.server_info().server_name, server.name());
    assert_eq!(client.server_info().max_payload, 2048);
    jetstream::new(client).create_stream(stream("A")).await.unwrap();
    assert!(server.store_dir().join("jetstream").is_dir());
    let listening = server.monitor("/varz").await.unwrap();
    assert_eq!((&listening["host"], &listening["http_host"]), (&"127.0.0.1".into(), &"127.0.0.1".into()));
}

#[tokio::test]
async fn two_configurations_for_one_server_are_refused() {
    let error = NatsServer::builder().config_file("some.conf").max_payload(1).start().await.unwrap_err();
    assert!(matches!(error, StartError::TwoConfigurations { option: "max_payload" }), "{error}");
}

#[tokio::test]
async fn two_servers_side_by_side_share_nothing() {
    let (one, two) = tokio::join!(TestServer::start(), TestServer::start());
    assert_ne!(one.port(), two.port());
    let first = jetstream::new(async_nats::connect(one.url()).await.unwrap());
    let second = jetstream::new(async_nats::connect(two.url()).await.unwrap());
    first.create_stream(stream("A")).await.unwrap();
    assert!(second.get_stream("A").await.is_err());
}

#[tokio::test]
async fn a_restart_keeps_the_port_and_what_was_stored() {
    let server = TestServer::start().await;
    let (url, pid) = (server.url(), server.pid());
    store_one_message(&server).await;

    server.restart().await.unwrap();

    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), pid);
    assert_eq!(messages_stored(&server).await, 1);
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_store() {
    let server = TestServer::start().await;
    store_one_message(&server).await;

    server.kill();
    assert_eq!(server.pid(), None);
    assert!(tokio::net::TcpStream::connect(server.address()).await.is_err());

    server.restart().await.unwrap();
    assert_eq!(messages_stored(&server).await, 1);
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let server = TestServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    client.flush().await.unwrap();

    server.pause().unwrap();
    let page = server.monitor("/varz");
    assert!(timeout(Duration::from_millis(300), page).await.is_err(), "a paused server answered");
    assert!(server.is_running());

    server.resume().unwrap();
    assert_eq!(server.monitor("/varz").await.unwrap()["port"], server.port());
}

#[tokio::test]
async fn a_paused_server_can_be_stopped() {
    let server = TestServer::start().await;
    server.pause().unwrap();
    timeout(Duration::from_secs(9), server.stop()).await.expect("the signal to end was not seen");
    assert!(!server.is_running());
    assert!(server.pause().is_err());
}

#[tokio::test]
async fn the_end_of_the_process_is_noticed() {
    let server = TestServer::start().await;
    assert!(timeout(Duration::from_millis(50), server.until_ended()).await.is_err());
    let (status, ()) = tokio::join!(
        tokio::process::Command::new("sh").args(["-c", "kill $0", &server.pid().unwrap().to_string()]).status(),
        server.until_ended()
    );
    assert!(status.unwrap().success());
    assert!(server.log_tail(5).contains("Server Exiting"), "{}", server.log_tail(5));
}

#[tokio::test]
async fn dropping_the_server_leaves_no_process_and_no_folder() {
    let server = TestServer::start().await;
    let (pid, store) = (server.pid().unwrap(), server.store_dir().to_path_buf());
    assert!(process_exists(pid));
    drop(server);
    assert!(!process_exists(pid));
    assert!(!store.parent().unwrap().exists());
}

#[tokio::test]
async fn a_given_store_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(|server| server.store_dir(folder.path())).await;
    store_one_message(&server).await;
    server.stop().await;
    drop(server);

    let server = TestServer::with(|server| server.store_dir(folder.path())).await;
    assert_eq!(messages_stored(&server).await, 1);
}

#[tokio::test]
async fn a_panicking_owner_leaves_no_process() {
    let owner = tokio::spawn(async {
        let server = TestServer::start().await;
        std::panic::panic_any(server.pid().unwrap());
    });
    let pid = *owner.await.unwrap_err().into_panic().downcast::<u32>().unwrap();
    assert!(!process_exists(pid));
}

/// Not a test of its own: the process that [`a_killed_owner_leaves_no_process`] kills.
#[tokio::test]
#[ignore = "run by another test as a process of its own"]
async fn owner_to_be_killed() {
    let server = TestServer::start().await;
    println!("\nowned {} {}", server.pid().unwrap(), server.store_dir().display());
    sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process() {
    let mut owner = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["one_server::owner_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (pid, store) = read_owned(owner.stdout.take().unwrap()).await;
    assert!(process_exists(pid));

    owner.kill().await.unwrap();

    let deadline = Instant::now() + Duration::from_secs(10);
    while process_exists(pid) || store.parent().unwrap().exists() {
        assert!(Instant::now() < deadline, "the server or its folder was left behind");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_failing_configuration_shows_the_servers_log() {
    let error = NatsServer::builder().config("no_such_setting: 1").start().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StartError::Ended { .. }), "{text}");
    assert!(text.contains("no_such_setting"), "{text}");
}

#[tokio::test]
async fn a_given_port_that_is_taken_is_an_error_with_the_servers_words() {
    let server = TestServer::start().await;
    let error =
        NatsServer::builder().port(server.port()).monitor_port(server.monitor_port()).start().await.unwrap_err();
    assert!(error.is_port_taken(), "{error}");
}

#[tokio::test]
async fn a_server_that_never_gets_ready_is_given_up_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("never-ready");
    write_script(&script, "echo \"nats-server: v2.99.0\"; [ \"$1\" = --version ] || exec sleep 60");
    let error =
        NatsServer::builder().binary(&script).ready_within(Duration::from_millis(300)).start().await.unwrap_err();
    assert!(matches!(error, StartError::NotReady { .. }), "{error}");
    assert!(error.to_string().contains("does not listen yet"), "{error}");
}

#[tokio::test]
async fn only_the_given_user_is_let_in() {
    let server = TestServer::with(|server| server.user_and_password("alice", "s\"ecret\\")).await;
    assert!(async_nats::connect(server.url()).await.is_err());
    let options = async_nats::ConnectOptions::with_user_and_password("alice".into(), "s\"ecret\\".into());
    options.connect(server.url()).await.unwrap();
}

#[tokio::test]
async fn only_the_given_token_is_let_in() {
    let server = TestServer::with(|server| server.token("open sesame")).await;
    assert!(async_nats::connect(server.url()).await.is_err());
    let options = async_nats::ConnectOptions::with_token("open sesame".into());
    options.connect(server.url()).await.unwrap();
}

#[tokio::test]
async fn a_full_store_refuses_what_does_not_fit() {
    let server = TestServer::with(|server| server.jetstream_config("max_file_store: 1KB")).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    context.create_stream(stream("A")).await.unwrap();
    // The server notices that it is full after the message that filled it.
    let publish = || async { context.publish("a.1", vec![0; 4096].into()).await.unwrap().await };
    publish().await.unwrap();
    let error = publish().await.unwrap_err();
    assert!(error.to_string().contains("resources"), "{error}");
}

fn stream(name: &str) -> jetstream::stream::Config {
    jetstream::stream::Config { name: name.into(), subjects: vec!["a.>".into()], ..Default::default() }
}

async fn store_one_message(server: &NatsServer) {
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    context.create_stream(stream("A")).await.unwrap();
    context.publish("a.1", "hello".into()).await.unwrap().await.unwrap();
}

async fn messages_stored(server: &NatsServer) -> u64 {
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    context.get_stream("A").await.unwrap().info().await.unwrap().state.messages
}

/// Whether the process exists; one that has ended and is not reaped yet does not count.
fn process_exists(pid: u32) -> bool {
    let state = if Path::new("/proc/self/stat").exists() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    } else {
        let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    !state.is_empty() && !state.starts_with('Z')
}

async fn read_owned(stdout: tokio::process::ChildStdout) -> (u32, PathBuf) {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut lines = BufReader::new(stdout).lines();
    let search = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((pid, store)) = line.strip_prefix("owned ").and_then(|rest| rest.split_once(' ')) {
                return (pid.parse().unwrap(), PathBuf::from(store));
            }
        }
        panic!("the owner ended before its server was ready");
    };
    timeout(Duration::from_secs(60), search).await.expect("the owner's server was not ready in time")
}

/// Written by another process: a file that this one holds open for writing while some thread forks cannot be run.
fn write_script(path: &Path, body: &str) {
    let status = Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod +x \"$1\"", "sh"])
        .arg(path)
        .arg(body)
        .status()
        .unwrap();
    assert!(status.success());
}
