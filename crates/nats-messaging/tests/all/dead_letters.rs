//! Messages that cannot be handled: kept, listed, redriven, parked and released. In memory, with paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_nats_messaging::archive::Archive;
use headwater_nats_messaging::bucket::{BucketLimits, MemoryBucket};
use headwater_nats_messaging::consume::{ConsumeError, ConsumerConfig, Delivery};
use headwater_nats_messaging::dead_letter::{Cause, DeadLetters, Redriven, Release, Selection, header};
use headwater_nats_messaging::health::HealthSettings;
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::{Key, Processing, Processor, Retry};
use headwater_nats_messaging::router::handler::{EventHandler, Outcome};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::working::{
    Function, Notes, body, broker, info, mailer, noting, poison, quick, retry, start, store, store_all, until,
};

const SOON: Duration = Duration::from_secs(60);

fn letters(broker: &MemoryBroker) -> DeadLetters {
    DeadLetters::new(broker.clone(), "DEAD")
}

fn all() -> Selection {
    Selection::of("ORDERS", "mailer")
}

/// Fails at what `is_bad` says, and notes the rest.
fn picky<F>(notes: &Notes, is_bad: F) -> impl EventHandler + use<F>
where
    F: Fn(&str) -> bool + Send + Sync + 'static,
{
    let notes = notes.clone();
    let is_bad = Arc::new(is_bad);
    let picky = move |delivery: Arc<Delivery>| {
        let (notes, is_bad) = (notes.clone(), is_bad.clone());
        async move {
            if is_bad(&body(&delivery)) {
                return retry("no such address");
            }
            notes.note(&delivery);
            Outcome::Done
        }
    };
    Function(picky)
}

#[tokio::test(start_paused = true)]
async fn after_its_last_delivery_a_message_is_kept_with_all_that_is_known_of_it() {
    let broker = broker();
    store(&broker, Message::new("orders.a", "x").header("Trace", "7").id("order-1")).await;
    store_all(&broker, [("b", "y")]).await;
    let notes = Notes::default();
    let settings = quick().dead_letters(letters(&broker));
    let running = start(&broker, settings, picky(&notes, |body| body == "x")).await;
    until("both are done", || running.stats().dead_letters == 1 && running.stats().handled == 1).await;
    running.shutdown(SOON).await;
    let info = info(&broker).await;
    assert_eq!((info.ack_pending, info.ack_floor), (0, 2), "the consumer goes on without it");

    let found = letters(&broker).list(&all()).await.unwrap();
    let [dead] = found.as_slice() else { panic!("{found:?}") };
    let letter = &dead.letter;
    assert_eq!((letter.message.subject.as_str(), &letter.message.body[..]), ("orders.a", &b"x"[..]));
    assert_eq!((letter.message.headers.get("trace"), letter.message.message_id()), (Some("7"), Some("order-1")));
    assert_eq!((letter.cause, letter.deliveries, letter.sequence), (Cause::Failed, 3, 1));
    assert_eq!((letter.reason.as_str(), letter.redriven), ("no such address", 0));
    assert!(letter.first_failed <= letter.last_failed);
    let stored = &broker.messages("DEAD")[0];
    assert_eq!(stored.subject, "dead.ORDERS.mailer");
    assert_eq!(stored.headers.get(header::SUBJECT), Some("orders.a"));
}

#[tokio::test(start_paused = true)]
async fn poison_is_not_tried_again() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let settings = quick().dead_letters(letters(&broker));
    let running = start(&broker, settings, Function(|_| async { poison("line\r\nbreak") })).await;
    until("it is given up", || running.stats().dead_letters == 1).await;
    assert_eq!(running.stats().deliveries, 1);
    running.shutdown(SOON).await;
    let letter = letters(&broker).list(&all()).await.unwrap().remove(0).letter;
    assert_eq!((letter.cause, letter.reason.as_str()), (Cause::Poison, "line  break"));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_dead_letter_nobody_takes_is_kept_until_somebody_does_and_is_stored_once() {
    for order in [None, Some(Key::token(1))] {
        let broker = MemoryBroker::new();
        broker.stream("ORDERS", ["orders.>"]).unwrap();
        store_all(&broker, [("a", "x")]).await;
        let mut settings = quick().dead_letters(letters(&broker));
        if let Some(key) = order {
            settings = settings.in_order_by(key);
        }
        let running = start(&broker, settings, Function(|_| async { poison("no") })).await;
        until("it was tried", || running.stats().letters_not_kept > 3).await;
        assert_eq!(info(&broker).await.ack_floor, 0, "it is not lost");
        broker.stream("DEAD", ["dead.>"]).unwrap();
        until("it is kept", || running.stats().dead_letters == 1).await;
        running.shutdown(SOON).await;
        assert_eq!((info(&broker).await.ack_floor, broker.messages("DEAD").len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_kept_twice_is_stored_once() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let settings = quick().dead_letters(letters(&broker));
    let running = start(&broker, settings, Function(|_| async { poison("no") })).await;
    until("it is kept", || running.stats().dead_letters == 1).await;
    running.shutdown(SOON).await;
    let letter = letters(&broker).list(&all()).await.unwrap().remove(0).letter;
    assert!(letters(&broker).keep(&letter).await.unwrap().duplicate);
    assert_eq!(broker.messages("DEAD").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn letters_are_redriven_in_their_order_and_only_their_own_consumer_handles_them_again() {
    let broker = broker();
    store_all(&broker, [("a", "1"), ("b", "2"), ("a", "3")]).await;
    let (mailed, billed, broken) = (Notes::default(), Notes::default(), Arc::new(AtomicBool::new(true)));
    let flag = broken.clone();
    let settings = quick().concurrency(1).dead_letters(letters(&broker));
    let mailer = start(&broker, settings.clone(), picky(&mailed, move |_| flag.load(Ordering::SeqCst))).await;
    let config = headwater_nats_messaging::consume::ConsumerConfig::new("ORDERS", "billing");
    let billing = Processor::new(broker.clone(), config, noting(&billed)).settings(settings).start().await.unwrap();
    until("all are dead", || mailer.stats().dead_letters == 3 && billing.stats().handled == 3).await;
    broken.store(false, Ordering::SeqCst);

    let one = letters(&broker).redrive(&all().sequences([2]), false, SOON).await.unwrap();
    assert_eq!((one.redriven, one.is_cut_short), (1, false));
    until("it is handled", || mailer.stats().handled == 1).await;
    let some = letters(&broker).redrive(&all().subject("orders.a"), false, SOON).await.unwrap();
    assert_eq!(some.redriven, 2);
    until("they are handled", || mailer.stats().handled == 3).await;
    until("they were passed over", || billing.stats().duplicates == 3).await;
    assert_eq!((mailed.all(), billed.len()), (vec!["2".into(), "1".into(), "3".into()], 3));
    assert!(letters(&broker).list(&all()).await.unwrap().is_empty());
    assert_eq!(letters(&broker).redrive(&all(), false, SOON).await.unwrap().redriven, 0);
    let again = &broker.messages("ORDERS")[3];
    assert_eq!((again.subject.as_str(), Redriven::of(again).unwrap().times), ("orders.b", 1));
    mailer.shutdown(SOON).await;
    billing.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn redriving_that_ended_half_way_is_done_again_without_a_second_message() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let settings = quick().dead_letters(letters(&broker));
    let running = start(&broker, settings, Function(|_| async { poison("no") })).await;
    until("it is dead", || running.stats().dead_letters == 1).await;
    running.shutdown(SOON).await;
    // As if the program had ended between the message and the letter.
    let letter = broker.messages("DEAD").remove(0);
    letters(&broker).redrive(&all(), false, SOON).await.unwrap();
    store(&broker, letter.id("put back")).await;
    let report = letters(&broker).redrive(&all(), false, SOON).await.unwrap();
    assert_eq!((report.redriven, report.repeated), (1, 1));
    assert_eq!(broker.messages("ORDERS").len(), 2);
}

struct Parked {
    broker: MemoryBroker,
    bucket: MemoryBucket,
    notes: Notes,
    bad: Arc<std::sync::Mutex<Vec<&'static str>>>,
}

impl Parked {
    fn new(bad: &[&'static str]) -> Self {
        let bad = Arc::new(std::sync::Mutex::new(bad.to_vec()));
        Self { broker: broker(), bucket: MemoryBucket::new(BucketLimits::for_ever()), notes: Notes::default(), bad }
    }

    fn letters(&self) -> DeadLetters {
        letters(&self.broker).park(self.bucket.clone())
    }

    async fn start(&self) -> headwater_nats_messaging::processing::RunningProcessor {
        let bad = self.bad.clone();
        let is_bad = move |body: &str| bad.lock().unwrap().contains(&body);
        let settings = Processing::default()
            .retry(Retry::default().attempts(2).first(Duration::from_millis(10)))
            .in_order_by(Key::token(1))
            .dead_letters(self.letters());
        start(&self.broker, settings, picky(&self.notes, is_bad)).await
    }

    async fn release(&self) -> Release {
        self.letters().release("ORDERS", "mailer", "a", SOON).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn later_messages_of_a_dead_ones_key_wait_behind_it_and_are_released_in_order() {
    let case = Parked::new(&["a2"]);
    store_all(&case.broker, [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("a", "a4")]).await;
    let running = case.start().await;
    until("they are parked", || running.stats().parked == 2 && running.stats().handled == 2).await;
    assert_eq!(case.letters().parked("ORDERS", "mailer", "a").await.unwrap(), Some(2));
    let causes: Vec<_> = case.letters().list(&all()).await.unwrap().iter().map(|dead| dead.letter.cause).collect();
    assert_eq!(causes, [Cause::Failed, Cause::Parked, Cause::Parked]);
    let plain = case.letters().redrive(&all(), false, SOON).await.unwrap();
    assert_eq!((plain.redriven, plain.parked["a"]), (0, 3), "the order of a parked key is not broken by chance");

    case.bad.lock().unwrap().clear();
    assert_eq!(case.release().await, Release::Released { redriven: 3 });
    store_all(&case.broker, [("a", "a5")]).await;
    until("all are handled", || running.stats().handled == 6).await;
    let of_a: Vec<_> = case.notes.all().into_iter().filter(|note| note.starts_with('a')).collect();
    assert_eq!(of_a, ["a1", "a2", "a3", "a4", "a5"]);
    assert_eq!(case.letters().parked("ORDERS", "mailer", "a").await.unwrap(), None);
    assert!(case.letters().list(&all()).await.unwrap().is_empty());
    running.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_parked_over_restarts_and_for_every_instance() {
    let case = Parked::new(&["a1"]);
    store_all(&case.broker, [("a", "a1")]).await;
    let first = case.start().await;
    until("it is dead", || first.stats().dead_letters == 1).await;
    let other = case.start().await;
    first.shutdown(SOON).await;
    store_all(&case.broker, [("a", "a2")]).await;
    until("it is parked", || other.stats().parked == 1).await;
    other.shutdown(SOON).await;
    let third = case.start().await;
    store_all(&case.broker, [("a", "a3"), ("b", "b1")]).await;
    until("it is parked", || third.stats().parked == 1 && third.stats().handled == 1).await;
    case.bad.lock().unwrap().clear();
    assert_eq!(case.release().await, Release::Released { redriven: 3 });
    until("all are handled", || third.stats().handled == 4).await;
    assert_eq!(case.notes.all(), ["b1", "a1", "a2", "a3"]);
    third.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_dies_again_keeps_its_key_parked_and_its_place_before_the_others() {
    let case = Parked::new(&["a1"]);
    store_all(&case.broker, [("a", "a1"), ("a", "a2")]).await;
    let running = case.start().await;
    until("they are parked", || running.stats().parked == 1).await;
    assert_eq!(case.release().await, Release::DiedAgain { redriven: 1 });
    until("it is kept again", || running.stats().dead_letters == 2).await;
    let listed = case.letters().list(&all().key("a")).await.unwrap();
    let letters: Vec<_> = listed.iter().map(|dead| (dead.letter.origin, dead.letter.redriven)).collect();
    assert_eq!(letters, [(2, 0), (1, 1)]);
    assert!(case.notes.all().is_empty());
    case.bad.lock().unwrap().clear();
    assert_eq!(case.release().await, Release::Released { redriven: 2 });
    until("both are handled", || running.stats().handled == 2).await;
    assert_eq!(case.notes.all(), ["a1", "a2"]);
    running.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_nobody_handles_ends_in_time_and_the_next_one_goes_on_where_it_ended() {
    let case = Parked::new(&["a1"]);
    store_all(&case.broker, [("a", "a1"), ("a", "a2")]).await;
    let running = case.start().await;
    until("they are parked", || running.stats().parked == 1).await;
    running.shutdown(SOON).await;
    case.bad.lock().unwrap().clear();
    assert_eq!(case.release().await, Release::CutShort { redriven: 1 });
    let running = case.start().await;
    assert_eq!(case.release().await, Release::Released { redriven: 1 });
    until("both are handled", || running.stats().handled == 2).await;
    assert_eq!(case.notes.all(), ["a1", "a2"]);
    running.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_while_their_key_is_released_have_their_turn_after_it() {
    let case = Parked::new(&["a0"]);
    store_all(&case.broker, [("a", "a0")]).await;
    let running = case.start().await;
    until("it is dead", || running.stats().dead_letters == 1).await;
    case.bad.lock().unwrap().clear();
    let bodies: Vec<String> = (1..=30).map(|number| format!("a{number}")).collect();
    let publishing = async {
        for body in &bodies {
            store_all(&case.broker, [("a", body.as_str())]).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    let (released, ()) = tokio::join!(case.release(), publishing);
    assert!(matches!(released, Release::Released { redriven } if redriven >= 1), "{released:?}");
    until("all are handled", || running.stats().handled == 31).await;
    let expected: Vec<String> = (0..=30).map(|number| format!("a{number}")).collect();
    assert_eq!(case.notes.all(), expected);
    running.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_had_together_is_refused_at_the_start() {
    let broker = broker();
    let parking = letters(&broker).park(MemoryBucket::default());
    let handler = || Function(|_| async { Outcome::Done });
    let unordered = Processor::new(broker.clone(), mailer(), handler()).settings(quick().dead_letters(parking));
    let refused = unordered.start().await.unwrap_err();
    assert!(refused.to_string().contains("in_order_by"), "{refused}");
    let of_dead = headwater_nats_messaging::consume::ConsumerConfig::new("DEAD", "undertaker");
    let own = Processor::new(broker.clone(), of_dead, handler()).settings(quick().dead_letters(letters(&broker)));
    assert!(matches!(own.start().await, Err(ConsumeError::Refused { .. })));
}

#[tokio::test(start_paused = true)]
async fn something_else_among_the_dead_letters_is_left_alone() {
    let broker = broker();
    store(&broker, Message::new("dead.ORDERS.mailer", "by hand")).await;
    assert!(letters(&broker).list(&all()).await.unwrap().is_empty());
    assert_eq!(letters(&broker).redrive(&all(), true, SOON).await.unwrap().redriven, 0);
    assert!(broker.next("DEAD".into(), ">".into(), 1).await.unwrap().is_some());
}

/// A history by chance: messages that die by chance, processors that stop or vanish, releases that break off. How many messages
/// were redriven.
async fn chance(seed: u64) -> usize {
    const KEYS: [&str; 3] = ["a", "b", "c"];
    const MESSAGES: usize = 40;
    let mut chance = StdRng::seed_from_u64(seed);
    let case = Parked::new(&[]);
    let dying = Arc::new(std::sync::Mutex::new((StdRng::seed_from_u64(seed + 1_000), 0.15)));
    let start_one = async || {
        let (notes, dying) = (case.notes.clone(), dying.clone());
        let handler = Function(move |delivery: Arc<Delivery>| {
            let (notes, dying) = (notes.clone(), dying.clone());
            async move {
                let (pause, dies) = {
                    let (chance, likely) = &mut *dying.lock().unwrap();
                    let likely = *likely;
                    (chance.random_range(0..20), chance.random_bool(likely))
                };
                tokio::time::sleep(Duration::from_millis(pause)).await;
                if dies {
                    return poison("by chance");
                }
                notes.note(&delivery);
                Outcome::Done
            }
        });
        let settings = quick().in_order_by(Key::token(1)).dead_letters(case.letters());
        let settings = settings.health(HealthSettings::default().interval(Duration::from_millis(100)));
        let config = ConsumerConfig { ack_wait: Duration::from_millis(500), ..mailer() };
        Processor::new(case.broker.clone(), config, handler).settings(settings).start().await.unwrap()
    };
    let mut running = Some(start_one().await);
    for number in 0..MESSAGES {
        let key = KEYS[chance.random_range(0..KEYS.len())];
        store_all(&case.broker, [(key, format!("{key}{number:03}").as_str())]).await;
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..200))).await;
        match chance.random_range(0..20) {
            0 => drop(running.take()),
            1 => {
                if let Some(running) = running.take() {
                    running.shutdown(Duration::from_millis(chance.random_range(0..30))).await;
                }
            }
            2..=7 => {
                let limit = Duration::from_millis(chance.random_range(0..1_000));
                let releasing = case.letters();
                let release = releasing.release("ORDERS", "mailer", key, SOON);
                let _broken_off = tokio::time::timeout(limit, release).await;
            }
            _ => {}
        }
        if running.is_none() && chance.random_bool(0.5) {
            running = Some(start_one().await);
        }
    }
    dying.lock().unwrap().1 = 0.0;
    let running = match running {
        Some(running) => running,
        None => start_one().await,
    };
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        for key in KEYS {
            case.letters().release("ORDERS", "mailer", key, SOON).await.unwrap();
        }
    }
    until("all are acknowledged", || running.health().ack_pending + running.health().pending == 0).await;
    running.shutdown(SOON).await;
    let stuck = case.letters().list(&all()).await.unwrap();
    assert!(stuck.is_empty(), "seed {seed}: {stuck:?}");
    let counts = case.notes.counts();
    assert_eq!(counts.len(), MESSAGES, "seed {seed}: some were never handled");
    for key in KEYS {
        let mut seen = std::collections::HashSet::new();
        let first: Vec<_> =
            case.notes.all().into_iter().filter(|note| note.starts_with(key) && seen.insert(note.clone())).collect();
        assert!(first.is_sorted(), "seed {seed}: {first:?}");
    }
    case.broker.messages("ORDERS").iter().filter(|message| Redriven::of(message).is_some()).count()
}

#[tokio::test(start_paused = true)]
async fn whatever_dies_crashes_and_breaks_off_each_message_is_handled_and_keys_keep_their_order() {
    let mut redriven = 0;
    for seed in 0..20 {
        redriven += chance(seed).await;
    }
    assert!(redriven > 100, "only {redriven}: it was no test");
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_for_the_letter_that_all_others_wait_behind() {
    let case = Parked::new(&["a1"]);
    store_all(&case.broker, [("a", "a1"), ("a", "a2")]).await;
    let running = case.start().await;
    until("they are parked", || running.stats().parked == 1).await;
    case.bad.lock().unwrap().clear();
    // As if the process had ended after it parked the key, and the message came again half a minute later.
    let first = case.letters().list(&all().sequences([1])).await.unwrap().remove(0);
    assert!(case.broker.remove("DEAD".into(), first.place).await.unwrap());
    let late = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let mut letter = first.letter.clone();
        // Its id would be known as that of the one that was taken away.
        letter.stored += Duration::from_secs(1);
        case.letters().keep(&letter).await.unwrap();
    };
    let (released, ()) = tokio::join!(case.release(), late);
    assert_eq!(released, Release::Released { redriven: 2 });
    until("both are handled", || running.stats().handled == 2).await;
    assert_eq!(case.notes.all(), ["a1", "a2"]);
    running.shutdown(SOON).await;
}
