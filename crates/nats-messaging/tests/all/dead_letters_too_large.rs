//! Dead letters that are too large for their stream: what is left out of them, and how it comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_nats_messaging::archive::Archive;
use headwater_nats_messaging::bucket::{BucketLimits, MemoryBucket};
use headwater_nats_messaging::consume::{Consume, Delivery};
use headwater_nats_messaging::dead_letter::{Cause, DeadLetters, LeftOut, LetterError, Release, Selection, header};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::{Key, Processing, Processor, RunningProcessor};
use headwater_nats_messaging::publish::{Publish, PublishError};
use headwater_nats_messaging::router::handler::{EventHandler, Outcome};
use headwater_testkit::TestServer;
use serde_json::{Value, json};

use crate::support::working::{Function, Notes, broker, mailer, poison, quick, soon, store};
use crate::support::{Raw, jetstream};

const SOON: Duration = Duration::from_secs(60);

/// The largest message of a server, and of the broker in memory, is of 1 MiB.
const LARGEST: usize = 1024 * 1024;

/// Says no until it is mended, and then notes the size of the body and the header `Trace`.
#[derive(Clone, Default)]
struct Mendable {
    is_mended: Arc<AtomicBool>,
    notes: Notes,
}

impl Mendable {
    fn handler(&self) -> impl EventHandler + use<> {
        let this = self.clone();
        Function(move |delivery: Arc<Delivery>| {
            let this = this.clone();
            async move {
                if !this.is_mended.load(Ordering::SeqCst) {
                    return poison("no such address");
                }
                let Message { headers, body, .. } = &delivery.message;
                this.notes.add(&format!("{} {}", body.len(), headers.get("Trace").unwrap_or("-")));
                Outcome::Done
            }
        })
    }

    async fn work(&self, port: &(impl Consume + Clone), settings: Processing) -> RunningProcessor {
        Processor::new(port.clone(), mailer(), self.handler()).settings(settings).start().await.unwrap()
    }

    fn mend(&self) {
        self.is_mended.store(true, Ordering::SeqCst);
    }
}

fn all() -> Selection {
    Selection::of("ORDERS", "mailer")
}

/// The dead letters of a message that only just fits where it is.
async fn come_back_whole(port: impl Publish + Consume + Archive + Clone) {
    let letters = DeadLetters::new(port.clone(), "DEAD");
    let mailer = Mendable::default();
    let size = LARGEST - 300;
    store(&port, Message::new("orders.a", vec![b'x'; size])).await;
    let running = mailer.work(&port, quick().dead_letters(letters.clone())).await;
    soon("it is dead", || running.stats().dead_letters == 1).await;
    assert_eq!(running.stats().letters_not_kept, 0);
    let [dead] = &letters.list(&all()).await.unwrap()[..] else { panic!("one letter") };
    assert_eq!(dead.letter.left_out, Some(LeftOut { body: size as u64, headers: 0 }));
    assert!(dead.letter.message.body.is_empty());
    assert_eq!((dead.letter.cause, dead.letter.sequence), (Cause::Poison, 1));
    let whole = letters.whole(dead.letter.clone()).await.unwrap();
    assert_eq!((whole.message.body.len(), whole.left_out), (size, None));

    mailer.mend();
    assert_eq!(letters.redrive(&all(), false, SOON).await.unwrap().redriven, 1);
    soon("it is handled", || running.stats().handled == 1).await;
    assert_eq!(mailer.notes.all(), [format!("{size} -")]);
    assert!(letters.list(&all()).await.unwrap().is_empty());
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_letter_that_is_too_large_is_kept_without_its_body_and_redriven_with_it_in_memory() {
    come_back_whole(broker()).await;
}

#[tokio::test]
async fn a_letter_that_is_too_large_is_kept_without_its_body_and_redriven_with_it_on_a_server() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    raw.declare("DEAD", &["dead.>"]).await;
    come_back_whole(jetstream(&server).await).await;
}

#[tokio::test]
async fn a_key_that_waits_behind_a_letter_without_its_body_is_released_in_order() {
    let broker = broker();
    let letters = DeadLetters::new(broker.clone(), "DEAD").park(MemoryBucket::new(BucketLimits::for_ever()));
    let mailer = Mendable::default();
    let size = LARGEST - 300;
    for size in [size, 1, size] {
        store(&broker, Message::new("orders.a", vec![b'x'; size])).await;
    }
    let settings = quick().in_order_by(Key::token(1)).dead_letters(letters.clone());
    let running = mailer.work(&broker, settings).await;
    soon("all are dead or wait", || running.stats().dead_letters == 1 && running.stats().parked == 2).await;
    mailer.mend();
    let released = letters.release("ORDERS", "mailer", "a", SOON).await.unwrap();
    assert_eq!(released, Release::Released { redriven: 3 });
    assert_eq!(mailer.notes.all(), [format!("{size} -"), "1 -".to_owned(), format!("{size} -")]);
    running.shutdown(SOON).await;
}

/// A server whose dead letters may have 1 000 bytes, headers included.
async fn with_small_letters(orders: Value) -> (TestServer, Raw) {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare_as("ORDERS", orders).await;
    raw.declare_as("DEAD", json!({ "subjects": ["dead.>"], "max_msg_size": 1_000 })).await;
    (server, raw)
}

#[tokio::test]
async fn headers_that_do_not_fit_are_left_out_the_largest_first_and_what_is_gone_is_told() {
    let (server, raw) = with_small_letters(json!({ "subjects": ["orders.>"] })).await;
    let jetstream = jetstream(&server).await;
    let letters = DeadLetters::new(jetstream.clone(), "DEAD");
    let mailer = Mendable::default();
    let order = |id: &str| {
        let order = Message::new("orders.a", "x".repeat(2_000)).id(id).header("Trace", "7");
        order.header("Baggage", "b".repeat(3_000))
    };
    store(&jetstream, order("order-1")).await;
    store(&jetstream, order("order-2")).await;
    let running = mailer.work(&jetstream, quick().concurrency(1).dead_letters(letters.clone())).await;
    soon("both are dead", || running.stats().dead_letters == 2).await;
    let [first, second] = &letters.list(&all()).await.unwrap()[..] else { panic!("two letters") };
    assert_eq!(first.letter.left_out, Some(LeftOut { body: 2_000, headers: 1 }));
    let Message { headers, .. } = &first.letter.message;
    assert_eq!((headers.get("Trace"), headers.get("Baggage")), (Some("7"), None));
    let stored = jetstream.next("DEAD".to_owned(), ">".to_owned(), 1).await.unwrap().unwrap().message;
    assert_eq!(stored.headers.get(header::BODY_LEFT_OUT), Some("2000"));
    assert_eq!((stored.headers.get(header::STREAM), stored.headers.get(header::SEQUENCE)), (Some("ORDERS"), Some("1")));
    let whole = letters.whole(first.letter.clone()).await.unwrap().message;
    assert_eq!((whole.message_id(), whole.headers.get("Baggage").map(str::len)), (Some("order-1"), Some(3_000)));

    raw.api("STREAM.MSG.DELETE.ORDERS", json!({ "seq": 2 })).await;
    mailer.mend();
    let refused = letters.redrive(&all(), false, SOON).await.unwrap_err();
    match &refused {
        LetterError::Lost { stream, sequence: 2, bytes: 2_000 } => assert_eq!(stream, "ORDERS"),
        other => panic!("it is to be told as lost, not: {other:?}"),
    }
    let told = refused.to_string();
    assert!(told.contains("message 2 of the stream `ORDERS` is gone") && told.contains("2000 bytes"), "{told}");
    soon("the first one is handled", || running.stats().handled == 1).await;
    assert_eq!(mailer.notes.all(), ["2000 7"]);
    assert_eq!(letters.list(&all()).await.unwrap(), std::slice::from_ref(second), "it stays where it is");

    // Another message in its place is not taken for it.
    for purge in ["STREAM.DELETE.ORDERS", "STREAM.CREATE.ORDERS"] {
        let config =
            if purge.contains("CREATE") { json!({ "name": "ORDERS", "subjects": ["orders.>"] }) } else { Value::Null };
        raw.api(purge, config).await;
    }
    store(&jetstream, Message::new("orders.a", "1")).await;
    store(&jetstream, Message::new("orders.a", "2")).await;
    let another = letters.whole(second.letter.clone()).await.unwrap_err();
    assert!(matches!(another, LetterError::Lost { .. }), "{another:?}");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn nothing_is_left_out_of_what_its_stream_gives_away() {
    let (server, raw) = with_small_letters(json!({ "subjects": ["orders.>"], "retention": "workqueue" })).await;
    let jetstream = jetstream(&server).await;
    let letters = DeadLetters::new(jetstream.clone(), "DEAD");
    assert!(!jetstream.keeps_acknowledged("ORDERS".to_owned()).await.unwrap());
    store(&jetstream, Message::new("orders.a", "x".repeat(2_000))).await;
    let mailer = Mendable::default();
    let running = mailer.work(&jetstream, quick().dead_letters(letters.clone())).await;
    soon("it was tried", || running.stats().letters_not_kept >= 2).await;
    assert_eq!((raw.messages("DEAD").await, raw.messages("ORDERS").await), (0, 1), "it is not lost");

    let larger =
        json!({ "name": "DEAD", "subjects": ["dead.>"], "max_msg_size": 10_000, "storage": "file", "num_replicas": 1 });
    raw.api("STREAM.UPDATE.DEAD", larger).await;
    soon("it is kept", || running.stats().dead_letters == 1).await;
    let [dead] = &letters.list(&all()).await.unwrap()[..] else { panic!("one letter") };
    assert_eq!((dead.letter.left_out, dead.letter.message.body.len()), (None, 2_000));
    running.shutdown(SOON).await;

    // Asked for by hand, it is told why.
    let mut letter = dead.letter.clone();
    letter.message.body = vec![b'x'; 20_000].into();
    letter.sequence = 9;
    let refused = letters.keep(&letter).await.unwrap_err();
    match &refused {
        LetterError::NothingToLeaveOut { sequence: 9, source: PublishError::Refused { .. }, .. } => {}
        other => panic!("its stream does not keep it, not: {other:?}"),
    }
    assert!(refused.to_string().contains("`ORDERS`"), "{refused}");
}
