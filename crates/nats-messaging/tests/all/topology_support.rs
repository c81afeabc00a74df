//! What the tests of topologies share: a server, a connection to it, and changes by hand.

use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_messaging::topology::{Action, Format, Plan, Topology, Variables};
use headwater_testkit::TestServer;
use serde_json::{Value, json};

pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) connection: Connection,
}

pub(crate) async fn world() -> World {
    // Streams may ask for room that the machine does not have: nothing fills them.
    let server = TestServer::with(|server| server.jetstream_config("max_file_store: 64GB")).await;
    let connection = connect(&server).await;
    World { server, connection }
}

pub(crate) async fn connect(server: &TestServer) -> Connection {
    Connection::connect(&NatsConfig::new(&server.url())).await.unwrap()
}

pub(crate) fn topology(text: &str) -> Topology {
    Topology::parse(text, "topology.toml", Format::Toml, &Variables::of::<String, String>([])).unwrap()
}

impl World {
    /// What somebody does by hand, with JetStream's own API.
    pub(crate) async fn ask(&self, subject: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.connection.client().request(format!("$JS.API.{subject}"), body.into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    #[track_caller]
    pub(crate) fn done(answer: Value) -> Value {
        assert!(answer.get("error").is_none(), "{answer}");
        answer
    }

    pub(crate) async fn stream(&self, name: &str) -> Value {
        Self::done(self.ask(&format!("STREAM.INFO.{name}"), Value::Null).await)
    }

    /// Changes a stream by hand.
    pub(crate) async fn edit(&self, name: &str, changes: Value) {
        let mut config = self.stream(name).await["config"].clone();
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Self::done(self.ask(&format!("STREAM.UPDATE.{name}"), config).await);
    }

    /// Changes a consumer by hand.
    pub(crate) async fn edit_consumer(&self, stream: &str, name: &str, changes: Value) {
        let info = Self::done(self.ask(&format!("CONSUMER.INFO.{stream}.{name}"), Value::Null).await);
        let mut config = info["config"].clone();
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let request = json!({ "stream_name": stream, "config": config, "action": "update" });
        Self::done(self.ask(&format!("CONSUMER.CREATE.{stream}.{name}"), request).await);
    }

    pub(crate) async fn create_stream(&self, config: Value) {
        let subject = format!("STREAM.CREATE.{}", config["name"].as_str().unwrap());
        Self::done(self.ask(&subject, config).await);
    }

    pub(crate) async fn create_consumer(&self, stream: &str, config: Value) {
        let name = config["durable_name"].as_str().unwrap();
        let subject = format!("CONSUMER.DURABLE.CREATE.{stream}.{name}");
        Self::done(self.ask(&subject, json!({ "stream_name": stream, "config": config })).await);
    }

    pub(crate) async fn publish(&self, subject: &str) {
        let answer = self.connection.client().request(subject.to_owned(), "a message".into()).await.unwrap();
        Self::done(serde_json::from_slice(&answer.payload).unwrap());
    }
}

/// A plan in lines: `update stream A: max_age "1h" -> "7d"`.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for change in &plan.changes {
        match change.action {
            Action::Update | Action::Replace => {
                let action = if change.action == Action::Update { "update" } else { "replace" };
                lines.extend(
                    change.differences.iter().map(|difference| format!("{action} {}: {difference}", change.target)),
                );
            }
            action => lines.push(format!("{} {}", action.sign(), change.target)),
        }
    }
    lines
}
