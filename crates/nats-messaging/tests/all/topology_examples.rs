//! The topologies that are shipped: applied to a real server, changed by hand, verified.

use std::path::Path;

use futures_util::TryStreamExt as _;
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_messaging::topology::{Action, AtStart, Leave, Topology, TopologyError, Variables};
use headwater_testkit::NatsCluster;
use serde_json::{Value, json};

use crate::topology_support::{lines, topology, world};

fn example(path: &str) -> Topology {
    example_with(path, &Variables::of::<String, String>([]))
}

fn example_with(path: &str, variables: &Variables) -> Topology {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path);
    Topology::load_with(path, variables).unwrap()
}

const DAY: u64 = 86_400_000_000_000;

#[tokio::test]
async fn the_payments_topology_is_applied_and_drift_is_shown_exactly() {
    let world = world().await;
    let payments = example("topologies/payments.toml");
    let done = payments.apply(&world.connection, Leave::none()).await.unwrap();
    assert_eq!(done.len(), 10);
    assert!(done.iter().all(|step| step.action == Action::Create));
    assert_eq!(payments.apply(&world.connection, Leave::none()).await.unwrap(), []);

    for (name, days) in [
        ("TRANSACTIONS", 7),
        ("COMPLIANCE", 30),
        ("SETTLEMENT", 90),
        ("CLEARING", 30),
        ("NOTIFICATIONS", 7),
        ("REPORTING", 90),
        ("RISK", 30),
        ("AUDIT", 180),
    ] {
        let config = world.stream(name).await["config"].clone();
        assert_eq!(config["max_age"], days * DAY, "{name}");
        assert_eq!(config["subjects"], json!([format!("events.{}.>", name.to_lowercase())]));
    }
    for (stream, name, wait) in
        [("NOTIFICATIONS", "notification-engine-consumer", 30), ("REPORTING", "reporting-engine-consumer", 300)]
    {
        let config = world.ask(&format!("CONSUMER.INFO.{stream}.{name}"), Value::Null).await["config"].clone();
        assert_eq!(config["max_deliver"], 3);
        assert_eq!(config["ack_wait"], wait * 1_000_000_000_u64);
        assert_eq!((config["durable_name"].as_str(), config.get("deliver_subject")), (Some(name), None));
    }

    world.edit("RISK", json!({ "max_age": DAY, "max_msgs": 5, "metadata": { "owner": "somebody" } })).await;
    world.edit_consumer("REPORTING", "reporting-engine-consumer", json!({ "max_deliver": 7 })).await;
    world.ask("STREAM.DELETE.CLEARING", Value::Null).await;
    world.create_consumer("AUDIT", json!({ "durable_name": "curious", "ack_policy": "explicit" })).await;
    world.create_stream(json!({ "name": "OTHER", "subjects": ["other"] })).await;
    let plan = payments.plan(&world.connection).await.unwrap();
    assert_eq!(
        lines(&plan),
        [
            "+ stream CLEARING",
            "update stream RISK: max_age: \"1d\" -> \"30d\"",
            "update stream RISK: max_messages: 5 -> (none)",
            "update stream RISK: metadata.owner: \"somebody\" -> (none)",
            "update consumer REPORTING / reporting-engine-consumer: max_deliver: 7 -> 3",
            "? stream OTHER",
            "? consumer AUDIT / curious",
        ]
    );
    let Err(TopologyError::Drift(drift)) = payments.at_start(AtStart::Verify, &world.connection).await else {
        panic!("it has drifted")
    };
    assert_eq!(lines(&drift), lines(&plan)[..5]);
    payments.at_start(AtStart::Off, &world.connection).await.unwrap();
    payments.at_start(AtStart::Ensure, &world.connection).await.unwrap();
    payments.at_start(AtStart::Verify, &world.connection).await.unwrap();
    let plan = payments.plan(&world.connection).await.unwrap();
    assert_eq!(lines(&plan), ["? stream OTHER", "? consumer AUDIT / curious"], "what is extra is still there");
    world.server.stop().await;
}

#[tokio::test]
async fn the_agents_topology_is_applied_and_drift_is_shown_exactly() {
    let world = world().await;
    let agents = example("agents/topology.toml");
    agents.apply(&world.connection, Leave::none()).await.unwrap();
    for (name, subjects, days, gibibytes) in [
        ("AGENT_EVENTS", json!(["agent.>", "workflow.>"]), 7, 1_u64),
        ("TASK_EVENTS", json!(["task.>"]), 30, 5),
        ("AUDIT_EVENTS", json!(["audit.>"]), 365, 10),
    ] {
        let config = world.stream(name).await["config"].clone();
        assert_eq!(
            (&config["subjects"], &config["max_age"], &config["max_bytes"]),
            (&subjects, &json!(days * DAY), &json!(gibibytes << 30)),
            "{name}"
        );
    }
    world.edit("AGENT_EVENTS", json!({ "subjects": ["agent.>"], "max_bytes": 1000 })).await;
    let Err(TopologyError::Drift(drift)) = agents.verify(&world.connection, Leave::none()).await else {
        panic!("it has drifted")
    };
    assert_eq!(
        lines(&drift),
        [
            "update stream AGENT_EVENTS: subjects: [\"agent.>\"] -> [\"agent.>\", \"workflow.>\"]",
            "update stream AGENT_EVENTS: max_bytes: \"1000B\" -> \"1GiB\"",
        ]
    );
    agents.apply(&world.connection, Leave::none()).await.unwrap();
    agents.verify(&world.connection, Leave::none().prune(true)).await.unwrap();
}

#[tokio::test]
async fn on_a_cluster_the_streams_have_the_replicas_that_the_environment_says() {
    let cluster = NatsCluster::start().await.unwrap();
    let connection = Connection::connect(&NatsConfig::new(&cluster.urls().join(","))).await.unwrap();
    // Without limits of size, for which the nodes of a test have no room.
    let text = example_with("agents/topology.toml", &Variables::of([("REPLICAS", "3")])).to_toml();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("max_bytes")).collect();
    let agents = topology(&lines.join("\n"));
    let mut done = Vec::new();
    agents.apply_and_tell(&connection, Leave::none(), &mut |step| done.push(step.clone())).await.unwrap();
    assert_eq!(done.len(), 3, "{done:?}");
    let mut streams = connection.jetstream().streams();
    while let Some(stream) = streams.try_next().await.unwrap() {
        assert_eq!(stream.config.num_replicas, 3, "{}", stream.config.name);
    }
    assert_eq!(agents.apply(&connection, Leave::none()).await.unwrap(), []);
}
