//! Processing, dead letters, inbox and health on real servers, and what a kill in mid-stream leaves behind.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use headwater_nats_messaging::archive::Archive;
use headwater_nats_messaging::bucket::{Bucket, BucketError, BucketLimits, JetStreamBucket, MemoryBucket};
use headwater_nats_messaging::consume::{Consume, ConsumerConfig, Delivery};
use headwater_nats_messaging::dead_letter::{Cause, DeadLetters, Release, Selection};
use headwater_nats_messaging::health::{HealthChange, HealthSettings};
use headwater_nats_messaging::inbox::Inbox;
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::{Key, Processing, Processor, Retry, RunningProcessor};
use headwater_nats_messaging::publish::Publish;
use headwater_nats_messaging::router::handler::{EventHandler, Outcome};
use headwater_testkit::TestServer;
use tokio::time::{Instant, sleep};

use crate::support::working::{Function, Notes, body, broker, mailer, noting, poison, soon, store, store_all};
use crate::support::{PATIENCE, Raw, jetstream, publish_numbers};

/// How often a consumer is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Where a child process finds its server.
const CHILD: &str = "HEADWATER_TEST_SUBSCRIBER";

async fn orders(server: &TestServer) -> (Raw, JetStream) {
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    raw.declare("DEAD", &["dead.>"]).await;
    (raw, jetstream(server).await)
}

async fn start(jetstream: &JetStream, settings: Processing, handler: impl EventHandler) -> RunningProcessor {
    start_as(jetstream, mailer(), settings, handler).await
}

async fn start_as(
    jetstream: &JetStream,
    config: ConsumerConfig,
    settings: Processing,
    handler: impl EventHandler,
) -> RunningProcessor {
    Processor::new(jetstream.clone(), config, handler).settings(settings).start().await.unwrap()
}

fn quick() -> Processing {
    Processing::default().retry(Retry::default().attempts(2).first(Duration::from_millis(10)))
}

#[tokio::test]
async fn a_bucket_is_the_same_in_memory_and_on_jetstream() {
    let server = TestServer::start().await;
    let jetstream = jetstream(&server).await;
    let stored = JetStreamBucket::open(&jetstream, "THINGS", BucketLimits::for_ever()).await.unwrap();
    let again = JetStreamBucket::open(&jetstream, "THINGS", BucketLimits::default()).await.unwrap();
    let buckets: [(&dyn Bucket, &dyn Bucket); 2] =
        [(&stored, &again), (&MemoryBucket::default(), &MemoryBucket::default())];
    for (bucket, same) in buckets {
        assert_eq!(bucket.get("a".into()).await.unwrap(), None);
        let first = bucket.create("a".into(), "1".into()).await.unwrap();
        assert!(matches!(bucket.create("a".into(), "2".into()).await, Err(BucketError::Conflict)));
        let second = bucket.update("a".into(), "2".into(), first).await.unwrap();
        assert!(second > first);
        assert!(matches!(bucket.update("a".into(), "3".into(), first).await, Err(BucketError::Conflict)));
        assert!(matches!(bucket.update("b".into(), "3".into(), first).await, Err(BucketError::Conflict)));
        assert!(matches!(bucket.delete("a".into(), first).await, Err(BucketError::Conflict)));
        let entry = bucket.get("a".into()).await.unwrap().unwrap();
        assert_eq!((&entry.value[..], entry.revision), (&b"2"[..], second));
        bucket.delete("a".into(), second).await.unwrap();
        assert_eq!(bucket.get("a".into()).await.unwrap(), None);
        let third = bucket.create("a".into(), "4".into()).await.unwrap();
        assert!(third > second);
        let _ = same;
    }
    assert_eq!(again.get("a".into()).await.unwrap().map(|entry| entry.value), Some("4".into()));
    let refused = JetStreamBucket::open(&jetstream, "no.name", BucketLimits::default()).await;
    assert!(matches!(refused, Err(BucketError::Refused(_))));
    Raw::connect(&server.url()).await.declare("KV_OTHER", &["other.>"]).await;
    let other = JetStreamBucket::open(&jetstream, "OTHER", BucketLimits::default()).await;
    assert!(matches!(other, Err(BucketError::Refused(_))), "{other:?}");
}

#[tokio::test]
async fn an_archive_is_the_same_in_memory_and_on_jetstream() {
    let server = TestServer::start().await;
    let (_, jetstream) = orders(&server).await;
    let memory = broker();
    for archive in [&jetstream as &dyn Archive, &memory as &dyn Archive] {
        let next = async |pattern: &str, from| {
            let found = archive.next("ORDERS".into(), pattern.into(), from).await.unwrap();
            found.map(|found| (found.sequence, String::from_utf8_lossy(&found.message.body).into_owned()))
        };
        if std::ptr::addr_eq(archive, &raw const jetstream) {
            store_all(&jetstream, [("a", "1"), ("b", "2"), ("a", "3")]).await;
            store(&jetstream, Message::new("orders.h", "4").header("Trace", "1:2")).await;
        } else {
            store_all(&memory, [("a", "1"), ("b", "2"), ("a", "3")]).await;
            store(&memory, Message::new("orders.h", "4").header("Trace", "1:2")).await;
        }
        assert_eq!(next(">", 0).await, Some((1, "1".to_owned())));
        assert_eq!(next("orders.a", 2).await, Some((3, "3".to_owned())));
        assert_eq!(next("orders.c", 1).await, None);
        let found = archive.next("ORDERS".into(), "orders.h".into(), 1).await.unwrap().unwrap();
        assert_eq!((found.message.headers.get("trace"), found.message.subject.as_str()), (Some("1:2"), "orders.h"));
        assert!(archive.remove("ORDERS".into(), 3).await.unwrap());
        assert!(!archive.remove("ORDERS".into(), 3).await.unwrap());
        assert_eq!(next("orders.a", 2).await, None);
        assert!(archive.next("NOWHERE".into(), ">".into(), 1).await.is_err());
        assert!(archive.keeps_acknowledged("ORDERS".into()).await.unwrap());
        assert!(archive.keeps_acknowledged("NOWHERE".into()).await.is_err());
    }
}

#[tokio::test]
async fn dead_letters_are_kept_redriven_parked_and_released_on_a_server() {
    let server = TestServer::start().await;
    let (_, jetstream) = orders(&server).await;
    let bucket = JetStreamBucket::open(&jetstream, "PARKED", BucketLimits::for_ever()).await.unwrap();
    let letters = DeadLetters::new(jetstream.clone(), "DEAD").park(bucket);
    let (notes, is_broken) = (Notes::default(), Arc::new(AtomicBool::new(true)));
    let (noted, broken) = (notes.clone(), is_broken.clone());
    let handler = Function(move |delivery: Arc<Delivery>| {
        let (noted, broken) = (noted.clone(), broken.clone());
        async move {
            if broken.load(Ordering::SeqCst) && body(&delivery) == "a1" {
                return poison("no such address");
            }
            noted.note(&delivery);
            Outcome::Done
        }
    });
    store_all(&jetstream, [("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    let settings = quick().in_order_by(Key::token(1)).dead_letters(letters.clone());
    let running = start(&jetstream, settings, handler).await;
    soon("they are parked", || running.stats().parked == 1 && running.stats().handled == 1).await;
    let selection = Selection::of("ORDERS", "mailer");
    let causes: Vec<_> = letters.list(&selection).await.unwrap().iter().map(|dead| dead.letter.cause).collect();
    assert_eq!(causes, [Cause::Poison, Cause::Parked]);

    is_broken.store(false, Ordering::SeqCst);
    let (report, releases) = letters.redrive_and_release(&selection, PATIENCE).await.unwrap();
    assert_eq!((report.redriven, releases["a"]), (0, Release::Released { redriven: 2 }));
    store_all(&jetstream, [("a", "a3")]).await;
    soon("all are handled", || running.stats().handled == 4).await;
    assert_eq!(notes.all(), ["b1", "a1", "a2", "a3"]);
    let report = running.shutdown(PATIENCE).await;
    assert!(report.is_clean(), "{report:?}");
    assert!(letters.list(&selection).await.unwrap().is_empty());
    let info = jetstream.open(mailer()).await.unwrap().control.info().await.unwrap();
    assert_eq!((info.pending, info.ack_pending), (0, 0));
}

#[tokio::test]
async fn an_inbox_on_a_server_is_known_to_the_next_process_and_to_no_other_consumer() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    let window = u64::try_from(Duration::from_millis(100).as_nanos()).unwrap();
    raw.declare_as("ORDERS", serde_json::json!({ "subjects": ["orders.>"], "duplicate_window": window })).await;
    let limits = BucketLimits::default().max_age(Duration::from_secs(600));
    let (notes, other) = (Notes::default(), Notes::default());
    for round in 1..=2 {
        let jetstream = jetstream(&server).await;
        let inbox = Inbox::new(JetStreamBucket::open(&jetstream, "INBOX", limits).await.unwrap());
        sleep(Duration::from_millis(150)).await;
        store(&jetstream, Message::new("orders.a", "x").id("order-1")).await;
        let running = start(&jetstream, quick().inbox(inbox.clone()), noting(&notes)).await;
        soon("it is handled or known", || running.stats().handled + running.stats().duplicates == 1).await;
        assert_eq!(running.stats().duplicates, round - 1);
        assert!(running.shutdown(PATIENCE).await.is_clean());
        if round == 2 {
            let config = ConsumerConfig::new("ORDERS", "billing");
            let billing = start_as(&jetstream, config, quick().inbox(inbox), noting(&other)).await;
            soon("both came", || billing.stats().deliveries == 2 && billing.stats().handled >= 1).await;
            billing.shutdown(PATIENCE).await;
        }
    }
    assert_eq!(notes.len(), 1);
    assert!((1..=2).contains(&other.len()), "two at once are both handled");
}

#[tokio::test]
async fn a_consumer_deleted_on_the_server_is_made_anew_and_reported_and_nothing_is_lost() {
    let server = TestServer::start().await;
    let (raw, jetstream) = orders(&server).await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = told.clone();
    let health =
        HealthSettings::default().interval(LOOK).on_change(move |_, change| hook.lock().unwrap().push(*change));
    let notes = Notes::default();
    let running = start(&jetstream, quick().health(health), noting(&notes)).await;
    publish_numbers(&jetstream, "orders.a", 0..50).await;
    soon("half are handled", || running.stats().handled == 50).await;
    soon("the server has said so", || running.health().ack_floor == 50).await;
    raw.api("CONSUMER.DELETE.ORDERS.mailer", serde_json::Value::Null).await;
    publish_numbers(&jetstream, "orders.a", 50..100).await;
    soon("all are handled", || notes.counts().len() == 100).await;
    assert!(notes.counts().values().all(|times| *times == 1), "what was handled is known here");
    let told = told.lock().unwrap().clone();
    assert!(told.contains(&HealthChange::Recreated { from: Some(51), stream_is_new: false }), "{told:?}");
    assert!(running.shutdown(PATIENCE).await.is_clean());
}

#[tokio::test]
async fn a_server_killed_in_mid_stream_costs_no_message_and_order_is_kept() {
    let server = TestServer::start().await;
    let (_, jetstream) = orders(&server).await;
    publish_numbers(&jetstream, "orders.a", 0..200).await;
    let notes = Notes::default();
    let noted = notes.clone();
    let handler = Function(move |delivery: Arc<Delivery>| {
        let noted = noted.clone();
        async move {
            sleep(Duration::from_millis(2)).await;
            noted.note(&delivery);
            Outcome::Done
        }
    });
    let settings = quick().in_order_by(Key::token(1)).health(HealthSettings::default().interval(LOOK));
    let running = start_as(&jetstream, slow_consumer(), settings, handler).await;
    soon("some are handled", || notes.len() > 40).await;
    server.kill();
    server.until_ended().await;
    server.restart().await.unwrap();
    soon("all are handled", || notes.counts().len() == 200).await;
    let mut seen = HashMap::new();
    let first_times: Vec<u64> = notes
        .all()
        .iter()
        .filter(|text| seen.insert((*text).clone(), ()).is_none())
        .map(|t| t.parse().unwrap())
        .collect();
    assert!(first_times.is_sorted(), "{first_times:?}");
    // Acknowledgements that the kill took with it are made good, without another handling here.
    soon("all is acknowledged", || running.health().ack_floor == 200).await;
    assert!(running.shutdown(PATIENCE).await.is_clean());
}

/// The subscriber that is killed: it notes each message in the stream HANDLED before it is done with it.
#[tokio::test]
async fn child_that_subscribes() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let connection = crate::support::connect(&url).await;
    let jetstream = JetStream::new(connection);
    let running = start_as(&jetstream, slow_consumer(), slow(), recording(&jetstream)).await;
    // Until it is killed, and no longer than the test that started it may take.
    sleep(Duration::from_secs(60)).await;
    drop(running);
}

fn slow_consumer() -> ConsumerConfig {
    ConsumerConfig { ack_wait: Duration::from_secs(2), ..mailer() }
}

fn slow() -> Processing {
    Processing::default().concurrency(4).health(HealthSettings::default().interval(LOOK))
}

fn recording(jetstream: &JetStream) -> impl EventHandler + use<> {
    let jetstream = jetstream.clone();
    Function(move |delivery: Arc<Delivery>| {
        let jetstream = jetstream.clone();
        async move {
            sleep(Duration::from_millis(5)).await;
            let note = Message::new("handled.x", delivery.message.body.clone());
            let deadline = Instant::now() + Duration::from_secs(5);
            let noted = match jetstream.send(note, deadline).await {
                Ok(stored) => stored.await,
                Err(error) => Err(error),
            };
            noted.map_or_else(|error| Outcome::Retry { error: error.into(), after: None }, |_| Outcome::Done)
        }
    })
}

/// A child process that does not outlive its test.
struct Subscriber(Child);

impl Subscriber {
    fn start(url: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(["processing_on_servers::child_that_subscribes", "--exact", "--nocapture"]);
        command.env(CHILD, url).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // SIGKILL: it has no chance to say goodbye.
        let _ended_already = self.0.kill();
        let _code = self.0.wait();
    }
}

#[tokio::test]
async fn a_subscriber_killed_in_mid_stream_has_acknowledged_nothing_that_it_did_not_handle() {
    const MESSAGES: u64 = 600;
    let server = TestServer::start().await;
    let (raw, jetstream) = orders(&server).await;
    raw.declare("HANDLED", &["handled.>"]).await;
    publish_numbers(&jetstream, "orders.a", 0..MESSAGES).await;
    for killed_at in [60, 150] {
        let child = Subscriber::start(&server.url());
        let reached = async || (raw.messages("HANDLED").await >= killed_at).then_some(());
        headwater_testkit::wait_until(PATIENCE, "it is in mid-stream", reached).await;
        drop(child);
    }
    assert!(raw.messages("HANDLED").await < MESSAGES, "it was killed before the end");
    let running = start_as(&jetstream, slow_consumer(), slow(), recording(&jetstream)).await;
    soon("all is acknowledged", || running.health().ack_floor == MESSAGES).await;
    assert!(running.shutdown(PATIENCE).await.is_clean());

    // Whatever was acknowledged by anybody is in the book: nothing would bring it there any more if it were not.
    let noted = raw.messages("HANDLED").await;
    let mut book = jetstream.open(ConsumerConfig::new("HANDLED", "auditor")).await.unwrap();
    let mut handled: HashMap<String, u64> = HashMap::new();
    for _ in 0..noted {
        let delivery = book.deliveries.next().await.unwrap().unwrap();
        *handled.entry(body(&delivery)).or_default() += 1;
        delivery.ack().await.unwrap();
    }
    let missing: Vec<u64> = (0..MESSAGES).filter(|number| !handled.contains_key(&number.to_string())).collect();
    assert!(missing.is_empty(), "acknowledged and never handled: {missing:?}");
}
