//! Snapshots in a key-value bucket: found with one request, never in the way, and never believed against the journal.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;
use crate::counter::{Count, Counter};

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{config, connect, receipt, store, story};
use headwater_core::client::AggregateClient;
use headwater_core::dispatch::{DispatchStats, Dispatcher};
use headwater_core::store::SnapshotStore;
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_store::{
    JetStreamSnapshots, JetStreamStore, Manage, OpenError, OpenErrorKind, SnapshotConfig, StoreStats,
};
use headwater_testkit::{NatsServer, TestServer, wait_until};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(20);
const STREAM: &str = "KV_RECEIPTS_SNAPSHOTS";

fn settings() -> SnapshotConfig {
    SnapshotConfig::beside(&config())
}

async fn open(server: &NatsServer, config: SnapshotConfig) -> Result<JetStreamSnapshots, OpenError> {
    JetStreamSnapshots::open(connect(&server.url()).await, config).await
}

async fn snapshots(server: &NatsServer) -> JetStreamSnapshots {
    open(server, settings()).await.unwrap()
}

async fn bucket(server: &NatsServer) -> async_nats::jetstream::kv::Store {
    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).get_key_value("RECEIPTS_SNAPSHOTS").await.unwrap()
}

async fn ask(server: &NatsServer, verb: &str, body: &Value) -> Value {
    let client = async_nats::connect(server.url()).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = client.request(format!("$JS.API.STREAM.{verb}.{STREAM}"), body.into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// One instance of a service, with nothing in memory.
struct Instance {
    dispatcher: Dispatcher,
    store: JetStreamStore,
    counters: AggregateClient<Counter>,
}

impl Instance {
    async fn start(server: &NatsServer) -> Self {
        Self::with(server, snapshots(server).await).await
    }

    async fn with(server: &NatsServer, snapshots: JetStreamSnapshots) -> Self {
        let store = store(server).await;
        let builder = Dispatcher::builder(store.clone()).snapshots(snapshots).aggregate::<Counter>();
        let dispatcher = builder.build().unwrap();
        Self { counters: AggregateClient::new(dispatcher.clone()), dispatcher, store }
    }

    async fn count(&self, times: usize) {
        self.counters.command("one", &Count { times }).await.unwrap();
    }

    async fn counted(&self) -> u64 {
        self.counters.get("one").await.unwrap().state.counted
    }

    fn stats(&self) -> (DispatchStats, StoreStats) {
        (self.dispatcher.stats(), self.store.stats())
    }
}

#[tokio::test]
async fn a_snapshot_comes_back_as_it_was_saved_whatever_the_id() {
    let server = TestServer::start().await;
    let snapshots = snapshots(&server).await;
    let ids = ["order-1", "a.b", "*", ">", "two words", "é", "🧾", "%2F", "/2F", "~", "..", "=", &"ÿ".repeat(64)];
    let mut aggregates: Vec<_> = ids.iter().map(|id| receipt(id)).collect();
    aggregates.push(receipt("order-1").in_tenant("acme").unwrap());
    for (number, aggregate) in aggregates.iter().enumerate() {
        assert_eq!(snapshots.load(aggregate).await.unwrap(), None);
        let bytes = Bytes::from(vec![number as u8; number * 1000]);
        snapshots.save(aggregate, "older".into()).await.unwrap();
        snapshots.save(aggregate, bytes).await.unwrap();
    }
    let other = self::snapshots(&server).await;
    for (number, aggregate) in aggregates.iter().enumerate() {
        assert_eq!(other.load(aggregate).await.unwrap().unwrap(), vec![number as u8; number * 1000], "{aggregate}");
    }
    let messages = &ask(&server, "INFO", &Value::Null).await["state"]["messages"];
    assert_eq!(messages, aggregates.len(), "one for each aggregate, and no history");
}

#[tokio::test]
async fn any_key_value_client_can_show_and_delete_a_snapshot() {
    let server = TestServer::start().await;
    let snapshots = snapshots(&server).await;
    let bucket = bucket(&server).await;
    for id in ["order-1", "a.b ~ 50%"] {
        let order = receipt(id);
        let key = JetStreamSnapshots::key(&order);
        snapshots.save(&order, "folded".into()).await.unwrap();
        assert_eq!(bucket.get(&key).await.unwrap().unwrap(), "folded", "{key}");
        bucket.delete(&key).await.unwrap();
        assert_eq!(snapshots.load(&order).await.unwrap(), None);
        snapshots.save(&order, "again".into()).await.unwrap();
        assert_eq!(snapshots.load(&order).await.unwrap().unwrap(), "again");
        bucket.purge(&key).await.unwrap();
        assert_eq!(snapshots.load(&order).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_cold_load_reads_a_constant_number_of_messages_however_long_the_history() {
    let server = TestServer::start().await;
    let mut messages = Vec::new();
    for rounds in [1, 10] {
        let instance = Instance::start(&server).await;
        for _ in 0..rounds {
            instance.count(100).await;
        }
        instance.dispatcher.flush_snapshots().await;
        instance.count(2).await;

        let cold = Instance::start(&server).await;
        // The connection of its store also carries the rounds of the watchdog, which bring no messages.
        let statistics = cold.store.connection().client().statistics();
        let before = statistics.in_messages.load(Ordering::Relaxed);
        cold.counted().await;
        messages.push(statistics.in_messages.load(Ordering::Relaxed) - before);
        let (dispatch, store) = cold.stats();
        assert_eq!((dispatch.snapshots_used, dispatch.events_read), (1, 2));
        assert_eq!((store.reads, store.lookups), (2, 3), "the head, and the two events after the snapshot");
    }
    assert_eq!(messages, [3, 3]);
    assert_eq!(Instance::start(&server).await.counted().await, 1104);
}

#[tokio::test]
async fn after_an_instance_was_killed_the_next_one_starts_from_its_snapshot() {
    let server = TestServer::start().await;
    let instance = Instance::start(&server).await;
    for _ in 0..40 {
        instance.count(1).await;
    }
    let written = async || (instance.dispatcher.stats().snapshots_written > 0).then_some(());
    wait_until(LONG, "a snapshot behind the replies", written).await;
    // No goodbye: its connection is cut and nothing of it runs on.
    instance.store.connection().close().await;
    drop(instance);

    let next = Instance::start(&server).await;
    assert_eq!(next.counted().await, 40);
    let stats = next.dispatcher.stats();
    assert_eq!(stats.snapshots_used, 1);
    assert!(stats.events_read <= 8, "{stats:?}");
}

#[tokio::test]
async fn a_snapshot_that_is_damaged_or_of_another_journal_is_not_believed() {
    let server = TestServer::start().await;
    let instance = Instance::start(&server).await;
    instance.count(50).await;
    instance.dispatcher.flush_snapshots().await;
    let snapshots = snapshots(&server).await;
    let good = snapshots.load(&receipt("one")).await.unwrap().unwrap();

    // What the same service had made of a longer history, in a journal that was since restored from a backup.
    let elsewhere = TestServer::start().await;
    let other = Instance::start(&elsewhere).await;
    other.count(70).await;
    other.dispatcher.flush_snapshots().await;
    let foreign = self::snapshots(&elsewhere).await.load(&receipt("one")).await.unwrap().unwrap();

    let mut flipped = good.to_vec();
    flipped[good.len() / 2] ^= 1;
    let bad = ["".into(), "{}".into(), "not ours".into(), good.slice(..good.len() - 1), flipped.into(), foreign];
    for bad in bad {
        snapshots.save(&receipt("one"), bad).await.unwrap();
        let cold = Instance::start(&server).await;
        assert_eq!(cold.counted().await, 50);
        let stats = cold.dispatcher.stats();
        assert_eq!((stats.snapshots_used, stats.events_read), (0, 50));
    }
    snapshots.save(&receipt("one"), good).await.unwrap();
    let cold = Instance::start(&server).await;
    assert_eq!((cold.counted().await, cold.dispatcher.stats().snapshots_used), (50, 1));
}

#[tokio::test]
async fn without_the_bucket_commands_are_carried_out_all_the_same() {
    let server = TestServer::start().await;
    let instance = Instance::start(&server).await;
    instance.count(40).await;
    instance.dispatcher.flush_snapshots().await;
    let cold = Instance::start(&server).await;
    assert!(ask(&server, "DELETE", &Value::Null).await["success"].as_bool().unwrap());
    assert_eq!(cold.counted().await, 40);
    cold.count(40).await;
    cold.dispatcher.flush_snapshots().await;
    let stats = cold.dispatcher.stats();
    assert_eq!((stats.snapshots_used, stats.snapshots_written), (0, 0));
    assert!(stats.snapshots_failed > 0, "{stats:?}");
}

#[tokio::test]
async fn a_snapshot_over_the_servers_limit_is_refused_with_both_numbers() {
    let server = TestServer::with(|server| server.max_payload(4096)).await;
    let snapshots = snapshots(&server).await;
    snapshots.save(&receipt("one"), vec![1; 4096].into()).await.unwrap();
    let error = snapshots.save(&receipt("one"), vec![1; 4097].into()).await.unwrap_err();
    let text = story(&error);
    assert!(text.contains("receipt/one") && text.contains("4097") && text.contains("4096"), "{text}");
    assert_eq!(snapshots.load(&receipt("one")).await.unwrap().unwrap().len(), 4096, "and the connection holds");
}

#[tokio::test]
async fn a_bucket_that_is_full_refuses_further_snapshots_and_keeps_those_it_has() {
    let server = TestServer::start().await;
    let snapshots = open(&server, settings().max_bytes(8192)).await.unwrap();
    snapshots.save(&receipt("one"), vec![1; 5000].into()).await.unwrap();
    let error = snapshots.save(&receipt("two"), vec![2; 5000].into()).await.unwrap_err();
    assert!(story(&error).contains("receipt/two"), "{}", story(&error));
    assert_eq!(snapshots.load(&receipt("one")).await.unwrap().unwrap().len(), 5000);
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_up_for_long() {
    let server = TestServer::start().await;
    let limit = Duration::from_millis(300);
    let snapshots = open(&server, settings().load_timeout(limit).save_timeout(limit)).await.unwrap();
    server.pause().unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        snapshots.load(&receipt("one")).await.unwrap_err();
        snapshots.save(&receipt("one"), "late".into()).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
    server.resume().unwrap();
    let back = async || snapshots.load(&receipt("two")).await.ok();
    assert_eq!(wait_until(LONG, "an answer", back).await, None);
}

#[tokio::test]
async fn what_is_under_way_when_the_server_dies_fails_at_once() {
    let server = TestServer::start().await;
    let hour = Duration::from_secs(3600);
    let snapshots = open(&server, settings().load_timeout(hour).save_timeout(hour)).await.unwrap();
    server.pause().unwrap();
    let (one, two) = (receipt("one"), receipt("two"));
    let calls = async { tokio::join!(snapshots.load(&one), snapshots.save(&two, "lost".into())) };
    let killed = async {
        // The requests are on their way when this is polled: `join!` polls in order.
        tokio::task::yield_now().await;
        server.kill();
    };
    let ((loaded, saved), ()) = tokio::time::timeout(LONG, async { tokio::join!(calls, killed) }).await.unwrap();
    assert!(story(&loaded.unwrap_err()).contains("the connection to NATS is down"));
    assert!(story(&saved.unwrap_err()).contains("the connection to NATS is down"));
}

#[tokio::test]
async fn the_bucket_is_created_as_key_value_clients_know_it_and_opened_by_many() {
    let server = TestServer::start().await;
    let opened = futures_util::future::join_all((0..8).map(|_| snapshots(&server))).await;
    assert_eq!(opened.len(), 8);
    let found = &ask(&server, "INFO", &Value::Null).await["config"];
    for (field, wanted) in [
        ("subjects", json!(["$KV.RECEIPTS_SNAPSHOTS.>"])),
        ("retention", json!("limits")),
        ("storage", json!("file")),
        ("discard", json!("new")),
        ("max_age", json!(0)),
        ("max_msgs_per_subject", json!(1)),
        ("num_replicas", json!(1)),
        ("allow_direct", json!(true)),
    ] {
        assert_eq!(found[field], wanted, "{field}");
    }
    assert_eq!(bucket(&server).await.status().await.unwrap().history(), 1);
    open(&server, settings().manage(Manage::Verify)).await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_a_key_value_client_made_is_taken_when_it_is_fit() {
    let server = TestServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let kv =
        async_nats::jetstream::kv::Config { bucket: "RECEIPTS_SNAPSHOTS".into(), history: 1, ..Default::default() };
    async_nats::jetstream::new(client).create_key_value(kv).await.unwrap();
    let snapshots = snapshots(&server).await;
    snapshots.save(&receipt("one"), "folded".into()).await.unwrap();
    assert_eq!(snapshots.load(&receipt("one")).await.unwrap().unwrap(), "folded");
}

#[tokio::test]
async fn a_bucket_that_is_not_fit_is_refused_by_the_name_of_the_field() {
    let fit = json!({
        "name": STREAM, "subjects": ["$KV.RECEIPTS_SNAPSHOTS.>"], "discard": "new", "storage": "file",
        "max_msgs_per_subject": 1, "allow_direct": true,
    });
    for (field, value) in [
        ("max_msgs_per_subject", json!(5)),
        ("max_age", json!(3_600_000_000_000_u64)),
        ("storage", json!("memory")),
        ("allow_direct", json!(false)),
        ("discard", json!("old")),
    ] {
        let server = TestServer::start().await;
        let mut unfit = fit.clone();
        unfit[field] = value;
        assert!(ask(&server, "CREATE", &unfit).await.get("error").is_none());
        for manage in [Manage::Create, Manage::Update, Manage::Verify] {
            let error = open(&server, settings().manage(manage)).await.unwrap_err();
            assert_eq!(error.kind(), OpenErrorKind::Unsafe);
            assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_only_created_where_the_settings_allow_it() {
    let server = TestServer::start().await;
    let error = open(&server, settings().manage(Manage::Verify)).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::Missing);
    assert!(error.to_string().contains("RECEIPTS_SNAPSHOTS"), "{error}");
    snapshots(&server).await;
    open(&server, settings().max_bytes(1 << 20)).await.unwrap();
    assert_eq!(ask(&server, "INFO", &Value::Null).await["config"]["max_bytes"], json!(-1), "told, not changed");
    open(&server, settings().max_bytes(1 << 20).manage(Manage::Update)).await.unwrap();
    assert_eq!(ask(&server, "INFO", &Value::Null).await["config"]["max_bytes"], json!(1 << 20));
}

#[tokio::test]
async fn a_user_without_rights_is_told_so_at_once() {
    let users = r#"authorization { users: [
        { user: all, password: p },
        { user: none, password: p, permissions: { publish: ["_INBOX.>", "probe"], subscribe: ["_INBOX.>", "probe"] } },
        { user: info, password: p, permissions: { publish: ["_INBOX.>", "$JS.API.STREAM.INFO.KV_RECEIPTS_SNAPSHOTS"] } },
    ] }"#;
    let server = TestServer::with(|server| server.config(users)).await;
    let connect = async |user: &str| {
        let config = NatsConfig::new(&server.url().replace("nats://", &format!("nats://{user}:p@")));
        Connection::connect(&config).await.unwrap()
    };
    JetStreamSnapshots::open(connect("all").await, settings()).await.unwrap();
    let start = Instant::now();
    let error = JetStreamSnapshots::open(connect("none").await, settings()).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::Refused);
    assert!(error.to_string().contains("$JS.API.STREAM.INFO.KV_RECEIPTS_SNAPSHOTS"), "{error}");

    let hour = Duration::from_secs(3600);
    let looking = JetStreamSnapshots::open(connect("info").await, settings().load_timeout(hour).save_timeout(hour));
    let looking = looking.await.unwrap();
    let one = receipt("one");
    for error in [looking.load(&one).await.unwrap_err(), looking.save(&one, "folded".into()).await.unwrap_err()] {
        assert!(story(&error).contains("no right"), "{}", story(&error));
    }
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[tokio::test]
async fn many_snapshots_are_found_at_once() {
    let server = TestServer::start().await;
    let snapshots = snapshots(&server).await;
    let aggregates: Vec<_> = (0..500).map(|number| receipt(&format!("r-{number}"))).collect();
    let saves = aggregates.iter().map(|aggregate| snapshots.save(aggregate, aggregate.id().to_owned().into()));
    futures_util::future::try_join_all(saves).await.unwrap();
    let loads = aggregates.iter().map(async |aggregate| {
        assert_eq!(snapshots.load(aggregate).await.unwrap().unwrap(), aggregate.id());
    });
    futures_util::future::join_all(loads).await;
}
