//! `headwater backup` and `headwater restore`: what was stored comes back, and a file that is not whole is found out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt as _;
use headwater_testkit::{NatsCluster, TestServer, known_to_server, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::running::Running;
use crate::support::{Ended, program_at, run, run_at};

/// A server, and a folder for backups.
struct World {
    server: TestServer,
    client: Client,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::on(TestServer::start().await).await
    }

    async fn on(server: TestServer) -> Self {
        let client = async_nats::connect(server.url()).await.unwrap();
        Self { server, client, folder: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, line: &str) -> Ended {
        run_at(&self.server.url(), line).await
    }

    async fn api(&self, verb: &str, body: Value) -> Value {
        let answer = self.client.request(format!("$JS.API.{verb}"), body.to_string().into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    async fn create(&self, name: &str, more: Value) {
        let mut config = json!({ "name": name, "subjects": [format!("{}.>", name.to_lowercase())] });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let created = self.api(&format!("STREAM.CREATE.{name}"), config).await;
        assert!(created["error"].is_null(), "{created}");
    }

    /// So many messages of this size that no compression makes smaller.
    async fn fill(&self, name: &str, messages: u64, size: usize) {
        let subject = |number| format!("{}.{}", name.to_lowercase(), number % 7);
        let before = self.state(name).await["messages"].as_u64().unwrap();
        for number in 1..messages {
            self.client.publish(subject(number), noise(number, size).into()).await.unwrap();
        }
        self.client.request(subject(messages), noise(messages, size).into()).await.unwrap();
        let state = self.state(name).await;
        assert_eq!(state["messages"], before + messages, "{state}");
    }

    async fn state(&self, name: &str) -> Value {
        self.api(&format!("STREAM.INFO.{name}"), json!({})).await["state"].clone()
    }

    /// A durable that was delivered ten messages and has acknowledged the first four.
    async fn durable(&self, stream: &str, name: &str) {
        let config =
            json!({ "name": name, "durable_name": name, "ack_policy": "explicit", "ack_wait": 60_000_000_000_u64 });
        let request = json!({ "stream_name": stream, "config": config });
        self.api(&format!("CONSUMER.CREATE.{stream}.{name}"), request).await;
        for message in self.pull(stream, name, 10).await.iter().take(4) {
            let confirmed = self.client.request(message.clone(), "+ACK".into());
            confirmed.await.unwrap();
        }
    }

    /// Asks for messages, and tells where each is to be acknowledged.
    async fn pull(&self, stream: &str, name: &str, batch: usize) -> Vec<String> {
        let inbox = self.client.new_inbox();
        let mut messages = self.client.subscribe(inbox.clone()).await.unwrap();
        known_to_server(&self.client).await;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}");
        self.client.publish_with_reply(next, inbox, json!({ "batch": batch }).to_string().into()).await.unwrap();
        let mut replies = Vec::new();
        while replies.len() < batch {
            let message = tokio::time::timeout(Duration::from_secs(10), messages.next()).await.unwrap().unwrap();
            replies.push(message.reply.unwrap().to_string());
        }
        replies
    }

    async fn consumer(&self, stream: &str, name: &str) -> Value {
        self.api(&format!("CONSUMER.INFO.{stream}.{name}"), json!({})).await
    }

    async fn delete(&self, name: &str) {
        let deleted = self.api(&format!("STREAM.DELETE.{name}"), json!({})).await;
        assert_eq!(deleted["success"], true, "{deleted}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of all files in the folder.
    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn noise(mut seed: u64, size: usize) -> Vec<u8> {
    let mut noise = Vec::with_capacity(size);
    while noise.len() < size {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.push((seed >> 40) as u8);
    }
    noise
}

fn code(told: &str) -> String {
    let told: Value = serde_json::from_str(told).unwrap_or_else(|_| panic!("no JSON: {told}"));
    told["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn streams_and_consumers_come_back_as_they_were() {
    let world = World::new().await;
    world.create("ORDERS", json!({ "deny_delete": true, "discard": "new", "metadata": { "owner": "till" } })).await;
    world.fill("ORDERS", 3000, 400).await;
    world.durable("ORDERS", "mailer").await;
    let storage = if world.server.is_older_than((2, 15, 0)) { "file" } else { "memory" };
    world.create("HELD", json!({ "storage": storage })).await;
    world.fill("HELD", 5, 10).await;
    world.create("EMPTY", json!({})).await;
    let file = world.file("all.backup");
    let shown = file.display();

    let made = world.run(&format!("backup --all --to {shown} --json")).await.json();
    let names: Vec<_> = made["streams"].as_array().unwrap().iter().map(|stream| stream["stream"].clone()).collect();
    assert_eq!(names, ["EMPTY", "HELD", "ORDERS"]);
    let orders = &made["streams"][2];
    assert_eq!(
        (&orders["messages"], &orders["last_seq"], &orders["consumers"]),
        (&3000.into(), &3000.into(), &1.into())
    );
    assert!(orders["chunks"].as_u64().unwrap() > 5, "several chunks, each acknowledged: {orders}");
    assert_eq!(made["bytes"], std::fs::metadata(&file).unwrap().len());
    assert_eq!(world.files(), ["all.backup"]);

    let verified = run(&["backup", "--verify", file.to_str().unwrap(), "--json"]).await.json();
    assert_eq!(verified["streams"], made["streams"]);

    let before = world.state("ORDERS").await;
    for name in ["ORDERS", "HELD", "EMPTY"] {
        world.delete(name).await;
    }
    let restored = world.run(&format!("restore {shown}")).await.done();
    assert!(restored.contains("3 streams restored, and nothing is missing"), "{restored}");
    let after = world.state("ORDERS").await;
    for field in ["messages", "bytes", "first_seq", "first_ts", "last_seq", "last_ts", "consumer_count"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let config = world.api("STREAM.INFO.ORDERS", json!({})).await["config"].clone();
    assert_eq!((&config["deny_delete"], &config["metadata"]["owner"]), (&true.into(), &"till".into()));
    let consumer = world.consumer("ORDERS", "mailer").await;
    assert_eq!((&consumer["ack_floor"]["stream_seq"], &consumer["delivered"]["stream_seq"]), (&4.into(), &10.into()));
    assert_eq!(consumer["num_pending"], 2990);
    let message = world.api("STREAM.MSG.GET.ORDERS", json!({ "seq": 2999 })).await;
    let expected = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, noise(2999, 400));
    assert_eq!(message["message"]["data"], expected);
    assert_eq!(world.state("HELD").await["messages"], 5);
}

#[tokio::test]
async fn what_exists_is_left_alone_unless_it_is_to_be_replaced() {
    let world = World::new().await;
    for name in ["A", "B"] {
        world.create(name, json!({})).await;
        world.fill(name, 10, 20).await;
    }
    let file = world.file("two.backup");
    let shown = file.display();
    let told = world.run(&format!("backup A B NONE --to {shown}")).await.refused(1);
    assert!(told.starts_with("refused: stream-not-found: ") && told.contains("NONE"), "{told}");
    assert!(world.files().is_empty());
    let made = world.run(&format!("backup A B A --to {shown}")).await.done();
    assert!(made.contains("2 streams"), "{made}");
    let told = world.run(&format!("backup A --to {shown}")).await.refused(1);
    assert!(told.contains("--force"), "{told}");

    world.delete("A").await;
    world.fill("B", 11, 20).await;
    let told = world.run(&format!("--json restore {shown}")).await.refused(1);
    assert_eq!(code(&told), "exists");
    assert_eq!(world.state("A").await, Value::Null, "nothing was begun");
    world.run(&format!("restore {shown} --replace")).await.refused(2);
    let plan = world.run(&format!("restore {shown} --replace --dry-run --json")).await.json();
    assert_eq!(plan["streams"][1], json!({ "stream": "B", "action": "replace", "messages": 10 }));
    assert_eq!(world.state("B").await["messages"], 21);

    let told = world.run(&format!("restore {shown} --stream A --json")).await.json();
    assert_eq!(told["streams"][0]["replaced"], false);
    let told = world.run(&format!("restore {shown} --replace --yes --json")).await.json();
    assert_eq!((&told["streams"][0]["replaced"], &told["streams"][1]["messages"]), (&true.into(), &10.into()));
    assert_eq!(world.state("B").await["messages"], 10);
    let told = world.run(&format!("restore {shown} --stream C")).await.refused(1);
    assert!(told.contains("It holds: A, B"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_found_out_before_anything_is_restored() {
    let world = World::new().await;
    world.create("A", json!({})).await;
    world.fill("A", 500, 1000).await;
    let file = world.file("a.backup");
    world.run(&format!("backup A --to {}", file.display())).await.done();
    world.delete("A").await;
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    let cases: [(&str, &[u8], &str); 4] = [
        ("cut.backup", &whole[..whole.len() - 1], "truncated"),
        ("half.backup", &whole[..whole.len() / 2], "truncated"),
        ("damaged.backup", &damaged, "damaged"),
        ("other.backup", b"something else altogether", "not-a-backup"),
    ];
    for (name, bytes, expected) in cases {
        std::fs::write(world.file(name), bytes).unwrap();
        let path = world.file(name).display().to_string();
        for line in [format!("--json restore {path}"), format!("--json backup --verify {path}")] {
            assert_eq!(code(&world.run(&line).await.refused(1)), expected, "{line}");
        }
        assert_eq!(world.api("STREAM.NAMES", json!({})).await["total"], 0, "{name}");
    }
    let told = world.run("restore /nonexistent/a.backup").await.refused(1);
    assert!(told.starts_with("failed: unreadable: /nonexistent/a.backup"), "{told}");
}

#[tokio::test]
async fn a_server_without_room_refuses_and_says_so() {
    let world = World::new().await;
    world.create("A", json!({})).await;
    world.fill("A", 200, 10_000).await;
    let file = world.file("a.backup");
    world.run(&format!("backup A --to {}", file.display())).await.done();
    let small = World::on(TestServer::with(|server| server.jetstream_config("max_file_store: 1MB")).await).await;
    let told = small.run(&format!("--json restore {}", file.display())).await.refused(1);
    assert_eq!(code(&told), "jetstream", "{told}");
    assert_eq!(small.api("STREAM.NAMES", json!({})).await["total"], 0);
}

/// Stands in for JetStream on a server that has none, and sends parts with these numbers and then nothing more.
async fn imposter(client: &Client, parts: Vec<u64>) {
    let mut asked = client.subscribe("$JS.API.STREAM.SNAPSHOT.A").await.unwrap();
    for (subject, answer) in [
        ("$JS.API.STREAM.NAMES", json!({ "total": 1, "streams": ["A"] })),
        ("$JS.API.CONSUMER.LIST.A", json!({ "total": 0, "consumers": [] })),
    ] {
        let (client, mut asked) = (client.clone(), client.subscribe(subject).await.unwrap());
        tokio::spawn(async move {
            while let Some(request) = asked.next().await {
                client.publish(request.reply.unwrap(), answer.to_string().into()).await.unwrap();
            }
        });
    }
    known_to_server(client).await;
    let client = client.clone();
    tokio::spawn(async move {
        let request = asked.next().await.unwrap();
        let asked: Value = serde_json::from_slice(&request.payload).unwrap();
        let to = asked["deliver_subject"].as_str().unwrap().to_owned();
        let answer = json!({ "config": { "name": "A" }, "state": { "messages": 1 } });
        client.publish(request.reply.unwrap(), answer.to_string().into()).await.unwrap();
        for number in parts {
            let acknowledge = format!("$JS.SNAPSHOT.ACK.A.id.4.{number}");
            client.publish_with_reply(to.clone(), acknowledge, "part".into()).await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_server_that_falls_silent_or_skips_a_part_leaves_no_file_behind() {
    for (parts, idle, expected) in [
        (vec![1], "300ms", "no further part came within 300ms"),
        (vec![1, 3], "10s", "number 2 was to come, and 3 came"),
    ] {
        let world = World::on(TestServer::with(|server| server.jetstream(false)).await).await;
        imposter(&world.client, parts).await;
        let file = world.file("a.backup");
        std::fs::write(&file, "an older one").unwrap();
        let line = format!("backup A --to {} --force --idle-timeout {idle}", file.display());
        let told = world.run(&line).await.refused(1);
        assert!(told.contains(expected), "{told}");
        assert_eq!(world.files(), ["a.backup"]);
        assert_eq!(std::fs::read(Path::new(&file)).unwrap(), b"an older one");
    }
}

#[tokio::test]
async fn a_backup_that_is_interrupted_leaves_nothing_behind() {
    let world = World::on(TestServer::with(|server| server.jetstream(false)).await).await;
    imposter(&world.client, vec![1]).await;
    let file = world.file("a.backup");
    let running = Running::start(program_at(&world.server.url(), &format!("backup A --to {}", file.display())));
    let begun = async || (world.files() == ["a.backup.partial"]).then_some(());
    wait_until(Duration::from_secs(20), "the backup has begun", begun).await;
    running.interrupt();
    let (status, stdout, stderr) = running.end().await;
    assert_eq!((status, stdout.as_str(), stderr.as_str()), (Some(130), "", "stopped half-way\n"));
    assert!(world.files().is_empty());
}

#[tokio::test]
async fn a_stream_of_one_server_comes_back_on_three_and_on_one_of_three() {
    let alone = World::new().await;
    alone.create("ORDERS", json!({})).await;
    alone.fill("ORDERS", 300, 400).await;
    alone.durable("ORDERS", "mailer").await;
    let file = alone.file("orders.backup").display().to_string();
    alone.run(&format!("backup ORDERS --to {file}")).await.done();

    let cluster = NatsCluster::start().await.unwrap();
    let url = cluster.urls().join(",");
    for (flags, replicas, found) in [("--replicas 3", 3, false), ("--replicas 1 --replace --yes", 1, true)] {
        let restored = run_at(&url, &format!("--json restore {file} {flags}")).await.json();
        assert_eq!(
            (&restored["streams"][0]["messages"], &restored["streams"][0]["consumers"]),
            (&300.into(), &1.into())
        );
        let client = async_nats::connect(cluster.urls()).await.unwrap();
        let info = client.request("$JS.API.STREAM.INFO.ORDERS", "".into()).await.unwrap();
        let info: Value = serde_json::from_slice(&info.payload).unwrap();
        assert_eq!(info["config"]["num_replicas"], replicas, "{info}");
        let told = run_at(&url, "--json doctor --stream ORDERS").await.json();
        assert_eq!(told["findings"].to_string().contains("\"replicas\""), found, "{told}");
    }
}
