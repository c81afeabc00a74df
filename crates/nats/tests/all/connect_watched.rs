//! A connection that is looked after: what it tells when a server goes, comes back, hangs, or when the client dies.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::time::Duration;

use async_nats::RequestErrorKind;
use futures_util::StreamExt;
use headwater_nats::connect::{Connection, ConnectionStatus, Connections, HumanDuration, NatsConfig, WatchdogConfig};
use headwater_testkit::{FaultProxy, NatsCluster, RawClient, TestServer, header_block, wait_until};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(20);

async fn connect(url: &str) -> Connection {
    Connection::connect(&NatsConfig::new(url)).await.unwrap()
}

/// Settings under which a server that does not answer is noticed within half a second.
fn impatient(url: &str) -> NatsConfig {
    let watchdog = WatchdogConfig {
        interval: HumanDuration::from_millis(100),
        timeout: HumanDuration::from_millis(100),
        failures: 3,
    };
    NatsConfig { watchdog, connect_timeout: Some(HumanDuration::from_millis(500)), ..NatsConfig::new(url) }
}

/// Answers every request on `subject` with "pong" until the subscription ends.
async fn answer(connection: &Connection, subject: &'static str) -> tokio::task::JoinHandle<()> {
    let client = connection.client();
    let mut requests = client.subscribe(subject).await.unwrap();
    connection.flush(SOON).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                let _ = client.publish(reply, "pong".into()).await;
            }
        }
    })
}

async fn until(statuses: &mut watch::Receiver<ConnectionStatus>, name: &str) -> ConnectionStatus {
    let wanted = |status: &ConnectionStatus| serde_json::to_value(status).unwrap()["status"] == name;
    let status = timeout(LONG, statuses.wait_for(wanted)).await;
    status.unwrap_or_else(|_| panic!("never became {name}")).unwrap().clone()
}

async fn poison(server: &TestServer, subject: &str) {
    let mut raw = RawClient::connect(server.address()).await.unwrap();
    raw.hpub(subject, None, &header_block(b"Name: a\rb"), b"{}").await.unwrap();
    raw.ping().await.unwrap();
}

#[tokio::test]
async fn a_new_connection_says_whom_it_is_connected_to() {
    let server = TestServer::with(|builder| builder.name("n1")).await;
    let connection = connect(&server.url()).await;
    let status = connection.status();
    assert!(status.is_connected() && connection.healthy());
    assert_eq!(status.to_string(), format!("connected to n1, version {}", server.version()));
    let info = connection.require_version((2, 12, 1)).unwrap();
    assert_eq!((info.name.as_str(), info.jetstream, info.max_payload), ("n1", true, 1024 * 1024));
    assert_eq!((connection.generation(), connection.stats().rebuilds), (1, 0));
    assert!(connection.require_version((99, 0, 0)).unwrap_err().to_string().contains(&server.version().to_string()));
}

#[tokio::test]
async fn a_round_trip_reaches_the_server_and_needs_no_right_to_publish() {
    let server = TestServer::with(|builder| {
        builder.config(
            r#"authorization { users = [
                { user: mute, password: p, permissions: { publish: { deny: ">" }, subscribe: { deny: ">" } } }
            ] }"#,
        )
    })
    .await;
    let config = NatsConfig::new(&server.url()).user_and_password("mute", "p");
    let connection = Connection::connect(&config).await.unwrap();
    connection.round_trip().await.unwrap();
    connection.flush(SOON).await.expect("a refusal also tells that the server has come so far");
    wait_until(SOON, "a round trip of the watchdog", async || connection.stats().last_round_trip).await;
    assert!(connection.healthy());
}

#[tokio::test]
async fn a_restarted_server_is_seen_going_and_coming_back_and_subscriptions_go_on() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let responder = answer(&connection, "ping").await;
    let mut statuses = connection.statuses();

    server.kill();
    let gone = until(&mut statuses, "disconnected").await;
    assert!(matches!(gone, ConnectionStatus::Disconnected { .. }));
    assert!(!connection.healthy());
    // Once it has tried again, it knows more than that the connection was lost.
    let told = timeout(LONG, statuses.wait_for(|status| status.to_string().contains("refused"))).await.unwrap();
    assert!(told.unwrap().to_string().contains(&server.address().to_string()));
    server.restart().await.unwrap();
    until(&mut statuses, "connected").await;

    let other = connect(&server.url()).await;
    let reply = other.client().request("ping", "".into()).await.unwrap();
    assert_eq!(reply.payload, "pong");
    assert!(connection.healthy());
    let stats = connection.stats();
    assert_eq!((stats.generation, stats.disconnects, stats.reconnects, stats.rebuilds), (1, 1, 1, 0));
    assert!(!responder.is_finished());
}

/// A bare carriage return in a header value makes the client's connection task panic, while the client goes on
/// calling itself connected.
#[tokio::test]
async fn a_client_killed_by_a_poisonous_frame_is_replaced_at_once() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let mut generations = connection.generations();
    let old = connection.client();
    let responder = answer(&connection, "ping").await;
    let caller = connect(&server.url()).await;

    let start = Instant::now();
    poison(&server, "ping").await;
    timeout(SOON, generations.wait_for(|generation| *generation == 2)).await.unwrap().unwrap();
    let noticed = start.elapsed();
    assert_eq!(old.connection_state(), async_nats::connection::State::Connected, "the old client is none the wiser");
    responder.await.unwrap();

    let _responder = answer(&connection, "ping").await;
    let reply = caller.client().request("ping", "".into()).await.unwrap();
    assert_eq!(reply.payload, "pong");
    assert!(start.elapsed() < SOON, "noticed after {noticed:?}, back after {:?}", start.elapsed());
    assert!(connection.status().is_connected());
    assert_eq!(connection.stats().rebuilds, 1);
}

#[tokio::test]
async fn one_poisoned_connection_after_another_is_replaced() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let mut generations = connection.generations();
    for round in 2..=5 {
        let _responder = answer(&connection, "ping").await;
        poison(&server, "ping").await;
        let start = Instant::now();
        timeout(SOON, generations.wait_for(|generation| *generation == round)).await.unwrap().unwrap();
        assert!(start.elapsed() < SOON);
    }
    connection.round_trip().await.unwrap();
}

#[tokio::test]
async fn work_under_way_fails_when_the_client_dies() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let _silent = connection.client().subscribe("silent").await.unwrap();
    let client = connection.client();
    let guarded = connection.guard(client.request("silent", "".into()));
    let (outcome, ()) = tokio::join!(timeout(SOON, guarded), poison(&server, "silent"));
    // Either the guard or the dead client itself tells; what matters is that somebody does.
    match outcome.expect("the request hung") {
        Err(down) => assert!(down.to_string().starts_with("the connection to NATS is down"), "{down}"),
        Ok(answer) => assert_eq!(answer.expect_err("nobody answered it").kind(), RequestErrorKind::Other),
    }
}

#[tokio::test]
async fn work_under_way_fails_when_the_server_goes_and_new_work_is_not_begun() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let other = connect(&server.url()).await;
    let _silent = other.client().subscribe("silent").await.unwrap();
    other.round_trip().await.unwrap();
    let client = connection.client();
    let guarded = connection.guard(client.request("silent", "".into()));
    let killed = async {
        connection.round_trip().await.unwrap();
        server.kill();
    };
    let (outcome, ()) = tokio::join!(timeout(SOON, guarded), killed);
    outcome.expect("the request hung").expect_err("nobody answered it");

    let mut begun = false;
    connection.guard(async { begun = true }).await.expect_err("the server is gone");
    assert!(!begun);
    connection.ready(Duration::from_millis(50)).await.expect_err("the server is gone");
    let (ready, restarted) = tokio::join!(connection.ready(LONG), server.restart());
    restarted.unwrap();
    ready.unwrap().flush().await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed_by_the_watchdog() {
    let server = TestServer::start().await;
    let connection = Connection::connect(&impatient(&server.url())).await.unwrap();
    let _responder = answer(&connection, "ping").await;
    let mut statuses = connection.statuses();
    server.pause().unwrap();
    let start = Instant::now();
    let down = until(&mut statuses, "disconnected").await;
    assert!(down.to_string().contains("did not answer"), "{down}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(!connection.healthy());
    assert!(connection.stats().watchdog_failures >= 3);

    server.resume().unwrap();
    until(&mut statuses, "connected").await;
    let other = connect(&server.url()).await;
    assert_eq!(other.client().request("ping", "".into()).await.unwrap().payload, "pong");
    assert_eq!(connection.generation(), 1, "the client connected again by itself and kept its subscription");
}

/// A network that swallows everything and closes nothing.
#[tokio::test]
async fn a_network_that_went_silent_is_noticed_and_another_way_is_taken() {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let both = format!("{},{}", proxy.url(), server.url());
    // Which of the two is tried first is left to chance, so look for a connection through the proxy.
    let connection = loop {
        let connection = Connection::connect(&impatient(&both)).await.unwrap();
        if proxy.connections().await > 0 {
            break connection;
        }
    };
    let mut statuses = connection.statuses();
    proxy.freeze();
    until(&mut statuses, "disconnected").await;
    until(&mut statuses, "connected").await;
    connection.round_trip().await.unwrap();
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_comes_back() {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let connection = connect(&proxy.url()).await;
    let mut statuses = connection.statuses();
    proxy.cut().await;
    until(&mut statuses, "disconnected").await;
    until(&mut statuses, "connected").await;
    assert_eq!(connection.stats().generation, 1);
}

#[tokio::test]
async fn a_report_of_a_dead_client_is_looked_into_and_a_false_one_does_no_harm() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    connection.report_dead(connection.generation());
    connection.report_dead(99);
    connection.round_trip().await.unwrap();
    assert_eq!(connection.generation(), 1);
    assert!(connection.healthy());
}

#[tokio::test]
async fn draining_delivers_what_was_published_and_closes() {
    let server = TestServer::start().await;
    let other = connect(&server.url()).await;
    let mut received = other.client().subscribe("news").await.unwrap();
    other.round_trip().await.unwrap();

    let connection = connect(&server.url()).await;
    let client = connection.client();
    for number in 0..1_000 {
        client.publish("news", format!("{number}").into()).await.unwrap();
    }
    let mut statuses = connection.statuses();
    connection.drain(SOON).await.unwrap();
    until(&mut statuses, "closed").await;
    for number in 0..1_000 {
        let message = timeout(SOON, received.next()).await.unwrap().unwrap();
        assert_eq!(message.payload, format!("{number}"));
    }
    assert!(client.publish("news", "late".into()).await.is_err());
    connection.guard(async {}).await.expect_err("it is closed");
    connection.close().await; // a second time does no harm
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_is_gone() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let mut statuses = connection.statuses();
    let client = connection.client();
    server.kill();
    until(&mut statuses, "disconnected").await;
    timeout(SOON, connection.close()).await.unwrap();
    // Left to itself, the client would try to connect again for ever, also when nobody holds it any more.
    wait_until(LONG, "the end of the client", async || {
        let flushed = timeout(Duration::from_millis(20), client.flush()).await;
        matches!(flushed, Ok(Err(_))).then_some(())
    })
    .await;
    connection.drain(SOON).await.expect_err("nothing can be confirmed");
    assert_eq!(connection.status(), ConnectionStatus::Closed);
}

#[tokio::test]
async fn a_connection_is_made_in_the_background_when_asked_to() {
    let server = TestServer::start().await;
    server.stop().await;
    let config = NatsConfig::new(&server.url()).retry_on_initial_connect();
    let connection = Connection::connect(&config).await.unwrap();
    let mut statuses = connection.statuses();
    assert!(matches!(connection.status(), ConnectionStatus::Connecting { .. }));
    assert!(!connection.healthy() && connection.server_info().is_none());
    connection.guard(async {}).await.expect_err("not connected yet");
    server.restart().await.unwrap();
    until(&mut statuses, "connected").await;
    assert!(connection.healthy());
}

#[tokio::test]
async fn a_client_that_was_handed_in_is_watched_and_its_death_is_final() {
    let server = TestServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let connection = Connection::from_client(client.clone());
    let mut statuses = connection.statuses();
    connection.round_trip().await.unwrap();
    assert!(connection.healthy());

    server.kill();
    until(&mut statuses, "disconnected").await;
    server.restart().await.unwrap();
    until(&mut statuses, "connected").await;

    let _subscription = client.subscribe("ping").await.unwrap();
    connection.round_trip().await.unwrap();
    poison(&server, "ping").await;
    let lost = until(&mut statuses, "lost").await;
    assert!(lost.is_final() && lost.to_string().contains("handed in"), "{lost}");
    assert!(!connection.healthy());
    let down = connection.ready(LONG).await.expect_err("it never comes back");
    assert!(down.to_string().contains("lost"), "{down}");
    connection.close().await;
}

/// The break is over before anybody looks at the client, and still its requests would hang.
#[tokio::test]
async fn a_short_break_of_a_handed_in_client_fails_the_work_under_way() {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let client = async_nats::connect(proxy.url()).await.unwrap();
    let connection = Connection::from_client(client.clone());
    let other = connect(&server.url()).await;
    let _silent = other.client().subscribe("silent").await.unwrap();
    other.flush(SOON).await.unwrap();
    let guarded = connection.guard(client.request("silent", "".into()));
    let cut = async {
        connection.flush(SOON).await.unwrap();
        proxy.cut().await;
    };
    let (outcome, ()) = tokio::join!(timeout(SOON, guarded), cut);
    outcome.expect("the request hung").expect_err("nobody answered it");
    connection.ready(SOON).await.unwrap();
}

#[tokio::test]
async fn permission_violations_and_slow_consumers_are_told_of_and_counted() {
    let server = TestServer::with(|builder| {
        builder.config(
            r#"authorization { users = [ { user: ann, password: p, permissions: { publish: { deny: "secret.>" } } } ] }"#,
        )
    })
    .await;
    let config =
        NatsConfig { subscription_capacity: Some(4), ..NatsConfig::new(&server.url()).user_and_password("ann", "p") };
    let connection = Connection::connect(&config).await.unwrap();
    let mut violations = connection.permission_violations();
    let client = connection.client();
    client.publish("secret.plan", "".into()).await.unwrap();
    let violation = timeout(SOON, violations.recv()).await.unwrap().unwrap();
    assert_eq!((violation.subject.as_str(), violation.subscription), ("secret.plan", false));

    let request = connection.guard_to("secret.plan", client.request("secret.plan", "".into()));
    let interrupted = timeout(SOON, request).await.expect("the request hung").expect_err("it is not permitted");
    assert_eq!(interrupted.to_string(), "the NATS server does not permit publishing to secret.plan");

    let _unread = client.subscribe("flood").await.unwrap();
    for _ in 0..10 {
        client.publish("flood", "".into()).await.unwrap();
    }
    wait_until(SOON, "dropped messages", async || (connection.stats().slow_consumers == 6).then_some(())).await;
    assert_eq!(connection.stats().permission_violations, 2);
    assert!(connection.healthy());
}

#[tokio::test]
async fn nothing_goes_on_when_the_last_handle_is_gone() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    drop(connection.clone());
    connection.round_trip().await.unwrap();
    drop(connection);
    wait_until(SOON, "the server to be left alone", async || {
        let connections = server.monitor("/connz").await.ok()?;
        (connections["num_connections"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_was_never_named_takes_over_when_the_named_one_goes() {
    let cluster = NatsCluster::start().await.unwrap();
    let named = cluster.node(0);
    let config = NatsConfig::new(&format!("{},nats://127.0.0.1:1", named.url()));
    let connection = Connection::connect(&config).await.unwrap();
    let mut statuses = connection.statuses();
    let _responder = answer(&connection, "ping").await;
    named.kill();
    until(&mut statuses, "disconnected").await;
    until(&mut statuses, "connected").await;
    assert_ne!(connection.server_info().unwrap().name, named.name());
    let other = connect(&cluster.node(1).url()).await;
    wait_until(LONG, "an answer through the cluster", async || other.client().request("ping", "".into()).await.ok())
        .await;
}

#[tokio::test]
async fn one_connection_can_play_both_parts() {
    let server = TestServer::start().await;
    let connections = Connections::shared(&connect(&server.url()).await);
    assert!(connections.callers.is_same(&connections.jetstream));
    connections.drain(SOON).await.unwrap();
}

#[tokio::test]
async fn callers_and_jetstream_have_a_connection_each_and_one_survives_the_other() {
    let server = TestServer::start().await;
    let connections = Connections::connect(&NatsConfig::new(&server.url()).name("receipts")).await.unwrap();
    let listed = server.monitor("/connz").await.unwrap();
    let mut names: Vec<&str> =
        listed["connections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["receipts callers", "receipts jetstream"]);
    assert_eq!(connections.jetstream.name(), "receipts jetstream");

    let _requests = connections.callers.client().subscribe("ping").await.unwrap();
    connections.callers.round_trip().await.unwrap();
    let mut generations = connections.callers.generations();
    poison(&server, "ping").await;
    timeout(SOON, generations.wait_for(|generation| *generation == 2)).await.unwrap().unwrap();
    assert_eq!(connections.jetstream.generation(), 1);
    connections.jetstream.jetstream().query_account().await.unwrap();
    assert!(connections.healthy());
    connections.drain(SOON).await.unwrap();
}
