//! Durable readers: in order, at least once, and from where they were.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::Utc;
use headwater_core::store::{EventFilter, StartFrom};
use headwater_core::{RecordedEvent, Sequence};
use headwater_nats_client::RetryPolicy;
use headwater_nats_client::durable::{Delivery, DurableReader, Poison, ReaderState, Verdict};
use headwater_testkit::wait_until;
use journal::{LONG, Log, MS, connect, name, reader, receipt, world};
use tokio::sync::Semaphore;

#[tokio::test]
async fn every_event_is_handled_once_and_in_the_order_of_its_aggregate_whatever_handlers_fail() {
    let (server, journal) = world().await;
    let ids = ["a", "b", "c", "d.e", "*"];
    journal.append_rounds(&ids, 20).await;
    let (log, tries) = (Log::default(), Arc::new(AtomicUsize::new(0)));
    let running = {
        let (log, tries) = (log.clone(), Arc::clone(&tries));
        let handler = move |delivery: Delivery<RecordedEvent>| {
            let (log, tries) = (log.clone(), Arc::clone(&tries));
            async move {
                // Whichever of them comes, each third try fails, in one way or another.
                let number = tries.fetch_add(1, Ordering::Relaxed);
                if number % 3 == 0 {
                    assert!(number % 2 == 0, "a panic on purpose");
                    return Err("a failure on purpose");
                }
                log.note(&delivery.event);
                Ok(())
            }
        };
        reader(connect(&server.url()).await, "totals").build().unwrap().run(handler).await.unwrap()
    };
    journal.append_rounds(&ids, 20).await;
    log.until(200).await;
    let stats = running.stop().await.unwrap();
    log.assert_whole(&journal);
    assert_eq!(tries.load(Ordering::Relaxed) as u64, 200 + stats.failures);
    assert_eq!((stats.handled, stats.duplicates, stats.in_hand), (200, 0, 0), "{stats:?}");
    assert!(stats.failures >= 60, "{stats:?}");
    let consumer = journal.consumer("totals").await;
    assert_eq!((&consumer["num_ack_pending"], &consumer["ack_floor"]["stream_seq"]), (&0.into(), &200.into()));
    assert_eq!(stats.position, Sequence::new(200));
}

#[tokio::test]
async fn later_events_wait_for_one_that_fails_and_other_aggregates_do_not() {
    let (server, journal) = world().await;
    journal.append_rounds(&["bad", "good"], 3).await;
    let (log, healed) = (Log::default(), Arc::new(AtomicUsize::new(0)));
    let running = {
        let (log, healed) = (log.clone(), Arc::clone(&healed));
        let handler = move |delivery: Delivery<RecordedEvent>| {
            let ill = delivery.event.aggregate.id() == "bad" && healed.load(Ordering::Relaxed) == 0;
            if !ill {
                log.note(&delivery.event);
            }
            async move { if ill { Err("not yet") } else { Ok(()) } }
        };
        let retry = RetryPolicy::default().attempts(u32::MAX).first_pause(MS).longest_pause(10 * MS);
        reader(connect(&server.url()).await, "totals").retry(retry).build().unwrap().run(handler).await.unwrap()
    };
    log.until(3).await;
    let tried = async || (running.stats().failures >= 5).then_some(());
    wait_until(LONG, "some failures", tried).await;
    assert_eq!((log.of("good"), log.of("bad")), (vec![1, 2, 3], vec![]));
    healed.store(1, Ordering::Relaxed);
    log.until(6).await;
    assert_eq!(log.of("bad"), [1, 2, 3]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_may_ask_for_an_event_to_come_again_later() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 2).await;
    let (log, times) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
    let running = {
        let (log, times) = (log.clone(), Arc::clone(&times));
        let handler = move |delivery: Delivery<RecordedEvent>| {
            times.lock().unwrap().push((delivery.event.revision.get(), delivery.attempt, Instant::now()));
            let verdict = if delivery.attempt < 3 { Verdict::Nak(150 * MS) } else { Verdict::Ack };
            if verdict == Verdict::Ack {
                log.note(&delivery.event);
            }
            async move { Ok::<_, String>(verdict) }
        };
        // One failure would halt it, but this is none.
        let retry = RetryPolicy::none();
        reader(connect(&server.url()).await, "totals").retry(retry).build().unwrap().run(handler).await.unwrap()
    };
    log.until(2).await;
    let stats = running.stop().await.unwrap();
    assert_eq!((stats.deferred, stats.failures), (4, 0));
    let times = times.lock().unwrap();
    assert_eq!(times.iter().map(|(revision, ..)| *revision).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 2]);
    for pair in times.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(pair[1].2 - pair[0].2 >= 150 * MS, "{pair:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_started_again_goes_on_where_it_was() {
    let (server, journal) = world().await;
    let all = Log::default();
    for round in 0..4 {
        journal.append_rounds(&["a", "b"], 5).await;
        let log = Log::default();
        let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
        let (this, every) = (log.clone(), all.clone());
        let handler = move |delivery: Delivery<RecordedEvent>| {
            this.note(&delivery.event);
            every.note(&delivery.event);
            async { Ok::<_, String>(()) }
        };
        let running = reader.run(handler).await.unwrap();
        log.until(10).await;
        running.stop().await.unwrap();
        assert_eq!(log.of("a"), (round * 5 + 1..=round * 5 + 5).collect::<Vec<u64>>());
    }
    all.assert_whole(&journal);
}

#[tokio::test]
async fn a_reader_starts_where_it_is_told_and_only_the_first_time() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 3).await;
    // JetStream stamps its messages by the same clock.
    tokio::time::sleep(20 * MS).await;
    let then = Utc::now();
    tokio::time::sleep(20 * MS).await;
    journal.append_rounds(&["a"], 2).await;
    for (name, from, first) in [
        ("from-the-beginning", StartFrom::Beginning, Some(1)),
        ("after-two", StartFrom::After(Sequence::new(2)), Some(3)),
        ("since-then", StartFrom::Time(then), Some(4)),
        ("from-now", StartFrom::Now, None),
    ] {
        let log = Log::default();
        let start = async |from, log: &Log| {
            let reader = reader(connect(&server.url()).await, name).start(from).build().unwrap();
            reader.run(log.handler()).await.unwrap()
        };
        let running = start(from, &log).await;
        let first = first.unwrap_or(journal.revisions()["a"] + 1);
        journal.append("a", "item-added").await;
        let last = journal.revisions()["a"];
        log.until((last - first + 1) as usize).await;
        running.stop().await.unwrap();
        assert_eq!(log.of("a"), (first..=last).collect::<Vec<_>>(), "{name}");
        // Started again it is past all that, whatever it is told.
        let again = Log::default();
        let running = start(StartFrom::Beginning, &again).await;
        assert_eq!(running.lag().await.unwrap().total(), 0, "{name}");
        running.stop().await.unwrap();
        assert_eq!(again.len(), 0, "{name}");
    }
}

#[tokio::test]
async fn the_server_picks_out_the_events_of_the_filter() {
    let (server, journal) = world().await;
    let invoice = headwater_core::AggregateId::new("invoice", "a").unwrap();
    for _ in 0..3 {
        journal.append("a", "item-added").await;
        journal.append("b", "item-removed").await;
        journal.append_to(&invoice, "item-added", "{}").await;
        journal.append("a", "finalized").await;
    }
    let all = EventFilter::all;
    for (reader_name, filter, expected) in [
        ("every", all(), 12),
        ("receipts", all().kind(name("receipt")), 9),
        ("removed", all().event(name("item-removed")), 3),
        ("two", all().kind(name("receipt")).event(name("item-added")).event(name("finalized")), 6),
        ("one", all().aggregate(receipt("a")), 6),
        ("one-of-one", all().aggregate(receipt("a")).event(name("finalized")), 3),
        ("none", all().event(name("unheard-of")), 0),
    ] {
        let log = Log::default();
        let reader = reader(connect(&server.url()).await, reader_name).filter(filter).build().unwrap();
        let running = reader.run(log.handler()).await.unwrap();
        log.until(expected).await;
        assert_eq!(running.lag().await.unwrap().unread, 0);
        let stats = running.stop().await.unwrap();
        assert_eq!((stats.handled, stats.deliveries), (expected as u64, expected as u64), "{reader_name}: {stats:?}");
    }
}

#[tokio::test]
async fn a_durable_follows_the_settings_when_they_change_and_keeps_its_place() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 4).await;
    let log = Log::default();
    let removed = EventFilter::all().event(name("item-removed"));
    let first = reader(connect(&server.url()).await, "totals").filter(EventFilter::all().event(name("item-added")));
    let running = first.build().unwrap().run(log.handler()).await.unwrap();
    log.until(4).await;
    running.stop().await.unwrap();
    journal.append("a", "item-removed").await;
    let next = reader(connect(&server.url()).await, "totals").filter(removed).ack_wait(7000 * MS).max_in_flight(9);
    let running = next.clone().build().unwrap().run(log.handler()).await.unwrap();
    log.until(5).await;
    running.stop().await.unwrap();
    assert_eq!(log.of("a"), [1, 2, 3, 4, 5]);
    let config = &journal.consumer("totals").await["config"];
    assert_eq!(config["filter_subject"], "receipts.journal.*.*.item-removed");
    assert_eq!((&config["ack_wait"], &config["max_ack_pending"]), (&7_000_000_000_u64.into(), &9.into()));
    assert_eq!(config["max_deliver"], -1);
    let two = EventFilter::all().event(name("item-added")).event(name("item-removed"));
    let running = next.filter(two).build().unwrap().run(log.handler()).await.unwrap();
    journal.append_rounds(&["a"], 1).await;
    log.until(6).await;
    running.stop().await.unwrap();
    assert_eq!(log.of("a"), [1, 2, 3, 4, 5, 6]);
}

/// Handlers that wait to be let go, and how many of them wait.
#[derive(Clone)]
struct Hall {
    gate: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    log: Log,
}

impl Hall {
    fn new() -> Self {
        let log = Log::default();
        Self { gate: Arc::new(Semaphore::new(0)), inside: Arc::default(), most: Arc::default(), log }
    }

    async fn pass(self, delivery: Delivery<RecordedEvent>) -> Result<(), String> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.log.note(&delivery.event);
        Ok(())
    }

    async fn until_inside(&self, count: usize) {
        let inside = async || (self.inside.load(Ordering::SeqCst) >= count).then_some(());
        wait_until(LONG, &format!("{count} handlers at work"), inside).await;
    }
}

#[tokio::test]
async fn no_more_events_are_in_hand_and_no_more_handlers_at_work_than_the_settings_say() {
    let (server, journal) = world().await;
    let ids: Vec<String> = (0..10).map(|number| format!("r-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    journal.append_rounds(&ids, 5).await;
    let hall = Hall::new();
    let running = {
        let hall = hall.clone();
        let reader = reader(connect(&server.url()).await, "totals").max_in_flight(7).parallel(3).build().unwrap();
        reader.run(move |delivery| hall.clone().pass(delivery)).await.unwrap()
    };
    hall.until_inside(3).await;
    let full = async || (running.stats().in_hand == 7).then_some(());
    wait_until(LONG, "seven events in hand", full).await;
    let lag = running.lag().await.unwrap();
    assert_eq!((lag.unacknowledged, lag.unread, lag.total()), (7, 43, 50));
    assert_eq!((running.stats().unread, running.stats().state), (43, ReaderState::Reading));
    for let_go in 1..=50 {
        hall.gate.add_permits(1);
        hall.log.until(let_go).await;
        assert!(running.stats().in_hand <= 7);
    }
    assert_eq!(hall.most.load(Ordering::SeqCst), 3);
    let lag = wait_until(LONG, "nothing behind", async || running.lag().await.ok().filter(|lag| lag.total() == 0));
    assert_eq!(lag.await.acknowledged_to, Sequence::new(50));
    running.stop().await.unwrap();
    hall.log.assert_whole(&journal);
}

#[tokio::test]
async fn a_handler_may_take_longer_than_the_time_to_acknowledge() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a", "b"], 2).await;
    let hall = Hall::new();
    let running = {
        let hall = hall.clone();
        let reader = reader(connect(&server.url()).await, "totals").ack_wait(300 * MS).build().unwrap();
        reader.run(move |delivery| hall.clone().pass(delivery)).await.unwrap()
    };
    hall.until_inside(2).await;
    tokio::time::sleep(1500 * MS).await;
    hall.gate.add_permits(4);
    hall.log.until(4).await;
    let stats = running.stop().await.unwrap();
    hall.log.assert_whole(&journal);
    assert_eq!((stats.deliveries, stats.duplicates), (4, 0), "{stats:?}");
}

#[tokio::test]
async fn a_reader_that_is_stopped_finishes_what_was_begun_and_gives_back_the_rest_at_once() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a", "b"], 20).await;
    let hall = Hall::new();
    let running = {
        let hall = hall.clone();
        let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
        reader.run(move |delivery| hall.clone().pass(delivery)).await.unwrap()
    };
    hall.until_inside(2).await;
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(50 * MS).await;
    assert!(!stopping.is_finished(), "two handlers are at work");
    hall.gate.add_permits(2);
    let stats = stopping.await.unwrap().unwrap();
    assert_eq!((hall.log.of("a"), hall.log.of("b")), (vec![1], vec![1]));
    assert_eq!((stats.handled, stats.state), (2, ReaderState::Stopped));
    assert_eq!(journal.consumer("totals").await["ack_floor"]["stream_seq"], 2);

    // The time to acknowledge is 30 seconds, and nobody waits for it.
    let start = Instant::now();
    let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
    let running = reader.run(hall.log.handler()).await.unwrap();
    hall.log.until(40).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    running.stop().await.unwrap();
    hall.log.assert_whole(&journal);
}

#[tokio::test]
async fn handlers_that_do_not_end_are_aborted_and_their_events_come_again() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 2).await;
    let hall = Hall::new();
    let running = {
        let hall = hall.clone();
        let reader = reader(connect(&server.url()).await, "totals").stop_timeout(200 * MS).build().unwrap();
        reader.run(move |delivery| hall.clone().pass(delivery)).await.unwrap()
    };
    hall.until_inside(1).await;
    running.stop().await.unwrap();
    let log = Log::default();
    let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
    let running = reader.run(log.handler()).await.unwrap();
    log.until(2).await;
    running.stop().await.unwrap();
    log.assert_whole(&journal);
}

#[tokio::test]
async fn of_two_readers_with_one_name_one_is_at_work_and_the_other_goes_on_when_it_stops() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a", "b"], 10).await;
    let (one, two) = (Hall::new(), Log::default());
    let first = {
        let hall = one.clone();
        let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
        reader.run(move |delivery| hall.clone().pass(delivery)).await.unwrap()
    };
    one.until_inside(2).await;
    let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
    let second = reader.run(two.handler()).await.unwrap();
    one.gate.add_permits(6);
    one.log.until(6).await;
    journal.append_rounds(&["a", "b"], 2).await;
    assert_eq!((second.stats().state, two.len()), (ReaderState::Waiting, 0));

    let stopping = tokio::spawn(first.stop());
    one.gate.add_permits(2);
    stopping.await.unwrap().unwrap();
    two.until(24 - one.log.len()).await;
    second.stop().await.unwrap();
    let all = Log::default();
    for id in ["a", "b"] {
        let revisions: Vec<u64> = one.log.of(id).into_iter().chain(two.of(id)).collect();
        assert_eq!(revisions, (1..=12).collect::<Vec<_>>(), "{id}: {all:?}");
    }
}

#[tokio::test]
async fn acknowledgements_are_confirmed_where_that_is_asked_for() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a", "b"], 50).await;
    let log = Log::default();
    let running = {
        let log = log.clone();
        let handler = move |delivery: Delivery<RecordedEvent>| {
            log.note(&delivery.event);
            let skipped = delivery.event.revision.get() == 7;
            async move { Ok::<_, String>(if skipped { Verdict::Term("seven".into()) } else { Verdict::Ack }) }
        };
        let reader = reader(connect(&server.url()).await, "totals").confirmed_acks(true).poison(Poison::Skip);
        reader.build().unwrap().run(handler).await.unwrap()
    };
    log.until(100).await;
    let empty = async || (running.stats().in_hand == 0).then_some(());
    wait_until(LONG, "all to be confirmed", empty).await;
    assert_eq!(running.lag().await.unwrap().total(), 0, "what is confirmed is known to the server");
    let stats = running.stop().await.unwrap();
    assert_eq!((stats.handled, stats.skipped, stats.duplicates), (98, 2, 0));
    log.assert_whole(&journal);
}

#[tokio::test]
async fn readers_with_different_names_have_nothing_to_do_with_each_other() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 10).await;
    let connection = connect(&server.url()).await;
    let (one, two) = (Log::default(), Log::default());
    let first = reader(connection.clone(), "one").build().unwrap().run(one.handler()).await.unwrap();
    let second = reader(connection, "two").build().unwrap().run(two.handler()).await.unwrap();
    one.until(10).await;
    two.until(10).await;
    first.stop().await.unwrap();
    journal.append_rounds(&["a"], 5).await;
    two.until(15).await;
    second.stop().await.unwrap();
    assert_eq!(one.len(), 10);
    two.assert_whole(&journal);
}

#[test]
fn readers_are_sent_between_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<DurableReader>();
    assert_send::<headwater_nats_client::durable::RunningReader>();
}
