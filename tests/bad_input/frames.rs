//! Frames that no decent client sends, by a raw socket. The server forwards them all, and some kill the client library
//! that receives them. The service answers normal calls again within two seconds and loses nothing it accepted.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use headwater::client::{LiveItem, RetryPolicy};
use headwater_testkit::header_block;
use headwater_tests::load::Load;
use headwater_tests::plain::{add_item, command_subject, headers, query_subject};
use headwater_tests::{Plain, Site};
use serde_json::json;
use tokio::time::timeout;

/// Header blocks as they go over the wire, by what is wrong with them.
fn blocks() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a bare CR in a value", header_block(b"Name: a\rb")),
        ("a bare LF in a value", header_block(b"Name: a\nb")),
        ("a CR at the end of a value", header_block(b"Name: a\r")),
        ("a line without a colon", header_block(b"no colon here")),
        ("a value that is not UTF-8", header_block(b"Name: \xff\xfe")),
        ("a name that is not UTF-8", header_block(b"N\xffme: a")),
        ("a space in a name", header_block(b"a b: c")),
        ("an empty name", header_block(b": a")),
        ("no version", b"Name: a\r\n\r\n".to_vec()),
        ("a status that is no number", b"NATS/1.0 abc\r\n\r\n".to_vec()),
        ("no end", b"NATS/1.0\r\nName: a".to_vec()),
        ("nothing but an end", b"\r\n\r\n".to_vec()),
    ]
}

/// Subjects as they go over the wire, with a body for each.
fn subjects() -> [(String, Vec<u8>); 4] {
    [
        (command_subject("add-item"), add_item("hostile", "Poison").to_string().into_bytes()),
        (query_subject("get"), b"{\"aggregateId\":\"hostile\"}".to_vec()),
        ("$SRV.PING".to_owned(), Vec::new()),
        ("receipts.health".to_owned(), Vec::new()),
    ]
}

/// Waits until a normal call is answered, for two seconds at most. One call after the other goes out: the first may come
/// when nobody listens for a moment, or reach a client that has just died.
async fn back_within_two_seconds(plain: &Plain, what: &str) {
    let (subject, body) = (query_subject("get"), json!({ "aggregateId": "order-1" }).to_string());
    let call =
        async || plain.try_ask(&subject, headers([]), body.clone()).await.is_ok_and(|answer| answer.headers.is_empty());
    let mut calls = FuturesUnordered::new();
    let answered = async {
        loop {
            calls.push(call());
            let good = async {
                while let Some(is_good) = calls.next().await {
                    if is_good {
                        return;
                    }
                }
                std::future::pending().await
            };
            if timeout(Duration::from_millis(100), good).await.is_ok() {
                return;
            }
        }
    };
    let in_time = timeout(Duration::from_secs(2), answered).await;
    in_time.unwrap_or_else(|_| panic!("no normal call was answered within two seconds after {what}"));
}

#[tokio::test]
async fn the_service_answers_again_within_two_seconds_whatever_the_frame() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    let mut hostile = site.raw().await;
    for (what, block) in blocks() {
        for (subject, body) in subjects() {
            hostile.hpub(&subject, Some("_INBOX.hostile"), &block, &body).await.unwrap();
            hostile.ping().await.unwrap();
            back_within_two_seconds(&plain, &format!("{what} on {subject}")).await;
        }
    }
    let stats = instance.connections.callers.stats();
    assert!(stats.rebuilds + stats.reconnects > 0, "no frame did any harm, so nothing was shown: {stats:?}");
    assert_eq!(instance.connections.jetstream.stats().disconnects, 0, "the journal's connection is another one");
    plain.add("order-1", "Coffee").await.result();
}

#[tokio::test]
async fn many_hostile_frames_at_once_are_survived_too() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    let mut hostile = site.raw().await;
    for _ in 0..20 {
        for (_, block) in blocks() {
            let body = add_item("hostile", "Poison").to_string();
            hostile.hpub(&command_subject("add-item"), None, &block, body.as_bytes()).await.unwrap();
        }
    }
    hostile.ping().await.unwrap();
    back_within_two_seconds(&plain, "240 hostile frames").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_accepted_is_lost_to_hostile_frames() {
    let site = Site::open().await;
    let _instances = [site.instance().await, site.instance().await];
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    let stored_before = site.journal().await.count().await;
    let patient = RetryPolicy::default().attempts(5);
    let client = site.receipts_with(|client| client.retry(patient).timeout(Duration::from_secs(3))).await;
    let load = Load::start((0..8).map(|_| client.clone()), &["hot", "a", "b", "c"]);
    load.progress(20, Duration::from_secs(10)).await;
    let mut hostile = site.raw().await;
    for (what, block) in blocks() {
        hostile.hpub(&command_subject("add-item"), None, &block, b"{}").await.unwrap();
        hostile.ping().await.unwrap();
        back_within_two_seconds(&plain, what).await;
        load.progress(10, Duration::from_secs(10)).await;
    }
    let book = load.finish().await;
    assert!(book.given_up.is_empty(), "{:?}", book.failed_calls);
    book.check(&site.journal().await.all().await[stored_before as usize..]);
}

/// Anybody who may publish to the journal's subjects can put such a frame into the stream, where it is met by whoever
/// loads that aggregate.
#[tokio::test]
async fn a_hostile_frame_in_the_journal_harms_no_other_aggregate_for_longer_than_two_seconds() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let plain = site.plain().await;
    plain.add("order-1", "Tea").await.result();
    let mut hostile = site.raw().await;
    for (number, (what, block)) in blocks().into_iter().enumerate() {
        let subject = format!("receipts.journal.receipt.poisoned-{number}.item-added");
        hostile.hpub(&subject, None, &block, b"{}").await.unwrap();
        hostile.ping().await.unwrap();
        let id = format!("poisoned-{number}");
        let asked = timeout(Duration::from_secs(12), plain.get(&id)).await;
        let answer = asked.unwrap_or_else(|_| panic!("no answer about an aggregate with {what}"));
        // Some of these frames the server does not store.
        let number = answer.header("Nats-Service-Error-Code");
        assert!(["404", "500", "503", "504"].contains(&number), "{what}: {answer:?}");
        back_within_two_seconds(&plain, &format!("{what} in the journal")).await;
        plain.add("order-1", "Coffee").await.result();
    }
    assert!(instance.connections.jetstream.healthy());
}

#[tokio::test]
async fn a_live_feed_goes_on_after_hostile_frames() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, client) = (site.plain().await, site.receipts().await);
    let mut feed = client.live().await.unwrap();
    let mut hostile = site.raw().await;
    for (number, (what, block)) in blocks().into_iter().enumerate() {
        hostile.hpub("receipts.events.receipt.item-added", None, &block, b"{}").await.unwrap();
        hostile.ping().await.unwrap();
        // The feed misses what happens while its client is being replaced; it shows what happens afterwards.
        let id = format!("order-{number}");
        let shown = async {
            loop {
                plain.add(&id, "Tea").await.result();
                let next = timeout(Duration::from_millis(100), feed.next()).await;
                if let Ok(Some(LiveItem::Event(event))) = next
                    && event.recorded.aggregate.id() == id
                {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(5), shown).await.unwrap_or_else(|_| panic!("the feed is silent after {what}"));
    }
}
