//! `headwater permissions`: on a server that permits each role what is printed for it and nothing else, over TLS and with
//! NKeys, everything works, and everything else is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::kv;
use futures_util::StreamExt as _;
use headwater::nats::connect::{Connection, NatsConfig, PermissionViolation, TlsConfig};
use headwater::service::{Limits, RunningService, Service};
use headwater::store::{
    EventFilter, EventStore as _, JetStreamSnapshots, JetStreamStore, SnapshotConfig, StartFrom, StoreConfig,
};
use headwater::{AggregateId, Name};
use headwater_nats_client::NatsClient;
use headwater_nats_client::durable::{Delivery, DurableReader};
use headwater_testkit::TestServer;
use nkeys::KeyPair;
use sample_receipts::domain::{AddItem, Receipt, ReceiptClient};
use sample_receipts::{SERVICE, VERSION};
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

use crate::support::security::Files;
use crate::support::{Ended, run, run_at};

const LONG: Duration = Duration::from_secs(20);

/// The roles, each with what it is told besides its own name and the service's.
const ROLES: [(&str, &str); 6] = [
    ("service", ""),
    ("client", ""),
    ("reader", ""),
    ("projector", "--durable totals --bucket TOTALS"),
    ("admin", ""),
    ("discovery", ""),
];

/// A server with a user for each role.
struct World {
    server: TestServer,
    files: Files,
    /// What the server refused each connection that was made.
    refused: Vec<(&'static str, broadcast::Receiver<PermissionViolation>)>,
}

impl World {
    async fn new() -> Self {
        let (files, mut users) = (Files::new(), String::new());
        for (role, more) in ROLES {
            let key = KeyPair::new_user();
            files.write(&format!("{role}.nk"), &key.seed().unwrap());
            let line = format!("permissions --role {role} --service receipts --inbox-prefix _INBOX_{role} {more}");
            let block = run(&line.split_whitespace().collect::<Vec<_>>()).await.done();
            users.push_str(&format!("{{ nkey: {}\n{block} }}\n", key.public_key()));
        }
        let accounts = format!("accounts {{ APP {{ jetstream: enabled, users: [\n{users}] }} }}\n");
        let server = TestServer::with(|server| server.config(&files.tls("")).config(&accounts)).await;
        Self { server, files, refused: Vec::new() }
    }

    fn config(&self, role: &str) -> NatsConfig {
        let tls = TlsConfig { ca_file: Some(self.files.path("ca.pem")), ..TlsConfig::default() };
        let config = NatsConfig::new(&self.server.url()).tls(tls);
        NatsConfig {
            nkey_seed_file: Some(self.files.path(&format!("{role}.nk"))),
            inbox_prefix: Some(format!("_INBOX_{role}")),
            ..config
        }
    }

    async fn connect(&mut self, role: &'static str) -> Connection {
        let connection = Connection::connect(&self.config(role)).await.unwrap();
        self.refused.push((role, connection.permission_violations()));
        connection
    }

    /// Runs the program as this role.
    async fn run(&self, role: &str, line: &str) -> Ended {
        let (ca, key) = (self.files.shown("ca.pem"), self.files.shown(&format!("{role}.nk")));
        run_at(&self.server.url(), &format!("--tlsca {ca} --nkey {key} --inbox-prefix _INBOX_{role} {line}")).await
    }

    /// Nothing was refused so far, except echoes: a connection proves by a message to itself that everything arrived, and
    /// where it may not send that, by the refusal.
    #[track_caller]
    fn nothing_was_refused(&mut self) {
        for (role, refused) in &mut self.refused {
            while let Ok(violation) = refused.try_recv() {
                assert!(violation.subject.starts_with("_INBOX_"), "{role}: {violation:?}");
            }
        }
    }
}

/// An instance with a journal and snapshots.
async fn service(world: &mut World) -> (RunningService, JetStreamStore) {
    let (callers, jetstream) = (world.connect("service").await, world.connect("service").await);
    let journal = StoreConfig::new(Name::new(SERVICE).unwrap());
    let snapshots = SnapshotConfig::beside(&journal);
    let store = JetStreamStore::open(jetstream.clone(), journal).await.unwrap();
    let snapshots = JetStreamSnapshots::open(jetstream, snapshots).await.unwrap();
    let limits = Limits::default().allow_replies_under("_INBOX_client").unwrap();
    let limits = limits.allow_replies_under("_INBOX_discovery").unwrap();
    let service = Service::builder(SERVICE, VERSION).aggregate::<Receipt>().limits(limits);
    (service.store(store.clone()).snapshots(snapshots).start(callers).await.unwrap(), store)
}

fn tea() -> AddItem {
    AddItem { name: "Tea".to_owned(), price: "2.50".parse().unwrap(), quantity: 1 }
}

/// The places of the first `count` events that a durable reader handles.
async fn read(connection: Connection, durable: &str, count: usize) -> Vec<u64> {
    let (seen, mut events) = mpsc::unbounded_channel();
    let reader =
        DurableReader::builder(connection, Name::new(SERVICE).unwrap(), Name::new(durable.to_owned()).unwrap());
    // Stopping waits for a request under way, which lasts a quarter of this.
    let reader = reader.takeover_after(Duration::from_secs(1));
    let handler = move |delivery: Delivery<headwater::RecordedEvent>| {
        let seen = seen.clone();
        async move {
            let _ = seen.send(delivery.event.sequence.get());
            Ok::<(), std::io::Error>(())
        }
    };
    let running = reader.build().unwrap().run(handler).await.unwrap();
    let mut places = Vec::new();
    while places.len() < count {
        places.push(timeout(LONG, events.recv()).await.unwrap().unwrap());
    }
    running.stop().await.unwrap();
    places.sort_unstable();
    places
}

#[tokio::test]
async fn each_role_can_do_its_work_and_nothing_else() {
    let mut world = World::new().await;
    let (running, store) = service(&mut world).await;

    // A client calls and sees live events.
    let caller = world.connect("client").await;
    let mut live = caller.client().subscribe("receipts.events.*.*").await.unwrap();
    let receipts = ReceiptClient::new(NatsClient::new(caller, Name::new(SERVICE).unwrap()));
    for _ in 0..40 {
        receipts.add_item("order-1", tea()).await.unwrap();
    }
    // After 32 events a snapshot is written.
    let added = receipts.add_item("order-1", tea()).await.unwrap();
    assert_eq!(added.revision.get(), 41);
    assert_eq!(receipts.get("order-1").await.unwrap().revision.get(), 41);
    // What a query does that waits for a revision.
    let order = EventFilter::all().aggregate(AggregateId::new("receipt", "order-1").unwrap());
    let mut followed = store.subscribe(order, StartFrom::Beginning).await.unwrap();
    assert_eq!(timeout(LONG, followed.next()).await.unwrap().unwrap().unwrap().sequence.get(), 1);
    drop(followed);
    timeout(LONG, live.next()).await.unwrap().unwrap();

    // Readers read, a projector keeps a read model.
    let reader = world.connect("reader").await;
    let everything: Vec<u64> = (1..=41).collect();
    assert_eq!(read(reader.clone(), "mailer", 41).await, everything);
    let mut following = NatsClient::new(reader, Name::new(SERVICE).unwrap()).follow().await.unwrap();
    assert_eq!(timeout(LONG, following.next()).await.unwrap().unwrap().unwrap().sequence.get(), 1);
    drop(following);
    let projector = world.connect("projector").await;
    assert_eq!(read(projector.clone(), "totals", 41).await, everything);
    let config = kv::Config { bucket: "TOTALS".to_owned(), history: 1, ..kv::Config::default() };
    let totals = projector.jetstream().create_key_value(config).await.unwrap();
    totals.put("order-1", "41".into()).await.unwrap();
    assert_eq!(totals.get("order-1").await.unwrap().as_deref(), Some(&b"41"[..]));

    discovery_and_admin(&mut world).await;
    world.nothing_was_refused();
    everything_else_is_refused(&mut world).await;

    // A second instance finds streams and snapshots, and the first leaves in peace.
    let (second, _store) = service(&mut world).await;
    running.drain().await;
    assert_eq!(receipts.get("order-1").await.unwrap().revision.get(), 41);
    second.drain().await;
    world.nothing_was_refused();
}

/// Whoever asks what there is, and whoever looks after it.
async fn discovery_and_admin(world: &mut World) {
    let asking = world.connect("discovery").await;
    let discovery = NatsClient::new(asking.clone(), Name::new(SERVICE).unwrap()).discovery();
    let found = discovery.ping().service(SERVICE).expecting(1).await.unwrap();
    assert_eq!(found.answers.len(), 1);
    let health = asking.client().request("receipts.health", "".into()).await.unwrap();
    assert!(String::from_utf8_lossy(&health.payload).contains("\"status\""));

    let file = world.files.shown("receipts.backup");
    let made =
        world.run("admin", &format!("--json backup RECEIPTS_JOURNAL KV_RECEIPTS_SNAPSHOTS --to {file}")).await.json();
    assert_eq!(made["streams"][0]["messages"], 41);
    let restored =
        world.run("admin", &format!("--json restore {file} --replace --yes --stream KV_RECEIPTS_SNAPSHOTS")).await;
    assert_eq!(restored.json()["streams"][0]["replaced"], true);
    let looked = world.run("admin", "--json doctor --service receipts --role admin --stream RECEIPTS_JOURNAL").await;
    let report = looked.json();
    assert_eq!((&report["severe"], &report["warnings"]), (&0.into(), &0.into()), "{report}");
}

/// Subjects to publish to, each with the roles that may.
const PUBLISHED: [(&str, &str); 37] = [
    ("receipts.journal.receipt.order-1.item-added", "service"),
    ("receipts.journal.receipt.order-1", ""),
    ("receipts.command.receipt.add-item", "client"),
    ("receipts.query.receipt.get", "client"),
    ("receipts.schema", "client discovery"),
    ("receipts.health", "discovery"),
    ("receipts.events.receipt.item-added", ""),
    ("orders.command.order.place", ""),
    ("orders.journal.order.1.placed", ""),
    ("$SRV.PING", "discovery"),
    ("$SRV.STATS.receipts", "discovery"),
    ("$SRV.PING.orders", ""),
    ("$JS.API.STREAM.CREATE.RECEIPTS_JOURNAL", "service admin"),
    ("$JS.API.STREAM.UPDATE.RECEIPTS_JOURNAL", "admin"),
    ("$JS.API.STREAM.DELETE.RECEIPTS_JOURNAL", "admin"),
    ("$JS.API.STREAM.PURGE.RECEIPTS_JOURNAL", "admin"),
    ("$JS.API.STREAM.SNAPSHOT.RECEIPTS_JOURNAL", "admin"),
    ("$JS.API.STREAM.MSG.DELETE.RECEIPTS_JOURNAL", ""),
    ("$JS.API.STREAM.MSG.GET.RECEIPTS_JOURNAL", "service"),
    ("$JS.API.DIRECT.GET.RECEIPTS_JOURNAL", "service"),
    ("$JS.API.STREAM.CREATE.OTHER", ""),
    ("$JS.API.STREAM.DELETE.KV_TOTALS", ""),
    ("$JS.API.STREAM.LIST", "admin"),
    ("$JS.API.INFO", "projector admin"),
    ("$JS.API.CONSUMER.CREATE.RECEIPTS_JOURNAL.x.receipts.journal.>", "reader admin"),
    ("$JS.API.CONSUMER.CREATE.RECEIPTS_JOURNAL.x.receipts.journal.receipt.a.*", "service reader admin"),
    ("$JS.API.CONSUMER.DELETE.RECEIPTS_JOURNAL.totals", "service reader admin"),
    ("$JS.API.CONSUMER.MSG.NEXT.RECEIPTS_JOURNAL.totals", "service reader projector admin"),
    ("$JS.API.CONSUMER.MSG.NEXT.RECEIPTS_JOURNAL.mailer", "service reader admin"),
    ("$JS.ACK.RECEIPTS_JOURNAL.mailer.1.1.1.1.1", "reader"),
    ("$JS.ACK.OTHER.totals.1.1.1.1.1", ""),
    ("$KV.RECEIPTS_SNAPSHOTS.receipt.a", "service"),
    ("$KV.TOTALS.a", "projector"),
    ("$JS.SNAPSHOT.RESTORE.RECEIPTS_JOURNAL.x", "admin"),
    ("$SYS.REQ.USER.INFO", "admin"),
    ("_INBOX_client.somebody", ""),
    ("anything", ""),
];

/// Subjects to subscribe to, each with the roles that may.
const SUBSCRIBED: [(&str, &str); 12] = [
    (">", ""),
    ("receipts.>", ""),
    ("receipts.journal.>", ""),
    ("receipts.command.>", "service"),
    ("receipts.events.*.*", "client reader"),
    ("receipts.health", "service"),
    ("$SRV.PING", "service"),
    ("$KV.>", ""),
    ("$JS.API.>", ""),
    ("$JS.ACK.>", ""),
    ("_INBOX.>", ""),
    ("_INBOX_client.>", "client"),
];

async fn everything_else_is_refused(world: &mut World) {
    for (role, _) in ROLES {
        let connection = Connection::connect(&world.config(role)).await.unwrap();
        let mut refused = connection.permission_violations();
        let mut expected = BTreeMap::new();
        let mut subscriptions = Vec::new();
        let client = connection.client();
        let may = |roles: &str| roles.split(' ').any(|permitted| permitted == role);
        for (subject, _) in PUBLISHED.into_iter().filter(|(_, roles)| !may(roles)) {
            client.publish(subject, "".into()).await.unwrap();
            *expected.entry(subject).or_insert(0) += 1;
        }
        for (subject, _) in SUBSCRIBED.into_iter().filter(|(_, roles)| !may(roles)) {
            subscriptions.push(client.subscribe(subject).await.unwrap());
            *expected.entry(subject).or_insert(0) += 1;
        }
        while !expected.is_empty() {
            let violation = timeout(LONG, refused.recv()).await;
            let violation = violation.unwrap_or_else(|_| panic!("{role} may use {:?}", expected.keys())).unwrap();
            let left = expected.get_mut(violation.subject.as_str()).unwrap_or_else(|| panic!("{role}: {violation:?}"));
            *left -= 1;
            if *left == 0 {
                expected.remove(violation.subject.as_str());
            }
        }
        connection.close().await;
    }
}

#[tokio::test]
async fn the_printed_forms_say_the_same() {
    let line = ["permissions", "--role", "client", "--service", "receipts"];
    let with = |more: &[&'static str]| [&line[..], more].concat();
    let json = run(&with(&["--format", "json"])).await.json();
    assert_eq!(json, run(&with(&["--json"])).await.json());
    let (conf, nsc) = (run(&line).await.done(), run(&with(&["--format", "nsc", "--account", "SHOP"])).await.done());
    assert!(conf.starts_with("# headwater permissions --role client --service receipts\npermissions {"), "{conf}");
    assert!(nsc.starts_with("nsc add user --account SHOP --name receipts-client"), "{nsc}");
    for right in json["publish"].as_array().unwrap().iter().chain(json["subscribe"].as_array().unwrap()) {
        let subject = right["subject"].as_str().unwrap();
        assert!(
            conf.contains(&format!("\"{subject}\"")) && nsc.contains(&format!("'{subject}'")) || nsc.contains(subject)
        );
        assert!(!right["why"].as_str().unwrap().is_empty());
    }
    run(&["permissions", "--role", "client"]).await.refused(2);
    run(&["permissions", "--role", "projector", "--service", "receipts"]).await.refused(2);
    run(&["permissions", "--role", "client", "--service", "Not A Name"]).await.refused(2);
    run(&["permissions", "--role", "admin", "--service", "a", "--stream", "B>"]).await.refused(2);
    let all = run(&["permissions", "--role", "discovery"]).await.done();
    assert!(all.contains("\"$SRV.PING.*.*\"") && all.contains("\"*.health\""), "{all}");
}
