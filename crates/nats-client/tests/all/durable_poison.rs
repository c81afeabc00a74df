//! What a durable reader does with what cannot be handled: halt, put aside, skip, or say that the history is broken.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use headwater_core::RecordedEvent;
use headwater_nats_client::RetryPolicy;
use headwater_nats_client::durable::{Delivery, Poison, ReaderError, Verdict};
use headwater_testkit::wait_until;
use journal::{Journal, LONG, Log, MS, connect, reader, receipt, world};
use tokio::sync::Notify;

#[tokio::test]
async fn an_event_that_cannot_be_handled_halts_the_reader_and_is_the_first_of_the_next_one() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 1).await;
    let poisoned = journal.append("a", "cursed").await;
    journal.append_rounds(&["a", "b"], 2).await;
    let log = Log::default();
    let running = {
        let log = log.clone();
        let handler = move |delivery: Delivery<RecordedEvent>| {
            let cursed = delivery.event.event.name.as_str() == "cursed";
            if !cursed {
                log.note(&delivery.event);
            }
            async move { if cursed { Err(std::io::Error::other("no such table")) } else { Ok(()) } }
        };
        let retry = RetryPolicy::default().attempts(3).first_pause(MS);
        reader(connect(&server.url()).await, "totals").retry(retry).build().unwrap().run(handler).await.unwrap()
    };
    let error = tokio::time::timeout(LONG, running.ended()).await.unwrap().unwrap_err();
    let text = error.to_string();
    for part in ["totals", "cursed", "revision 2 of receipt/a", &format!("sequence {poisoned}"), "no such table"] {
        assert!(text.contains(part), "{text}");
    }
    let ReaderError::Halted(letter) = error else { panic!("{text}") };
    assert_eq!((letter.attempts, letter.event.sequence), (3, poisoned));
    assert_eq!(log.of("a"), [1], "nothing after it");
    assert_eq!(journal.consumer("totals").await["ack_floor"]["stream_seq"], 1, "and it is not acknowledged");

    let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
    let running = reader.run(log.handler()).await.unwrap();
    let all = async || (log.of("a").len() >= 4 && log.of("b").len() >= 2).then_some(());
    wait_until(LONG, "the rest", all).await;
    running.stop().await.unwrap();
    log.assert_whole(&journal);
}

#[tokio::test]
async fn an_event_that_cannot_be_handled_goes_to_the_dead_letters_and_is_acknowledged_when_they_have_it() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 1).await;
    journal.append("a", "cursed").await;
    journal.append_rounds(&["a"], 2).await;
    let (log, letters, offers) = (Log::default(), Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let running = {
        let (kept, offers) = (Arc::clone(&letters), Arc::clone(&offers));
        let keep = move |letter| {
            let offer = offers.fetch_add(1, Ordering::SeqCst);
            if offer >= 2 {
                kept.lock().unwrap().push(letter);
            }
            async move { if offer < 2 { Err("the letter box is full") } else { Ok(()) } }
        };
        let log = log.clone();
        let handler = move |delivery: Delivery<RecordedEvent>| {
            let cursed = delivery.event.event.name.as_str() == "cursed";
            if !cursed {
                log.note(&delivery.event);
            }
            async move { Ok::<_, String>(if cursed { Verdict::Term("never\nheard of it".into()) } else { Verdict::Ack }) }
        };
        let reader = reader(connect(&server.url()).await, "totals").poison(Poison::dead_letter(keep));
        reader.build().unwrap().run(handler).await.unwrap()
    };
    log.until(3).await;
    let stats = running.stop().await.unwrap();
    assert_eq!(log.of("a"), [1, 3, 4]);
    assert_eq!((stats.handled, stats.dead_letters, stats.failures, offers.load(Ordering::SeqCst)), (3, 1, 0, 3));
    let consumer = journal.consumer("totals").await;
    assert_eq!((&consumer["num_ack_pending"], &consumer["ack_floor"]["stream_seq"]), (&0.into(), &4.into()));
    let letters = letters.lock().unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.reason.as_str(), letter.attempts, letter.event.revision.get()), ("never\nheard of it", 1, 2));
}

#[tokio::test]
async fn an_event_that_cannot_be_handled_may_be_skipped() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 3).await;
    let log = Log::default();
    let running = {
        let log = log.clone();
        let handler = move |delivery: Delivery<RecordedEvent>| {
            let bad = delivery.event.revision.get() == 2;
            if !bad {
                log.note(&delivery.event);
            }
            async move { if bad { Err("no") } else { Ok(()) } }
        };
        let retry = RetryPolicy::default().attempts(2).first_pause(MS);
        let reader = reader(connect(&server.url()).await, "totals").retry(retry).poison(Poison::Skip);
        reader.build().unwrap().run(handler).await.unwrap()
    };
    log.until(2).await;
    let stats = running.stop().await.unwrap();
    assert_eq!(log.of("a"), [1, 3]);
    assert_eq!((stats.skipped, stats.failures, stats.handled, stats.in_hand), (1, 2, 2, 0));
    assert_eq!(journal.consumer("totals").await["num_ack_pending"], 0);
}

#[tokio::test]
async fn a_message_that_is_no_event_ends_the_reader_after_everything_before_it() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a", "b"], 3).await;
    let junk = journal.publish("receipts.journal.receipt.a.item-added", "{}").await;
    journal.append_rounds(&["a", "b"], 3).await;
    for _ in 0..2 {
        let log = Log::default();
        let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
        let running = reader.run(log.handler()).await.unwrap();
        let error = tokio::time::timeout(LONG, running.ended()).await.unwrap().unwrap_err();
        assert!(error.to_string().contains(&format!("broken at sequence {junk}")), "{error}");
        let ReaderError::HistoryBroken { sequence, aggregate, .. } = error else { panic!("{error}") };
        assert_eq!((sequence, aggregate), (junk, Some(receipt("a"))));
        let handled: HashSet<_> = log.entries().into_iter().collect();
        assert!(handled.iter().all(|(_, revision)| *revision <= 3), "{handled:?}");
        assert_eq!(journal.consumer("totals").await["ack_floor"]["stream_seq"], 6, "and everything before it is done");
    }
}

#[tokio::test]
async fn two_events_with_one_revision_break_the_history() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 2).await;
    let log = Log::default();
    let reader = reader(connect(&server.url()).await, "totals").build().unwrap();
    let running = reader.run(log.handler()).await.unwrap();
    log.until(2).await;
    // Somebody else writes the journal, without looking at what is there.
    let other = Journal::open(&server.url()).await;
    let doubled = other.append("a", "item-added").await;
    let error = tokio::time::timeout(LONG, running.ended()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("sequence 1"), "{error}");
    assert!(matches!(error, ReaderError::HistoryBroken { sequence, .. } if sequence == doubled), "{error}");
    assert_eq!(log.of("a"), [1, 2]);
}

#[tokio::test]
async fn a_reader_that_halts_while_it_is_stopped_says_why() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 1).await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let running = {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        let handler = move |_: Delivery<RecordedEvent>| {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            async move {
                begun.notify_one();
                go.notified().await;
                Ok::<_, String>(Verdict::Term("no".into()))
            }
        };
        reader(connect(&server.url()).await, "totals").build().unwrap().run(handler).await.unwrap()
    };
    begun.notified().await;
    let stopping = tokio::spawn(running.stop());
    tokio::task::yield_now().await;
    go.notify_one();
    assert!(matches!(stopping.await.unwrap(), Err(ReaderError::Halted(_))));
}
