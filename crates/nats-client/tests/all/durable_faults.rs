//! Durable readers while servers die, connections drop, consumers vanish and readers are killed: nothing is lost, and
//! nothing overtakes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headwater_core::RecordedEvent;
use headwater_nats_client::durable::{Delivery, ReaderError, ReaderState, RunningReader};
use headwater_testkit::{FaultProxy, TestServer, wait_until};
use journal::{Journal, LONG, Log, MS, connect, reader};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;
use tokio::time::sleep;

const IDS: [&str; 4] = ["a", "b", "c", "d"];

/// Waits until every event of the journal was handled at least once.
async fn until_all_handled(log: &Log, journal: &Journal) {
    let all: u64 = journal.revisions().values().sum();
    let handled = async || {
        let distinct: HashSet<_> = log.entries().into_iter().collect();
        (distinct.len() as u64 == all).then_some(())
    };
    wait_until(3 * LONG, &format!("all {all} events to be handled"), handled).await;
}

/// Does something to the way to the server, and waits until the reader has noticed.
async fn disturb(running: &RunningReader, fault: impl AsyncFnOnce()) {
    let open = async || (running.stats().state != ReaderState::Opening).then_some(());
    wait_until(LONG, "the way to be open", open).await;
    let before = running.stats().reopened;
    fault().await;
    let noticed = async || (running.stats().reopened > before).then_some(());
    wait_until(LONG, "the reader to notice", noticed).await;
}

async fn until_acknowledged(running: &RunningReader) {
    let none = async || running.lag().await.ok().filter(|lag| lag.total() == 0);
    wait_until(LONG, "nothing to be unacknowledged", none).await;
}

/// A handler that fails one time in four, and then notes the event.
fn clumsy(log: &Log) -> impl Fn(Delivery<RecordedEvent>) -> std::future::Ready<Result<(), &'static str>> + use<> {
    let log = log.clone();
    move |delivery| {
        let fails = delivery.attempt == 1 && delivery.event.sequence.get() % 4 == 0;
        if !fails {
            log.note(&delivery.event);
        }
        std::future::ready(if fails { Err("a failure on purpose") } else { Ok(()) })
    }
}

#[tokio::test]
async fn a_server_that_is_killed_again_and_again_takes_nothing_with_it() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let log = Log::default();
    let reader = reader(connect(&server.url()).await, "totals").ack_wait(2000 * MS).build().unwrap();
    let running = reader.run(clumsy(&log)).await.unwrap();
    let kills = async {
        for count in [60, 150, 240, 330] {
            log.until(count).await;
            disturb(&running, async || server.kill()).await;
            server.restart().await.unwrap();
        }
    };
    tokio::join!(journal.append_rounds(&IDS, 100), kills);
    until_all_handled(&log, &journal).await;
    until_acknowledged(&running).await;
    let stats = running.stop().await.unwrap();
    log.assert_whole_but_for_repeats(&journal);
    // What came again was recognised, or had been handled by nobody.
    assert_eq!(log.len(), 400, "{stats:?}");
}

#[tokio::test]
async fn acknowledgements_that_died_with_the_server_hold_nothing_up() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let log = Log::default();
    // The time to acknowledge is 30 seconds: whoever waited for it would be late.
    let running = reader(connect(&server.url()).await, "totals").build().unwrap().run(log.handler()).await.unwrap();
    for round in 1..=3 {
        journal.append_rounds(&IDS, 50).await;
        log.until(round * 200).await;
        // The server writes down what is acknowledged a moment later, and dies before it does.
        server.kill();
        server.restart().await.unwrap();
    }
    let start = Instant::now();
    journal.append_rounds(&IDS, 10).await;
    log.until(640).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} {:?}", start.elapsed(), running.stats());
    until_acknowledged(&running).await;
    running.stop().await.unwrap();
    log.assert_whole(&journal);
}

#[tokio::test]
async fn a_durable_that_somebody_deletes_is_made_anew_where_the_reader_was() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let log = Log::default();
    let running = reader(connect(&server.url()).await, "totals").build().unwrap().run(clumsy(&log)).await.unwrap();
    let deletions = async {
        for count in [50, 150] {
            log.until(count).await;
            journal.delete_consumer("totals").await;
        }
    };
    tokio::join!(journal.append_rounds(&IDS, 60), deletions);
    until_all_handled(&log, &journal).await;
    until_acknowledged(&running).await;
    // And once more, while there is nothing to do.
    journal.delete_consumer("totals").await;
    let made = async || (running.stats().recreated == 3).then_some(());
    wait_until(LONG, "the durable to be made anew", made).await;
    journal.append_rounds(&IDS, 1).await;
    log.until(244).await;
    let stats = running.stop().await.unwrap();
    log.assert_whole(&journal);
    assert_eq!(stats.handled, 244, "{stats:?}");
}

/// A reader behind a network that misbehaves when told to.
struct Bad {
    _server: TestServer,
    journal: Journal,
    proxy: FaultProxy,
}

impl Bad {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let journal = Journal::create(&server.url()).await;
        let proxy = FaultProxy::start(server.address()).await.unwrap();
        Self { _server: server, journal, proxy }
    }
}

#[tokio::test]
async fn nothing_overtakes_a_message_that_was_lost_on_the_way() {
    let bad = Bad::start().await;
    let (log, mut lost) = (Log::default(), 0);
    // Every tenth delivery of the first ones, the connection holding all the while.
    bad.proxy.lose_where(move |frame| {
        let delivery = frame.windows(18).any(|window| window == b"\"specversion\":\"1.0");
        lost += usize::from(delivery);
        delivery && lost <= 60 && lost % 10 == 3
    });
    let reader = reader(connect(&bad.proxy.url()).await, "totals").ack_wait(1000 * MS).build().unwrap();
    let running = reader.run(log.handler()).await.unwrap();
    bad.journal.append_rounds(&IDS, 30).await;
    until_all_handled(&log, &bad.journal).await;
    assert!(bad.proxy.lost() >= 6);
    running.stop().await.unwrap();
    log.assert_whole(&bad.journal);
}

#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_loses_nothing() {
    let bad = Bad::start().await;
    let log = Log::default();
    let reader = reader(connect(&bad.proxy.url()).await, "totals").ack_wait(1000 * MS).build().unwrap();
    let running = reader.run(clumsy(&log)).await.unwrap();
    let cuts = async {
        for count in [20, 60, 100, 140] {
            log.until(count).await;
            disturb(&running, async || bad.proxy.cut().await).await;
        }
    };
    tokio::join!(bad.journal.append_rounds(&IDS, 60), cuts);
    until_all_handled(&log, &bad.journal).await;
    until_acknowledged(&running).await;
    running.stop().await.unwrap();
    log.assert_whole(&bad.journal);
}

#[tokio::test]
async fn events_that_waited_through_a_long_outage_are_not_handled_behind_the_servers_back() {
    let bad = Bad::start().await;
    let (log, gate, begun) = (Log::default(), Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (log, gate, begun) = (log.clone(), Arc::clone(&gate), Arc::clone(&begun));
        move |delivery: Delivery<RecordedEvent>| {
            let (log, gate) = (log.clone(), Arc::clone(&gate));
            begun.fetch_add(1, Ordering::SeqCst);
            async move {
                gate.acquire().await.unwrap().forget();
                log.note(&delivery.event);
                Ok::<_, String>(())
            }
        }
    };
    let reader = reader(connect(&bad.proxy.url()).await, "totals").ack_wait(1000 * MS).parallel(1).build().unwrap();
    let running = reader.run(handler).await.unwrap();
    bad.journal.append_rounds(&IDS, 3).await;
    // What is in hand may still wait until the server has said that nothing older can come.
    let taken = async || (running.stats().in_hand == 12 && begun.load(Ordering::SeqCst) == 1).then_some(());
    wait_until(LONG, "all to be in hand, and one to be begun", taken).await;
    bad.proxy.refuse().await;
    bad.proxy.cut().await;
    sleep(1500 * MS).await;
    // One was begun. What waits may be somebody else's by now.
    gate.add_permits(100);
    log.until(1).await;
    sleep(300 * MS).await;
    assert_eq!(log.len(), 1, "{:?}", running.stats());
    bad.proxy.accept().await.unwrap();
    until_all_handled(&log, &bad.journal).await;
    until_acknowledged(&running).await;
    running.stop().await.unwrap();
    log.assert_whole(&bad.journal);
}

#[tokio::test]
async fn what_a_killed_reader_had_in_hand_comes_before_what_is_newer() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    journal.append_rounds(&IDS, 10).await;
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(6)));
    let handler = {
        let (log, gate) = (log.clone(), Arc::clone(&gate));
        move |delivery: Delivery<RecordedEvent>| {
            let (log, gate) = (log.clone(), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                log.note(&delivery.event);
                Ok::<_, String>(())
            }
        }
    };
    let builder = |connection| reader(connection, "totals").ack_wait(1500 * MS).takeover_after(500 * MS);
    let killed = builder(connect(&server.url()).await).build().unwrap().run(handler).await.unwrap();
    log.until(6).await;
    let told = async || (journal.consumer("totals").await["num_ack_pending"] == 34).then_some(());
    wait_until(LONG, "six acknowledgements", told).await;
    let stats = killed.stats();
    drop(killed);
    assert_eq!(stats.handled, 6);
    // Never what was not handled: the acknowledged ones are those that were.
    assert_eq!(journal.consumer("totals").await["num_ack_pending"], 34);

    // These are delivered at once, and the others when their time is over.
    journal.append_rounds(&IDS, 10).await;
    let next = builder(connect(&server.url()).await).build().unwrap().run(log.handler()).await.unwrap();
    let settling = async || (next.stats().state == ReaderState::Settling).then_some(());
    wait_until(LONG, "the next reader to wait for the rest", settling).await;
    until_all_handled(&log, &journal).await;
    next.stop().await.unwrap();
    log.assert_whole(&journal);
}

#[tokio::test]
async fn a_reader_that_stands_by_takes_over_from_one_that_died() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let (log, other) = (Log::default(), Log::default());
    let builder = |connection| reader(connection, "totals").ack_wait(1000 * MS).takeover_after(500 * MS);
    let first = builder(connect(&server.url()).await).build().unwrap().run(log.handler()).await.unwrap();
    journal.append_rounds(&IDS, 5).await;
    log.until(20).await;
    let second = builder(connect(&server.url()).await).build().unwrap().run(other.handler()).await.unwrap();
    journal.append_rounds(&IDS, 5).await;
    log.until(40).await;
    drop(first);
    journal.append_rounds(&IDS, 5).await;
    other.until(20).await;
    second.stop().await.unwrap();
    for id in IDS {
        let both: Vec<u64> = log.of(id).into_iter().chain(other.of(id)).collect();
        assert_eq!(both, (1..=15).collect::<Vec<_>>(), "{id}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_for_longer_than_the_time_to_acknowledge_confuses_nobody() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let log = Log::default();
    let handler = {
        let log = log.clone();
        move |delivery: Delivery<RecordedEvent>| {
            let log = log.clone();
            async move {
                sleep(3 * MS).await;
                log.note(&delivery.event);
                Ok::<_, String>(())
            }
        }
    };
    let reader = reader(connect(&server.url()).await, "totals").ack_wait(500 * MS).parallel(2).build().unwrap();
    journal.append_rounds(&IDS, 50).await;
    let running = reader.run(handler).await.unwrap();
    for count in [20, 60] {
        log.until(count).await;
        server.pause().unwrap();
        sleep(1200 * MS).await;
        server.resume().unwrap();
    }
    until_all_handled(&log, &journal).await;
    until_acknowledged(&running).await;
    running.stop().await.unwrap();
    log.assert_whole_but_for_repeats(&journal);
}

#[tokio::test]
async fn a_journal_that_was_made_anew_is_not_taken_for_the_old_one() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let log = Log::default();
    let running = reader(connect(&server.url()).await, "totals").build().unwrap().run(log.handler()).await.unwrap();
    journal.append_rounds(&IDS, 5).await;
    log.until(20).await;
    // The server removes the folder of all streams with the last of them.
    journal.api("STREAM.CREATE.KEEPER", &serde_json::json!({ "name": "KEEPER", "subjects": ["keeper"] })).await;
    journal.delete().await;
    journal.make().await;
    journal.append_rounds(&IDS, 10).await;
    let error = tokio::time::timeout(LONG, running.ended()).await.unwrap().unwrap_err();
    assert!(matches!(&error, ReaderError::JournalLost(text) if text.contains("made anew")), "{error:?}");
    assert_eq!(log.len(), 20, "nothing of the new one");
}

#[tokio::test]
async fn a_journal_that_is_deleted_ends_the_reader() {
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let running =
        reader(connect(&server.url()).await, "totals").build().unwrap().run(Log::default().handler()).await.unwrap();
    journal.delete().await;
    let error = tokio::time::timeout(LONG, running.ended()).await.unwrap().unwrap_err();
    assert!(matches!(&error, ReaderError::Refused(text) if text.contains("RECEIPTS_JOURNAL")), "{error:?}");
}

#[tokio::test]
async fn through_a_storm_of_faults_everything_is_handled_and_nothing_overtakes() {
    let given = std::env::var("HEADWATER_SEED").ok();
    let seed = given.map_or_else(|| rand::rng().random(), |seed| seed.parse().unwrap());
    // Shown when the test fails.
    println!("HEADWATER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = TestServer::start().await;
    let journal = Journal::create(&server.url()).await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let log = Log::default();
    let confirmed = random.random();
    let start = async |log: &Log| {
        let reader = reader(connect(&proxy.url()).await, "totals").ack_wait(800 * MS).takeover_after(400 * MS);
        // An answer that is lost takes a few seconds to be missed.
        let reader = reader.open_timeout(LONG);
        reader.confirmed_acks(confirmed).build().unwrap().run(clumsy(log)).await.unwrap()
    };
    let faults = async {
        let mut running = start(&log).await;
        let mut killed = 0;
        for _ in 0..14 {
            sleep(Duration::from_millis(random.random_range(50..400))).await;
            match random.random_range(0..6) {
                0 => {
                    server.kill();
                    server.restart().await.unwrap();
                }
                1 => proxy.cut().await,
                2 => proxy.lose_next(3),
                3 => {
                    proxy.freeze();
                    sleep(Duration::from_millis(random.random_range(100..1500))).await;
                    proxy.pass();
                }
                4 => {
                    // A reader that dies may have handled what it had no time to acknowledge.
                    drop(running);
                    killed += 1;
                    running = start(&log).await;
                }
                _ => {
                    running.stop().await.unwrap();
                    running = start(&log).await;
                }
            }
        }
        (running, killed)
    };
    let ((), (running, killed)) = tokio::join!(journal.append_rounds(&IDS, 150), faults);
    until_all_handled(&log, &journal).await;
    until_acknowledged(&running).await;
    running.stop().await.unwrap();
    log.assert_whole_but_for_repeats(&journal);
    println!("{} of 600 were handled twice after {killed} kills", log.len() - 600);
}
