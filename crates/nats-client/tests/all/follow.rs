//! Following the journal without a durable: every event once, in the order of the journal, from any place on.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::journal;

use std::time::Duration;

use chrono::Utc;
use futures_util::StreamExt;
use headwater_core::store::{EventFilter, StartFrom};
use headwater_core::{AggregateId, RecordedEvent, Revision, Sequence};
use headwater_nats_client::NatsClient;
use headwater_nats_client::durable::{Follow, Following, ReaderError};
use headwater_testkit::{FaultProxy, TestServer, wait_until};
use journal::{LONG, MS, connect, name, receipt, world};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const IDS: [&str; 3] = ["a", "b", "c"];

async fn client(url: &str) -> NatsClient {
    NatsClient::new(connect(url).await, name("receipts"))
}

async fn next(following: &mut Following) -> RecordedEvent {
    timeout(LONG, following.next()).await.unwrap().unwrap().unwrap()
}

/// The places of the next events.
async fn places(following: &mut Following, count: usize) -> Vec<u64> {
    let mut places = Vec::new();
    for _ in 0..count {
        places.push(next(following).await.sequence.get());
    }
    places
}

async fn error(follow: Follow) -> ReaderError {
    let following = async {
        let mut following = match follow.await {
            Ok(following) => following,
            Err(error) => return error,
        };
        loop {
            if let Err(error) = following.next().await.unwrap() {
                return error;
            }
        }
    };
    timeout(LONG, following).await.unwrap()
}

#[tokio::test]
async fn every_event_is_shown_in_the_order_of_the_journal_and_those_to_come_too() {
    let (server, journal) = world().await;
    journal.append_rounds(&IDS, 400).await;
    let mut following = client(&server.url()).await.follow().await.unwrap();
    assert_eq!(places(&mut following, 1200).await, (1..=1200).collect::<Vec<_>>());
    let idle = timeout(100 * MS, following.next()).await;
    assert!(idle.is_err(), "{idle:?}");
    journal.append_rounds(&IDS, 1).await;
    assert_eq!(places(&mut following, 3).await, [1201, 1202, 1203]);
}

#[tokio::test]
async fn it_starts_at_any_place_time_or_revision() {
    let (server, journal) = world().await;
    journal.append_rounds(&IDS, 2).await;
    // JetStream stamps its messages by the same clock.
    sleep(20 * MS).await;
    let then = Utc::now();
    sleep(20 * MS).await;
    journal.append_rounds(&IDS, 2).await;
    let client = client(&server.url()).await;
    for (from, first) in [
        (StartFrom::Beginning, 1),
        (StartFrom::After(Sequence::new(4)), 5),
        (StartFrom::Time(then), 7),
        (StartFrom::After(Sequence::new(12)), 13),
        (StartFrom::Now, 13),
    ] {
        let mut following = client.follow().start(from).await.unwrap();
        if first == 13 {
            journal.append("a", "item-added").await;
            assert!(next(&mut following).await.sequence.get() >= first, "{from:?}");
        } else {
            let last = 12 - first + 1;
            assert_eq!(places(&mut following, last as usize).await, (first..=12).collect::<Vec<_>>(), "{from:?}");
        }
    }
    let mut following = client.follow().after_revision(receipt("b"), Revision::new(2)).await.unwrap();
    for revision in [3, 4] {
        let event = next(&mut following).await;
        assert_eq!((event.aggregate.id(), event.revision.get()), ("b", revision));
    }
}

#[tokio::test]
async fn the_server_picks_out_the_events_of_the_filter() {
    let (server, journal) = world().await;
    let invoice = AggregateId::new("invoice", "a").unwrap();
    for _ in 0..2 {
        journal.append("a", "item-added").await;
        journal.append_to(&invoice, "item-added", "{}").await;
        journal.append("b", "item-removed").await;
    }
    let (client, all) = (client(&server.url()).await, EventFilter::all);
    for (filter, expected) in [
        (all().kind(name("invoice")), vec![2, 5]),
        (all().event(name("item-removed")), vec![3, 6]),
        (all().event(name("item-removed")).event(name("item-added")).kind(name("receipt")), vec![1, 3, 4, 6]),
        (all().aggregate(receipt("a")).event(name("item-added")), vec![1, 4]),
    ] {
        let mut following = client.follow().filter(filter.clone()).await.unwrap();
        assert_eq!(places(&mut following, expected.len()).await, expected, "{filter:?}");
    }
    let nothing = all().kind(name("invoice")).aggregate(receipt("a"));
    let mut following = client.follow().filter(nothing).await.unwrap();
    assert!(timeout(100 * MS, following.next()).await.is_err());
}

#[tokio::test]
async fn until_now_it_ends_with_the_last_event_that_was_there() {
    let (server, journal) = world().await;
    let client = client(&server.url()).await;
    let all = async |follow: Follow| -> Vec<u64> {
        let following = timeout(LONG, follow.until_now()).await.unwrap().unwrap();
        let events = timeout(LONG, following.collect::<Vec<_>>()).await.unwrap();
        events.into_iter().map(|event| event.unwrap().sequence.get()).collect()
    };
    assert!(all(client.follow()).await.is_empty(), "an empty journal is at its end");
    // More than the server sends at once.
    journal.append_rounds(&IDS, 400).await;
    assert_eq!(all(client.follow()).await, (1..=1200).collect::<Vec<_>>());
    assert_eq!(all(client.follow().start(StartFrom::After(Sequence::new(1198)))).await, [1199, 1200]);
    assert_eq!(all(client.follow().after_revision(receipt("b"), Revision::new(398))).await, [1196, 1199]);
    for nothing in [
        client.follow().start(StartFrom::Now),
        client.follow().start(StartFrom::Time(Utc::now() + chrono::TimeDelta::hours(1))),
        client.follow().filter(EventFilter::all().event(name("never"))),
        client.follow().filter(EventFilter::all().kind(name("invoice")).aggregate(receipt("a"))),
    ] {
        assert!(all(nothing).await.is_empty());
    }

    let mut following = client.follow().until_now().await.unwrap();
    next(&mut following).await;
    journal.append("a", "item-added").await;
    let later = timeout(LONG, following.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(later.len(), 1199, "what comes while it reads is not shown");
}

#[tokio::test]
async fn it_goes_on_without_gaps_or_repeats_when_the_server_dies_or_the_connection_is_cut() {
    let (server, journal) = world().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let mut following = client(&proxy.url()).await.follow().await.unwrap();
    let faults = async {
        for fault in 0..8 {
            journal.append_rounds(&IDS, 20).await;
            match fault % 4 {
                0 => proxy.cut().await,
                1 => {
                    server.kill();
                    server.restart().await.unwrap();
                }
                // Deliveries vanish while the connection holds.
                2 => {
                    let mut left = 3;
                    proxy.lose_where(move |frame| {
                        let lost = left > 0 && frame.windows(13).any(|window| window == b"\"specversion\"");
                        left -= usize::from(lost);
                        lost
                    });
                }
                _ => {
                    proxy.freeze();
                    sleep(300 * MS).await;
                    proxy.pass();
                }
            }
        }
        journal.append_rounds(&IDS, 20).await;
    };
    let (places, ()) = tokio::join!(places(&mut following, 9 * 60), faults);
    assert_eq!(places, (1..=9 * 60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_that_is_no_event_is_the_end_and_names_its_place() {
    let (server, journal) = world().await;
    journal.append_rounds(&IDS, 1).await;
    let junk = journal.publish("receipts.journal.receipt.a.item-added", "not an event").await;
    journal.append_rounds(&IDS, 1).await;
    let mut following = client(&server.url()).await.follow().await.unwrap();
    assert_eq!(places(&mut following, 3).await, [1, 2, 3]);
    let error = timeout(LONG, following.next()).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains(&format!("broken at sequence {junk}")), "{error}");
    assert!(matches!(error, ReaderError::HistoryBroken { sequence, .. } if sequence == junk), "{error}");
    assert!(timeout(LONG, following.next()).await.unwrap().is_none(), "and nothing after it");
}

#[tokio::test]
async fn a_revision_that_is_missing_from_an_aggregate_is_the_end() {
    let (server, journal) = world().await;
    journal.append_rounds(&["a"], 2).await;
    let wrong = journal.append_as(&receipt("a"), 4, &[Sequence::new(2)], "item-added", "{}").await;
    let client = client(&server.url()).await;
    let one = client.follow().filter(EventFilter::all().aggregate(receipt("a")));
    for follow in [one.clone(), one.start(StartFrom::After(Sequence::new(1)))] {
        let error = error(follow).await;
        assert!(
            matches!(&error, ReaderError::HistoryBroken { sequence, what, .. }
            if *sequence == wrong && what.contains("revision 4") && what.contains("revision 3")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_journal_that_ends_before_the_place_is_another_one() {
    let (server, journal) = world().await;
    journal.append_rounds(&IDS, 1).await;
    let client = client(&server.url()).await;
    let error = error(client.follow().start(StartFrom::After(Sequence::new(17)))).await;
    assert!(matches!(&error, ReaderError::JournalLost(text) if text.contains("ends at sequence 3")), "{error:?}");

    let mut following = client.follow().await.unwrap();
    places(&mut following, 3).await;
    // The server removes the folder of all streams with the last of them.
    journal.api("STREAM.CREATE.KEEPER", &json!({ "name": "KEEPER", "subjects": ["keeper"] })).await;
    journal.delete().await;
    journal.make().await;
    journal.append_rounds(&IDS, 5).await;
    let error = timeout(LONG, following.next()).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(&error, ReaderError::JournalLost(text) if text.contains("made anew")), "{error:?}");
}

#[tokio::test]
async fn a_journal_that_is_not_there_is_an_error_at_once() {
    let server = TestServer::start().await;
    let client = NatsClient::builder(connect(&server.url()).await, name("receipts"));
    let client = client.timeout(Duration::from_millis(500)).build().unwrap();
    let error = error(client.follow()).await;
    assert!(matches!(&error, ReaderError::Refused(text) if text.contains("RECEIPTS_JOURNAL")), "{error:?}");
}

#[tokio::test]
async fn whoever_stops_following_leaves_nothing_behind() {
    let (server, journal) = world().await;
    journal.append_rounds(&IDS, 1).await;
    let client = client(&server.url()).await;
    let mut following = client.follow().await.unwrap();
    next(&mut following).await;
    let consumers = async || journal.api("CONSUMER.NAMES.RECEIPTS_JOURNAL", &Value::Null).await["total"].as_u64();
    assert_eq!(consumers().await, Some(1));
    drop(following);
    wait_until(LONG, "no consumers", async || consumers().await.filter(|total| *total == 0)).await;
}
