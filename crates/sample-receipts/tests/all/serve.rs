//! The service as a program: ready, asked, stopped.

use crate::support;

use headwater_testkit::{TestServer, wait_until};
use rustix::process::Signal;
use support::{Running, WITHIN, client, finish, program, run, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn it_says_when_and_how_it_takes_requests() {
    let server = TestServer::start().await;
    let line = ["serve", "--nats-url", &server.url(), "--instances", "3", "--queue-group", "tills"];
    let mut service = Running::start(&line);
    let expected = format!(
        "ready: receipts {}, 3 instances, queue group tills, store jetstream, {}",
        env!("CARGO_PKG_VERSION"),
        server.url()
    );
    assert_eq!(service.line().await, expected);
    let found = client(&server.url(), "discover --expect 3 --json").await.json();
    assert_eq!(found.as_array().map(Vec::len), Some(3), "{found}");
    assert_eq!(found[0]["endpoints"][0]["queue_group"], "tills");
}

#[tokio::test]
async fn both_signals_drain_it_and_it_ends_well() {
    let server = TestServer::start().await;
    for signal in [Signal::TERM, Signal::INT] {
        let service = serve(&server.url(), &["--instances", "2"]).await;
        client(&server.url(), "add-item order-1 --name Coffee --price 5.99").await.done();
        service.signal(signal);
        let (status, log) = service.end().await;
        assert_eq!(status, Some(0), "{log}");
        assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
        let gone = client(&server.url(), "get order-1 --timeout 1s").await.refused(1);
        assert!(gone.starts_with("failed: no-responders: "), "{gone}");
    }
}

#[tokio::test]
async fn no_accepted_command_is_lost_when_it_is_stopped() {
    let server = TestServer::start().await;
    let service = serve(&server.url(), &[]).await;
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let url = server.url();
            tokio::spawn(async move { client(&url, &format!("add-item order-{number} --name Tea --price 1")).await })
        })
        .collect();
    // The first answer shows that the calls are on their way.
    let mut ended = Vec::new();
    let mut calls = calls.into_iter();
    ended.push(calls.next().unwrap().await.unwrap());
    service.signal(Signal::TERM);
    let (status, log) = service.end().await;
    assert_eq!(status, Some(0), "{log}");
    for call in calls {
        ended.push(call.await.unwrap());
    }

    let again = serve(&server.url(), &[]).await;
    for (number, ended) in ended.iter().enumerate() {
        let stored = client(&server.url(), &format!("get order-{number}")).await.status == Some(0);
        // A call that came too late was refused; one that was answered is stored, and nothing else is.
        assert_eq!(ended.status == Some(0), stored, "order-{number}: {ended:?}");
    }
    again.signal(Signal::TERM);
    assert_eq!(again.end().await.0, Some(0));
}

#[tokio::test]
async fn the_journal_outlives_the_service_and_memory_does_not() {
    let server = TestServer::start().await;
    for (store, status) in [("memory", Some(1)), ("jetstream", Some(0))] {
        let first = serve(&server.url(), &["--store", store, "--instances", "2"]).await;
        // Whichever instance is asked, it knows what the other one stored.
        for quantity in 1..=6 {
            let call = format!("add-item order-{store} --name Tea --price 1 --quantity {quantity} --json");
            assert_eq!(client(&server.url(), &call).await.json()["revision"], quantity);
        }
        first.signal(Signal::TERM);
        assert_eq!(first.end().await.0, Some(0));
        let second = serve(&server.url(), &["--store", store]).await;
        assert_eq!(client(&server.url(), &format!("get order-{store}")).await.status, status, "{store}");
        second.signal(Signal::TERM);
        assert_eq!(second.end().await.0, Some(0));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let told = run(&["serve", "--nats-url", "nats://127.0.0.1:1"]).await.refused(1);
    assert!(told.contains("nats://127.0.0.1:1"), "{told}");
    assert!(told.contains("sample-receipts -- nats-server"), "{told}");
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_from_a_missing_server() {
    let server = TestServer::with(|server| server.user_and_password("till", "secret")).await;
    let told = run(&["serve", "--nats-url", &server.url()]).await.refused(1);
    assert!(told.to_lowercase().contains("auth"), "{told}");
    assert!(!told.contains("sample-receipts -- nats-server"), "{told}");
}

#[tokio::test]
async fn settings_come_from_a_file_and_a_bad_one_is_named() {
    let server = TestServer::with(|server| server.user_and_password("till", "secret")).await;
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good.toml"), folder.path().join("bad.toml"));
    let url = server.url();
    std::fs::write(&good, format!("[nats]\nservers = [\"{url}\"]\nuser = \"till\"\npassword = \"secret\"\n")).unwrap();
    std::fs::write(&bad, "[nats]\nservers = [\"nats://localhost:4222\"]\npasword = \"secret\"\n").unwrap();
    let mut service = Running::start(&["serve", "--config", good.to_str().unwrap()]);
    let ready = service.line().await;
    assert!(ready.ends_with(&url), "{ready}");
    service.signal(Signal::TERM);
    assert_eq!(service.end().await.0, Some(0));
    let told = run(&["serve", "--config", bad.to_str().unwrap()]).await.refused(1);
    assert!(told.contains("pasword") && !told.contains("secret"), "{told}");
}

/// The status of a page of the probes.
async fn probe(address: &str, page: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {page} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1).map(str::to_owned)
}

#[tokio::test]
async fn probes_are_answered_where_it_says_and_notice_that_the_journal_is_gone() {
    let server = TestServer::start().await;
    let mut service =
        Running::start(&["serve", "--nats-url", &server.url(), "--instances", "2", "--probes", "127.0.0.1:0"]);
    let ready = service.line().await;
    let addresses: Vec<_> = ready.split(", probes at http://").skip(1).collect();
    assert_eq!(addresses.len(), 2, "{ready}");
    let turned = async |status: &str| {
        for address in &addresses {
            wait_until(WITHIN, "readiness to turn", async || {
                probe(address, "/readyz").await.filter(|found| found == status)
            })
            .await;
        }
    };
    turned("200").await;
    let found = client(&server.url(), "discover --expect 2 --json").await.json();
    let features = found[0]["metadata"]["features"].as_str().unwrap_or_default();
    assert!(features.split(',').any(|feature| feature == "probes"), "{found}");
    server.kill();
    turned("503").await;
    assert_eq!(probe(addresses[0], "/livez").await.as_deref(), Some("200"));
    server.restart().await.unwrap();
    turned("200").await;
    client(&server.url(), "add-item order-1 --name Coffee --price 5.99").await.done();
    service.signal(Signal::TERM);
    assert_eq!(service.end().await.0, Some(0));
    assert_eq!(probe(addresses[0], "/livez").await, None, "the port is closed");
}

#[tokio::test]
async fn a_rate_limit_and_a_circuit_breaker_are_flags_and_seen_in_discovery() {
    let server = TestServer::start().await;
    let service = serve(&server.url(), &["--rate-limit", "1/1h+2", "--circuit-breaker"]).await;
    let found = client(&server.url(), "discover --expect 1 --json").await.json();
    let features = found[0]["metadata"]["features"].as_str().unwrap_or_default();
    for feature in ["rate-limit", "circuit-breaker"] {
        assert!(features.split(',').any(|found| found == feature), "{found}");
    }
    for _ in 0..2 {
        client(&server.url(), "add-item order-1 --name Tea --price 1").await.done();
    }
    let told = client(&server.url(), "add-item order-1 --name Tea --price 1").await.refused(1);
    assert!(told.contains("rate-limited"), "{told}");
    service.signal(Signal::TERM);
    assert_eq!(service.end().await.0, Some(0));

    let told = run(&["serve", "--nats-url", &server.url(), "--rate-limit", "0/s"]).await;
    assert_eq!(told.status, Some(1), "{told:?}");
    assert!(told.stderr.contains("rate_limit.service.rate `0`"), "{told:?}");
}

#[tokio::test]
async fn an_address_for_probes_that_is_taken_is_named() {
    let server = TestServer::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = run(&["serve", "--nats-url", &server.url(), "--probes", &address]).await;
    assert_eq!(told.status, Some(1), "{told:?}");
    assert!(told.stderr.contains(&address), "{told:?}");
}

#[tokio::test]
async fn without_jetstream_the_reason_is_told() {
    let server = TestServer::with(|server| server.jetstream(false)).await;
    let told = run(&["serve", "--nats-url", &server.url()]).await;
    assert_eq!(told.status, Some(1), "{told:?}");
    assert!(told.stderr.contains("JetStream"), "{told:?}");
}

#[tokio::test]
async fn a_bad_queue_group_is_named() {
    let server = TestServer::start().await;
    let ended = run(&["serve", "--nats-url", &server.url(), "--queue-group", "all of us"]).await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("queue_group `all of us`"), "{ended:?}");
}

/// For a clerk called mia, until the year 2100; signed with [`SECRET`].
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJtaWEiLCJyb2xlcyI6WyJjbGVyayJdLCJleHAiOjQxMDI0NDQ4MDB9.PkDOM1imUSIbkXhYUCS0o2vbyFQF4Zrb2k6jtAAabK4";
const SECRET: &str = "a secret for this test that opens nothing";

#[tokio::test]
async fn it_asks_who_calls_when_it_is_told_to() {
    let (server, folder) = (TestServer::start().await, tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let key = write("secret", SECRET);
    let rules = "[[auth.rules]]\ncommands = [\"receipt.add-item\"]\nqueries = [\"receipt.get\"]\nroles = [\"clerk\"]\n";
    let settings = format!(
        "[auth]\nroles = [\"clerk\"]\n[auth.jwt]\nkey = {{ file = \"{key}\", algorithm = \"HS256\" }}\n{rules}"
    );
    let (settings, token) = (write("auth.toml", &settings), write("token", TOKEN));
    let _service = serve(&server.url(), &["--auth", &settings]).await;

    let call = "add-item order-1 --name Coffee --price 5.99";
    let refused = client(&server.url(), call).await.refused(1);
    assert!(refused.starts_with("refused: unauthenticated: "), "{refused}");
    let refused = client(&server.url(), &format!("{call} --token rubbish")).await.refused(1);
    assert!(refused.starts_with("refused: unauthenticated: ") && !refused.contains("rubbish"), "{refused}");
    client(&server.url(), &format!("{call} --token-file {token}")).await.done();
    let refused = client(&server.url(), &format!("finalize order-1 --token {TOKEN}")).await.refused(1);
    assert!(refused.starts_with("refused: forbidden: "), "{refused}");
    let history = client(&server.url(), "get order-1 --json").await.refused(1);
    assert!(history.contains("unauthenticated"), "{history}");
}

/// The file that is shipped with the sample, with every feature on.
const EVERYTHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/receipts.toml");

#[tokio::test]
async fn it_runs_with_every_feature_from_one_file_and_variables_win() {
    let server = TestServer::start().await;
    let mut command = program(&["serve", "--nats-url", &server.url(), "--config", EVERYTHING]);
    command.env("RECEIPTS_JWT_SECRET", SECRET).env("OTEL_TRACES_SAMPLER", "always_off");
    // The token is for no audience, and exports would go nowhere.
    command.env("HEADWATER__AUTH__JWT__AUDIENCE", "[]").env("HEADWATER__SERVICE__QUEUE_GROUP", "tills");
    command.env("OTEL_SDK_DISABLED", "true");
    let mut service = Running::spawn(command);
    let ready = service.line().await;
    assert!(ready.contains("queue group tills") && ready.contains("probes at http://127.0.0.1:"), "{ready}");

    let call = "add-item order-1 --name Coffee --price 5.99";
    let refused = client(&server.url(), call).await.refused(1);
    assert!(refused.starts_with("refused: unauthenticated: "), "{refused}");
    client(&server.url(), &format!("{call} --token {TOKEN}")).await.done();
    let found = client(&server.url(), "discover --json").await.json();
    let features = found[0]["metadata"]["features"].as_str().unwrap_or_default();
    let features: Vec<_> = features.split(',').collect();
    for feature in
        ["limits", "queue-group", "snapshots", "probes", "auth", "rate-limit", "circuit-breaker", "telemetry"]
    {
        assert!(features.contains(&feature), "{feature} is not among {features:?}");
    }
    service.signal(Signal::TERM);
    assert_eq!(service.end().await.0, Some(0));
}

#[tokio::test]
async fn a_setting_that_is_wrong_is_named_with_its_file_or_variable() {
    let (server, folder) = (TestServer::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("wrong.toml").display().to_string();
    for (text, told) in [
        ("[rate_limits]\nservice = { rate = 1 }", "rate_limits"),
        ("[limits]\nin_flight = 'many'", "limits.in_flight"),
        ("[rate_limit.commands.\"receipt.void\"]\nburst = -1\nrate = 1", "rate_limit.commands"),
    ] {
        std::fs::write(&file, text).unwrap();
        let ended = run(&["serve", "--nats-url", &server.url(), "--config", &file]).await;
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(told), "{text}: {ended:?}");
    }
    let mut command = program(&["serve", "--nats-url", &server.url()]);
    command.env("HEADWATER__LIMITS__IN_FLIGHT", "many");
    let ended = finish(command).await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("HEADWATER__LIMITS__IN_FLIGHT"), "{ended:?}");
}

#[tokio::test]
async fn the_schema_of_the_configuration_describes_the_file_that_is_shipped() {
    let schema = run(&["config-schema"]).await.json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let shipped: toml::Table = toml::from_str(&std::fs::read_to_string(EVERYTHING).unwrap()).unwrap();
    let mut shipped = serde_json::to_value(shipped).unwrap();
    let errors: Vec<_> = validator.iter_errors(&shipped).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    shipped["rate_limits"] = serde_json::json!({});
    assert!(!validator.is_valid(&shipped));
}
