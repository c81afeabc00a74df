//! Appends over a limit that only the server knows: alone and in company. Who breaks the limit is told so, the others
//! are stored, and of nothing a part.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;

use std::time::{Duration, Instant};

use common::{append, config, events, events_with, history, ids, receipt, stored_ids, try_append};
use futures_util::future::join_all;
use headwater_core::NewEvent;
use headwater_core::store::{AppendError, EventStore, Head};
use headwater_nats_store::{CommitMode, JetStreamStore};
use headwater_testkit::TestServer;
use serde_json::{Value, json};

const MODES: [CommitMode; 3] = [CommitMode::Auto, CommitMode::Pipelined, CommitMode::Grouped];

/// Longer than any of these takes, and shorter than an append that is tried again and again.
const SOON: Duration = Duration::from_secs(5);

/// Changes the stream behind the store's back.
async fn reconfigure(store: &JetStreamStore, change: impl FnOnce(&mut Value)) {
    let client = store.connection().client();
    let answer = client.request("$JS.API.STREAM.INFO.RECEIPTS_JOURNAL", "".into()).await.unwrap();
    let mut config = serde_json::from_slice::<Value>(&answer.payload).unwrap()["config"].take();
    change(&mut config);
    let answer = client.request("$JS.API.STREAM.UPDATE.RECEIPTS_JOURNAL", config.to_string().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert!(answer.get("error").is_none(), "{answer:#}");
}

/// A command whose event at each of these places is larger than the stream takes.
fn oversized(id: &str, count: usize, places: &[usize]) -> Vec<NewEvent> {
    let one = receipt(id);
    let mut events = events(&one, count);
    for place in places {
        events[*place].data = format!("\"{}\"", "x".repeat(4000)).into();
    }
    events
}

#[track_caller]
fn check_too_large(refused: &AppendError) {
    assert!(matches!(refused, AppendError::TooLarge { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_message_over_the_streams_limit_is_too_large_wherever_it_stands_in_its_append() {
    let server = TestServer::start().await;
    for mode in MODES {
        let store = common::store_at(&server.url(), config().commit(mode)).await;
        reconfigure(&store, |config| config["max_msg_size"] = json!(2000)).await;
        for (count, places) in [(1, vec![0]), (2, vec![0]), (2, vec![1]), (5, vec![2]), (3, vec![0, 1, 2])] {
            let id = format!("{mode:?}-{count}-{places:?}");
            let start = Instant::now();
            let refused = try_append(&store, &receipt(&id), &Head::EMPTY, &oversized(&id, count, &places)).await;
            check_too_large(&refused.unwrap_err());
            assert!(start.elapsed() < SOON, "{id}: {:?}", start.elapsed());
            assert_eq!(history(&store, &receipt(&id)).await.head, Head::EMPTY);
            // The lane goes on.
            append(&store, &receipt(&id), &Head::EMPTY, count).await;
        }
    }
}

#[tokio::test]
async fn who_is_over_the_streams_limit_is_refused_alone_and_the_others_are_stored() {
    let server = TestServer::start().await;
    for mode in MODES {
        let store = common::store_at(&server.url(), config().commit(mode)).await;
        reconfigure(&store, |config| config["max_msg_size"] = json!(2000)).await;
        let start = Instant::now();
        let appends = (0..30).map(|number| {
            let (store, id) = (&store, format!("{mode:?}-{number}"));
            async move {
                let too_large = number % 10 == 3;
                // Of a batch's messages only the last one is answered by itself.
                let places: &[usize] = match number {
                    3 => &[0],
                    _ if too_large => &[1],
                    _ => &[],
                };
                let events = oversized(&id, 2, places);
                (id.clone(), too_large, ids(&events), try_append(store, &receipt(&id), &Head::EMPTY, &events).await)
            }
        });
        for (id, too_large, sent, appended) in join_all(appends).await {
            let stored = stored_ids(&store, &receipt(&id)).await;
            if too_large {
                check_too_large(&appended.unwrap_err());
                assert_eq!(stored, [], "{id}");
            } else {
                assert_eq!(appended.unwrap().head.revision().get(), 2, "{id}");
                assert_eq!(stored, sent, "{id}");
            }
        }
        assert!(start.elapsed() < SOON, "{mode:?}: {:?}", start.elapsed());
    }
}

/// The server takes 50 open batches of a stream, from all instances together.
#[tokio::test]
async fn more_batches_at_once_than_the_server_takes_are_all_stored() {
    let server = TestServer::start().await;
    let url = server.url();
    let open = async || common::store_at(&url, config().commit(CommitMode::Pipelined)).await;
    let instances = join_all((0..8).map(|_| open())).await;
    let appends = instances.iter().enumerate().flat_map(|(instance, store)| {
        (0..20).map(move |number| async move {
            append(store, &receipt(&format!("{instance}-{number}")), &Head::EMPTY, 3).await
        })
    });
    assert!(join_all(appends).await.iter().all(|head| head.revision().get() == 3));
}

/// The server takes 1 000 messages in a batch.
#[tokio::test]
async fn a_batch_over_its_limit_is_too_large_and_nothing_of_it_is_stored() {
    let server = TestServer::start().await;
    for mode in MODES {
        let store = common::store_at(&server.url(), config().commit(mode)).await;
        let one = receipt(&format!("{mode:?}"));
        let refused = try_append(&store, &one, &Head::EMPTY, &events(&one, 1001)).await.unwrap_err();
        check_too_large(&refused);
        assert!(refused.to_string().contains("1001 events"), "{refused}");
        assert_eq!(history(&store, &one).await.head, Head::EMPTY);
        append(&store, &one, &Head::EMPTY, 1000).await;
    }
}

#[tokio::test]
async fn in_a_full_journal_every_member_of_a_batch_is_unavailable_and_none_is_stored() {
    let server = TestServer::start().await;
    for mode in MODES {
        let store = common::store_at(&server.url(), config().commit(mode)).await;
        reconfigure(&store, |config| config["max_bytes"] = json!(64 * 1024)).await;
        let start = Instant::now();
        let filler = format!("\"{}\"", "x".repeat(70 * 1024));
        let appends = (0..10).map(|number| {
            let (store, one) = (&store, receipt(&format!("{mode:?}-{number}")));
            let filler = &filler;
            async move {
                let events = events_with(&one, 2, filler);
                (one.clone(), try_append(store, &one, &Head::EMPTY, &events).await)
            }
        });
        for (one, appended) in join_all(appends).await {
            let refused = appended.unwrap_err();
            assert!(matches!(refused, AppendError::Unavailable { .. }), "{refused:?}");
            assert_eq!(history(&store, &one).await.head, Head::EMPTY);
        }
        assert!(start.elapsed() < SOON, "{mode:?}: {:?}", start.elapsed());
        // With room again, the same store goes on.
        reconfigure(&store, |config| config["max_bytes"] = json!(8 << 20)).await;
        append(&store, &receipt(&format!("{mode:?}-0")), &Head::EMPTY, 2).await;
        reconfigure(&store, |config| config["max_bytes"] = json!(-1)).await;
        store.check().await.unwrap();
    }
}
