//! The configurations for one node.

use headwater_testkit::{NatsServer, TestServer};

use super::repository;
use super::run::{Variables, answer, call, serve, stop};

#[tokio::test]
async fn the_server_for_development_serves_whoever_comes_on_this_machine() {
    let server = TestServer::with(|server| server.config_file(repository("deploy/nats/development.conf"))).await;
    let variables = vec![("NATS_URL", server.url())];
    let (service, _) = serve(&["serve"], &variables).await;
    works(&variables).await;
    stop(service).await;
    let memory = jetstream(&server, "/varz", &["jetstream", "config", "max_memory"]).await;
    assert_eq!(memory, 256 << 20, "JetStream is limited");
}

#[tokio::test]
async fn the_durable_server_syncs_every_write_and_lets_in_whoever_has_the_password() {
    let server = TestServer::with(|server| {
        let server = server.config_file(repository("deploy/nats/durable.conf"));
        server.variable("NATS_USER", "receipts").variable("NATS_PASSWORD", "p4ssword")
    })
    .await;
    let stranger = vec![("NATS_URL", server.url())];
    let (succeeded, why) = call("get order-1 --timeout 1s", &stranger).await;
    assert!(!succeeded && why.contains("authorization"), "{why}");

    let mut variables = stranger;
    variables.extend([("NATS_USER", "receipts".to_owned()), ("NATS_PASSWORD", "p4ssword".to_owned())]);
    let (service, _) = serve(&["serve"], &variables).await;
    works(&variables).await;
    stop(service).await;
    let varz = server.monitor("/varz").await.unwrap();
    assert_eq!(varz["jetstream"]["config"]["sync_always"], true, "{:#}", varz["jetstream"]);
}

/// A command and what came of it, by a client that finds the service there.
async fn works(variables: &Variables) {
    answer("add-item order-1 --name Coffee --price 5.99", variables).await;
    let receipt = answer("get order-1", variables).await;
    assert_eq!(receipt["revision"], 1, "{receipt:#}");
}

async fn jetstream(server: &NatsServer, page: &str, path: &[&str]) -> u64 {
    let answer = server.monitor(page).await.unwrap();
    path.iter().fold(&answer, |value, member| &value[member]).as_u64().unwrap_or_else(|| panic!("{answer:#}"))
}
