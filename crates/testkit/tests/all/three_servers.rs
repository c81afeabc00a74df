//! A cluster: it agrees on a leader, survives the loss of a node, and takes the node back.

use std::time::Duration;

use async_nats::jetstream;
use headwater_testkit::{NatsCluster, wait_until};

#[tokio::test]
async fn a_cluster_survives_the_kill_of_its_leader_and_takes_it_back() {
    let cluster = NatsCluster::start().await.unwrap();
    let leader = cluster.wait_until_ready().await.unwrap();
    let survivor = cluster.node((leader + 1) % 3);
    let context = jetstream::new(async_nats::connect(survivor.url()).await.unwrap());
    let config = jetstream::stream::Config {
        name: "A".into(),
        subjects: vec!["a".into()],
        num_replicas: 3,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    store(&context, "before").await;

    let url = cluster.node(leader).url();
    cluster.node(leader).kill();
    let next = cluster.wait_until_ready().await.unwrap();
    assert_ne!(next, leader);
    store(&context, "without it").await;

    cluster.node(leader).restart().await.unwrap();
    cluster.wait_until_ready().await.unwrap();
    assert_eq!(cluster.node(leader).url(), url);
    let returned = jetstream::new(async_nats::connect(url).await.unwrap());
    wait_until(Duration::from_secs(20), "both messages", async || {
        let stream = returned.get_stream("A").await.ok()?;
        (stream.cached_info().state.messages == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nodes_take_the_options_given_for_each() {
    let cluster = NatsCluster::builder().each_node(|node| node.max_payload(2048)).start().await.unwrap();
    assert_eq!(cluster.urls().len(), 3);
    for (index, url) in cluster.urls().into_iter().enumerate() {
        let client = async_nats::connect(url).await.unwrap();
        assert_eq!(client.server_info().max_payload, 2048);
        assert_eq!(cluster.index_of(&client.server_info().server_name), Some(index));
    }
}

#[tokio::test]
async fn nodes_take_configurations_made_for_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["a", "b", "c"].map(|node| {
        let file = folder.path().join(node);
        let text = format!(
            "server_name: {node}, port: 4222, http_port: 8222, jetstream: {{ store_dir: $NATS_STORE_DIR }}, max_payload: 2048
             cluster {{ name: elsewhere, port: 6222, routes: [\"nats://a:6222\", \"nats://b:6222\", \"nats://c:6222\"] }}"
        );
        std::fs::write(&file, text).unwrap();
        file
    });
    let cluster = NatsCluster::builder().config_files(files).start().await.unwrap();
    assert_eq!(cluster.urls().len(), 3);
    let client = async_nats::connect(cluster.node(2).url()).await.unwrap();
    assert_eq!(client.server_info().max_payload, 2048);
    assert_eq!(cluster.node(2).monitor("/varz").await.unwrap()["cluster"]["name"], "elsewhere");
}

/// Between two leaders of the stream there is a time without one.
async fn store(context: &jetstream::Context, body: &'static str) {
    wait_until(Duration::from_secs(20), "a leader of the stream to store", async || {
        let publish = jetstream::message::PublishMessage::build().payload(body.into()).message_id(body);
        context.send_publish("a", publish).await.ok()?.await.ok()
    })
    .await;
}
