//! What an append puts into the journal, as any NATS program sees it, and what a damaged journal looks like.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;

use std::time::Duration;

use common::{append, config, events, events_with, history, receipt, store, store_at, story, try_append};
use futures_util::StreamExt;
use headwater_core::store::{AppendError, EventFilter, EventStore, Freshness, Head, ReadError, ReadOptions, StartFrom};
use headwater_core::{Name, Revision};
use headwater_testkit::TestServer;
use serde_json::{Value, json};
use tokio::time::timeout;

async fn raw(server: &TestServer) -> async_nats::Client {
    async_nats::connect(server.url()).await.unwrap()
}

/// The message at this sequence, as a direct get shows it.
async fn message_at(client: &async_nats::Client, sequence: u64) -> async_nats::Message {
    let request = json!({ "seq": sequence }).to_string();
    client.request("$JS.API.DIRECT.GET.RECEIPTS_JOURNAL", request.into()).await.unwrap()
}

/// Stores a message by hand, with no guard.
async fn put(client: &async_nats::Client, subject: &str, body: &Value) -> u64 {
    let answer = client.request(subject.to_owned(), body.to_string().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    answer["seq"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn events_are_stored_as_the_protocol_says() {
    let server = TestServer::start().await;
    let (store, client) = (store(&server).await, raw(&server).await);
    let one = receipt("order 1.2");
    let head = append(&store, &one, &Head::EMPTY, 1).await;
    append(&store, &receipt("other"), &Head::EMPTY, 1).await;
    let three = events_with(&one, 3, r#"{"name":"Coffee"}"#);
    let head = try_append(&store, &one, &head, &three).await.unwrap().head;
    assert_eq!((head.revision(), head.sequence().get()), (Revision::new(4), 5));

    let message = message_at(&client, 4).await;
    let headers = message.headers.unwrap();
    assert_eq!(headers.get("Nats-Subject").unwrap().as_str(), "receipts.journal.receipt.order%201%2E2.item-removed");
    assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), three[1].id.to_string());
    let body: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(body["previous"], "-1,1");
    assert_eq!(body["revision"], 3);
    assert_eq!(body["subject"], "order 1.2");
    assert_eq!(body["data"], json!({ "name": "Coffee" }));
    assert_eq!(body["commandid"], three[0].metadata.command_id.as_str());

    let first = message_at(&client, 1).await;
    let body: Value = serde_json::from_slice(&first.payload).unwrap();
    assert!(body.get("previous").is_none(), "{body}");
    let guard = first.headers.unwrap();
    assert_eq!(guard.get("Nats-Expected-Last-Subject-Sequence").unwrap().as_str(), "0");
}

#[tokio::test]
async fn committed_events_and_only_they_reach_the_live_feed() {
    let server = TestServer::start().await;
    let (store, client) = (store(&server).await, raw(&server).await);
    let mut feed = client.subscribe("receipts.events.>").await.unwrap();
    headwater_testkit::known_to_server(&client).await;
    let one = receipt("one");
    append(&store, &one, &Head::EMPTY, 1).await;
    try_append(&store, &one, &Head::EMPTY, &events(&one, 1)).await.unwrap_err();
    try_append(&store, &one, &Head::EMPTY, &events(&one, 2)).await.unwrap_err();
    let head = store.head(&one, Freshness::Leader).await.unwrap();
    append(&store, &one, &head, 2).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let message = timeout(Duration::from_secs(5), feed.next()).await.unwrap().unwrap();
        let headers = message.headers.unwrap();
        assert!(headers.get("Nats-Subject").unwrap().as_str().starts_with("receipts.journal.receipt.one."));
        seen.push((message.subject.to_string(), headers.get("Nats-Sequence").unwrap().to_string()));
    }
    let expected = [("added", "1"), ("added", "2"), ("removed", "3")];
    assert_eq!(seen, expected.map(|(name, at)| (format!("receipts.events.receipt.item-{name}"), at.to_owned())));
}

#[tokio::test]
async fn a_history_of_many_appends_of_one_and_several_events_is_loaded_whole() {
    let server = TestServer::start().await;
    let store = store(&server).await;
    let (one, other) = (receipt("one"), receipt("other"));
    let (mut head, mut beside) = (Head::EMPTY, Head::EMPTY);
    for turn in 0..60 {
        head = append(&store, &one, &head, [1, 1, 5, 1, 2][turn % 5]).await;
        beside = append(&store, &other, &beside, 1).await;
    }
    assert_eq!(head.revision(), Revision::new(120));
    let lookups = store.stats().lookups;
    let whole = history(&store, &one).await;
    assert_eq!(whole.events.len(), 120);
    assert_eq!(whole.head, head);
    // One for the last event and one for each other: nothing is looked up twice, and nothing searched.
    assert_eq!(store.stats().lookups - lookups, 120);
    let lookups = store.stats().lookups;
    let tail = store.read(&one, ReadOptions::after(Revision::new(117))).await.unwrap();
    assert_eq!(tail.events.len(), 3);
    assert_eq!(store.stats().lookups - lookups, 3);
    let lookups = store.stats().lookups;
    assert!(store.read(&one, ReadOptions::after(Revision::new(120))).await.unwrap().events.is_empty());
    assert_eq!(store.stats().lookups - lookups, 1);
    let lookups = store.stats().lookups;
    let first = store.read(&one, ReadOptions::all().limit(2)).await.unwrap();
    assert_eq!(first.events.len(), 2);
    assert_eq!(first.head, head);
    // From 120 by way of 88, 56 and 24 to 1 and 2.
    assert_eq!(store.stats().lookups - lookups, 6);
}

#[tokio::test]
async fn a_full_journal_takes_nothing_loses_nothing_and_says_that_it_is_full() {
    let server = TestServer::start().await;
    let store = store_at(&server.url(), config().max_bytes(64 * 1024)).await;
    let one = receipt("one");
    let filler = format!("\"{}\"", "x".repeat(4000));
    let (mut head, mut stored) = (Head::EMPTY, 0);
    let refused = loop {
        match try_append(&store, &one, &head, &events_with(&one, 1, &filler)).await {
            Ok(appended) => (head, stored) = (appended.head, stored + 1),
            Err(refused) => break refused,
        }
        assert!(stored < 100, "it never became full");
    };
    assert!(matches!(&refused, AppendError::Unavailable { .. }), "{refused:?}");
    assert!(story(&refused).contains("full"), "{}", story(&refused));
    let batch = try_append(&store, &one, &head, &events_with(&one, 3, &filler)).await.unwrap_err();
    assert!(matches!(&batch, AppendError::Unavailable { .. }), "{batch:?}");
    let whole = history(&store, &one).await;
    assert_eq!((whole.events.len(), whole.head), (stored, head.clone()));
    // A larger journal goes on where it stopped.
    let larger = config().max_bytes(1 << 20).manage(headwater_nats_store::Manage::Update);
    let store = store_at(&server.url(), larger).await;
    append(&store, &one, &head, 3).await;
}

#[tokio::test]
async fn what_the_settings_or_the_server_find_too_large_is_refused_before_it_is_sent() {
    let server = TestServer::with(|server| server.max_payload(8 * 1024)).await;
    let store = store_at(&server.url(), config().max_event_size(4096)).await;
    let one = receipt("one");
    let of_size = |size: usize| format!("\"{}\"", "x".repeat(size));
    let refused = try_append(&store, &one, &Head::EMPTY, &events_with(&one, 1, &of_size(5000))).await.unwrap_err();
    assert!(matches!(&refused, AppendError::TooLarge { what, .. } if what.contains("4096")), "{refused:?}");
    let store = store_at(&server.url(), config()).await;
    let refused = try_append(&store, &one, &Head::EMPTY, &events_with(&one, 2, &of_size(8000))).await.unwrap_err();
    assert!(matches!(&refused, AppendError::TooLarge { what, .. } if what.contains("8192")), "{refused:?}");
    assert_eq!(history(&store, &one).await.head, Head::EMPTY);
    append(&store, &one, &Head::EMPTY, 2).await;
}

#[tokio::test]
async fn an_event_id_that_another_aggregate_has_is_never_taken_for_stored() {
    let server = TestServer::start().await;
    let store = store(&server).await;
    let (one, other) = (receipt("one"), receipt("other"));
    let stored = events(&one, 2);
    try_append(&store, &one, &Head::EMPTY, &stored).await.unwrap();
    for count in [1, 2] {
        let refused = try_append(&store, &other, &Head::EMPTY, &stored[..count]).await.unwrap_err();
        assert!(story(&refused).contains("taken by another aggregate"), "{}", story(&refused));
    }
    assert_eq!(history(&store, &other).await.head, Head::EMPTY);
}

/// Checks that every way to read says where the history breaks.
async fn assert_broken(store: &headwater_nats_store::JetStreamStore, id: &str, at: u64, because: &str) {
    for freshness in [Freshness::Fast, Freshness::Leader] {
        let refused = store.read(&receipt(id), ReadOptions::all().freshness(freshness)).await.unwrap_err();
        let ReadError::HistoryBroken { aggregate, revision, what } = &refused else { panic!("{id}: {refused:?}") };
        assert_eq!((aggregate.as_str(), *revision), (format!("receipt/{id}").as_str(), Revision::new(at)), "{what}");
        assert!(what.contains(because), "{id}: {what}");
    }
}

/// An event written by hand.
fn by_hand(id: &str, revision: u64, previous: &str) -> Value {
    let mut body = json!({
        "specversion": "1.0", "id": uuid::Uuid::new_v4(), "source": "/receipts", "type": "noted", "subject": id,
        "time": "2026-11-20T12:00:00Z", "datacontenttype": "application/json", "aggregatetype": "receipt",
        "revision": revision, "schemaversion": 1, "commandid": "by hand", "data": {},
    });
    if !previous.is_empty() {
        body["previous"] = json!(previous);
    }
    body
}

#[tokio::test]
async fn an_event_written_by_hand_as_the_protocol_says_is_an_event() {
    let server = TestServer::start().await;
    let (store, client) = (store(&server).await, raw(&server).await);
    let at = put(&client, "receipts.journal.receipt.one.noted", &by_hand("one", 1, "")).await;
    let head = append(&store, &receipt("one"), &store.head(&receipt("one"), Freshness::Leader).await.unwrap(), 1).await;
    put(&client, "receipts.journal.receipt.one.noted", &by_hand("one", 3, &format!("{},{at}", head.sequence()))).await;
    assert_eq!(history(&store, &receipt("one")).await.events.len(), 3);
}

#[tokio::test]
async fn a_broken_history_names_its_aggregate_and_revision() {
    let server = TestServer::start().await;
    let (store, client) = (store(&server).await, raw(&server).await);
    let subject = |id: &str| format!("receipts.journal.receipt.{id}.noted");

    // Something that is no event, behind three that are.
    append(&store, &receipt("junk"), &Head::EMPTY, 3).await;
    put(&client, &subject("junk"), &json!({ "hello": "world" })).await;
    assert_broken(&store, "junk", 4, "not a stored event").await;

    // Nothing but that.
    put(&client, &subject("only-junk"), &json!("hello")).await;
    assert_broken(&store, "only-junk", 1, "not a stored event").await;

    // An event that leaves a revision out.
    let head = append(&store, &receipt("gap"), &Head::EMPTY, 2).await;
    put(&client, &subject("gap"), &by_hand("gap", 4, &head.sequence().to_string())).await;
    assert_broken(&store, "gap", 3, "stands revision 2").await;

    // An event that names a message which is not there.
    let far = put(&client, &subject("far"), &by_hand("far", 2, "")).await;
    assert_broken(&store, "far", 1, "`previous` is missing").await;
    put(&client, &subject("beyond"), &by_hand("beyond", 2, &far.to_string())).await;
    assert_broken(&store, "beyond", 1, "of another aggregate").await;

    // The body of one aggregate under the subject of another.
    put(&client, &subject("mask"), &by_hand("face", 1, "")).await;
    assert_broken(&store, "mask", 1, "`subject` is not what the subject says").await;

    // Two events of the same revision.
    put(&client, &subject("twice"), &by_hand("twice", 1, "")).await;
    let first = put(&client, &subject("twice"), &by_hand("twice", 1, "")).await;
    put(&client, &subject("twice"), &by_hand("twice", 3, &format!("{first},{}", first - 1))).await;
    assert_broken(&store, "twice", 2, "stands revision 1").await;

    // A claim that no journal could hold does not exhaust anything.
    put(&client, &subject("boast"), &by_hand("boast", u64::MAX, "1")).await;
    assert_broken(&store, "boast", u64::MAX - 1, "").await;

    // The others are not touched.
    append(&store, &receipt("good"), &Head::EMPTY, 2).await;
    assert_eq!(history(&store, &receipt("good")).await.events.len(), 2);
}

#[tokio::test]
async fn an_append_to_a_broken_history_is_not_stored() {
    let server = TestServer::start().await;
    let (store, client) = (store(&server).await, raw(&server).await);
    let one = receipt("one");
    let head = append(&store, &one, &Head::EMPTY, 2).await;
    let junk = put(&client, "receipts.journal.receipt.one.noted", &json!({})).await;
    let refused = try_append(&store, &one, &head, &events(&one, 1)).await.unwrap_err();
    assert!(matches!(&refused, AppendError::Conflict { actual: None, .. }), "{refused:?}");
    let last = message_at(&client, junk + 1).await;
    assert_eq!(last.status.map(|status| status.as_u16()), Some(404));
}

#[tokio::test]
async fn a_subscription_stops_at_what_is_no_event() {
    let server = TestServer::start().await;
    let (store, client) = (store(&server).await, raw(&server).await);
    let noted = Name::new("noted").unwrap();
    for (id, subject) in [("junk", "receipts.journal.receipt.junk.noted"), ("more", "receipts.journal.elsewhere")] {
        let head = append(&store, &receipt(id), &Head::EMPTY, 1).await;
        let after = StartFrom::After(headwater_core::Sequence::new(head.sequence().get() - 1));
        let mut all = store.subscribe(EventFilter::all(), after).await.unwrap();
        let at = put(&client, subject, &json!({})).await;
        assert_eq!(all.next().await.unwrap().unwrap().sequence, head.sequence());
        let refused = all.next().await.unwrap().unwrap_err();
        assert!(matches!(&refused, ReadError::HistoryBroken { .. }), "{refused:?}");
        assert!(refused.to_string().contains(&format!("sequence {at}")), "{refused}");
        assert!(all.next().await.is_none(), "it ends with its first error");
    }
    let mut others = store.subscribe(EventFilter::all().event(noted), StartFrom::Now).await.unwrap();
    put(&client, "receipts.journal.receipt.fine.noted", &by_hand("fine", 1, "")).await;
    assert_eq!(others.next().await.unwrap().unwrap().aggregate, receipt("fine"));
}

#[tokio::test]
async fn a_journal_that_was_made_anew_ends_its_subscriptions() {
    let server = TestServer::start().await;
    let (store, client) = (store(&server).await, raw(&server).await);
    append(&store, &receipt("one"), &Head::EMPTY, 5).await;
    let mut all = store.subscribe(EventFilter::all(), StartFrom::Beginning).await.unwrap();
    for _ in 0..5 {
        all.next().await.unwrap().unwrap();
    }
    client.request("$JS.API.STREAM.DELETE.RECEIPTS_JOURNAL", "".into()).await.unwrap();
    let again = store_at(&server.url(), config()).await;
    append(&again, &receipt("one"), &Head::EMPTY, 1).await;
    let end = timeout(Duration::from_secs(40), all.next()).await.expect("the end comes").unwrap().unwrap_err();
    assert!(story(&end).contains("lost events"), "{}", story(&end));
}
