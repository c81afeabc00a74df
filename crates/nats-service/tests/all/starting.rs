//! Starting, and staying there when the connection does not.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::time::Duration;

use headwater_core::store::MemoryStore;
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_service::{Limits, Service, StartError, Stopped};
use headwater_testkit::{Direction, FaultProxy, TestServer, wait_until};
use serde_json::json;
use support::{Caller, World, connection, plain, tallies, tally};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_problem_of_a_description_is_listed_with_its_setting_and_value() {
    let server = TestServer::start().await;
    let limits = Limits::default()
        .in_flight(0)
        .max_reply(10)
        .default_deadline(Duration::from_secs(5))
        .longest_deadline(Duration::from_secs(1));
    let broken = Service::builder("My Service", "1.2")
        .aggregate_type(plain())
        .aggregate_type(plain())
        .aggregate_type(tally())
        .queue_group("a.*")
        .metadata("contract", "mine")
        .metadata("_nats.ver", "1")
        .description("x".repeat(2000))
        .limits(limits);
    let error = broken.start(connection(&server).await).await.unwrap_err();
    let found: Vec<_> = error.problems().iter().map(|problem| problem.setting.as_str()).collect();
    for setting in [
        "name",
        "version",
        "description",
        "metadata",
        "queue_group",
        "limits.in_flight",
        "limits.max_reply",
        "limits.default_deadline",
        "store",
    ] {
        assert!(found.contains(&setting), "{setting} in {found:?}");
    }
    let text = error.to_string();
    for part in ["My Service", "`1.2`", "`a.*`", "`contract`", "`_nats.ver`", "store"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!error.is_retryable());

    let twice =
        Service::builder("s", "1.0.0").aggregate_type(plain()).aggregate_type(plain()).store(MemoryStore::new());
    let error = twice.start(connection(&server).await).await.unwrap_err();
    assert!(error.to_string().contains("`plain` is there twice"), "{error}");
    let none = Service::builder("s", "1.0.0").store(MemoryStore::new());
    let error = none.start(connection(&server).await).await.unwrap_err();
    assert!(error.to_string().contains("no aggregate types"), "{error}");
}

#[tokio::test]
async fn a_user_who_may_not_listen_for_requests_is_told_so() {
    let permissions = r#"
        authorization { users = [
            { user: "svc", password: "secret", permissions: { subscribe: ["_INBOX.>", "tallies.query.>", "$SRV.>"] } }
        ] }
    "#;
    let server = TestServer::with(|server| server.config(permissions)).await;
    let mut config = NatsConfig::new(server.url().as_str());
    config.user = Some("svc".into());
    config.password = Some("secret".to_owned().into());
    let connection = Connection::connect(&config).await.unwrap();
    let error = tallies(&MemoryStore::new()).start(connection).await.unwrap_err();
    let StartError::Forbidden { subject } = &error else { panic!("{error:?}") };
    assert_eq!(subject, "tallies.command.>");
}

#[tokio::test]
async fn a_connection_that_is_down_is_an_error_that_may_pass() {
    let server = TestServer::start().await;
    let connection = connection(&server).await;
    server.stop().await;
    let mut statuses = connection.statuses();
    statuses.wait_for(|status| !status.is_connected()).await.unwrap();
    let error = tallies(&MemoryStore::new()).start(connection).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

/// Whatever the server said used to pass for its answer, a message that was under way included: the service called itself
/// started, and its first caller found nobody there.
#[tokio::test]
async fn requests_are_taken_when_start_returns_also_where_the_server_has_other_things_to_say() {
    let server = TestServer::start().await;
    let (caller, proxy) = (Caller::connect(&server).await, FaultProxy::start(server.address()).await.unwrap());
    let connection = Connection::connect(&NatsConfig::new(&proxy.url())).await.unwrap();
    let _noise = connection.client().subscribe("noise").await.unwrap();
    connection.flush(SOON).await.unwrap();
    let client = caller.client.clone();
    let noise = tokio::spawn(async move {
        while client.publish("noise", "x".into()).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    proxy.delay(Direction::ToServer, Duration::from_millis(200));
    let _service = tallies(&MemoryStore::new()).start(connection).await.unwrap();
    noise.abort();
    caller.get("a").await.failure(404, "not-found");
}

#[tokio::test]
async fn requests_are_served_again_after_the_server_was_restarted() {
    let world = World::start().await;
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
    for revision in 2..4 {
        world.server.restart().await.expect("the server comes back");
        served_again(&world.caller, revision).await;
    }
    assert!(world.service.stats().connection.reconnects >= 2);
}

/// The readers of the subscriptions that were given up for the new ones used to be taken for subscriptions that had ended, so
/// the instance subscribed anew again and again.
#[tokio::test]
async fn after_a_restart_of_the_server_the_instance_subscribes_once() {
    let world = World::start().await;
    world.server.restart().await.expect("the server comes back");
    served_again(&world.caller, 1).await;
    let settled = async || {
        let own: Vec<_> = subscriptions(&world.server, "tallies.").await;
        (own.len() == 6).then_some(own)
    };
    let before = wait_until(SOON, "the old subscriptions to be gone", settled).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(subscriptions(&world.server, "tallies.").await, before);
}

/// Subject and number of each subscription under `prefix` that the server knows.
async fn subscriptions(server: &TestServer, prefix: &str) -> Vec<(String, String)> {
    let page = server.monitor("/connz?subs=detail").await.unwrap();
    let all = page["connections"].as_array().into_iter().flatten();
    let all = all.flat_map(|connection| connection["subscriptions_list_detail"].as_array().into_iter().flatten());
    let named = all.map(|one| (one["subject"].as_str().unwrap().to_owned(), one["sid"].as_str().unwrap().to_owned()));
    let mut own: Vec<_> = named.filter(|(subject, _)| subject.starts_with(prefix)).collect();
    own.sort();
    own
}

/// Repeats one command under one id until it is answered.
async fn served_again(caller: &Caller, revision: u64) {
    let request = json!({
        "aggregateId": "a", "command": { "amount": 1 }, "metadata": { "commandId": format!("c-{revision}") },
    });
    wait_until(SOON, "the service to answer again", async || {
        let asking = caller.try_ask("tallies.command.tally.add", support::headers([]), request.to_string());
        let reply = timeout(Duration::from_millis(500), asking).await.ok()?.ok()?;
        assert_eq!(reply.result()["revision"], revision);
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_ends_is_replaced_and_requests_are_served_again() {
    let server = TestServer::start().await;
    let connection = connection(&server).await;
    let _service = tallies(&MemoryStore::new()).start(connection.clone()).await.unwrap();
    let caller = Caller::connect(&server).await;
    caller.command("a", "add", json!({ "amount": 1 })).await.result();
    for revision in 2..5 {
        connection.client().drain().await.unwrap();
        served_again(&caller, revision).await;
    }
    assert_eq!(connection.generation(), 4);
    assert_eq!(caller.ask("$SRV.PING.tallies", "").await.body["name"], "tallies");
}

#[tokio::test]
async fn an_answer_that_was_waited_for_while_the_client_died_goes_out_through_the_next() {
    let server = TestServer::start().await;
    let connection = connection(&server).await;
    let gate = support::gate();
    let service = Service::builder("tallies", "1.2.3").store(MemoryStore::new());
    let service = service.aggregate_with::<support::Tally>(std::sync::Arc::clone(&gate));
    let service = service.start(connection.clone()).await.unwrap();
    let caller = Caller::connect(&server).await;
    let waiting = tokio::spawn(async move { caller.command("a", "add-later", json!({})).await });
    wait_until(SOON, "it under way", async || (service.stats().in_flight == 1).then_some(())).await;
    connection.client().drain().await.unwrap();
    gate.0.add_permits(1);
    assert_eq!(waiting.await.unwrap().result()["revision"], 1);
}

#[tokio::test]
async fn a_service_whose_connection_was_closed_says_so() {
    let server = TestServer::start().await;
    let connection = connection(&server).await;
    let service = tallies(&MemoryStore::new()).start(connection.clone()).await.unwrap();
    connection.close().await;
    let stopped = timeout(SOON, service.stopped()).await.expect("it stops");
    assert_eq!(stopped, Stopped::ConnectionLost);
    let health = service.health().await;
    assert!(!health.checks["nats"].ok);
}
