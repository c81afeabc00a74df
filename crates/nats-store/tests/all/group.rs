//! Appends that share a batch, and what becomes of the others when one of them is refused.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;

use std::time::Duration;

use common::{append, config, events, history, ids, receipt, stored_ids, try_append};
use futures_util::future::join_all;
use headwater_core::NewEvent;
use headwater_core::store::{AppendError, Appended, EventStore, Freshness, Head};
use headwater_nats_store::{CommitMode, JetStreamStore};
use headwater_testkit::{FaultProxy, NatsServer, TestServer, wait_until};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// The first server whose batches may hold several aggregates.
const SHARED_BATCHES: (u64, u64, u64) = (2, 14, 4);

async fn store(server: &NatsServer, mode: CommitMode) -> JetStreamStore {
    common::store_at(&server.url(), config().commit(mode)).await
}

/// Appends `count` events to each of `aggregates` new aggregates, all at once.
async fn at_once(
    store: &JetStreamStore,
    aggregates: usize,
    count: usize,
) -> Vec<(String, Vec<NewEvent>, Result<Appended, AppendError>)> {
    let appends = (0..aggregates).map(|number| async move {
        let id = format!("r{number}");
        let events = events(&receipt(&id), count);
        let appended = try_append(store, &receipt(&id), &Head::EMPTY, &events).await;
        (id, events, appended)
    });
    join_all(appends).await
}

#[tokio::test]
async fn appends_of_several_events_share_batches_and_each_is_whole() {
    let server = TestServer::start().await;
    if server.is_older_than(SHARED_BATCHES) {
        return;
    }
    let store = store(&server, CommitMode::Auto).await;
    for (id, events, appended) in at_once(&store, 100, 3).await {
        let appended = appended.unwrap();
        let stored = history(&store, &receipt(&id)).await;
        assert_eq!((appended.head.revision().get(), &stored.head), (3, &appended.head));
        assert_eq!(stored.events.iter().map(|event| event.event.id).collect::<Vec<_>>(), ids(&events));
    }
    let stats = store.stats();
    assert_eq!((stats.appends, stats.grouped, stats.events), (100, 100, 300));
    assert!(stats.batches <= 10, "{stats:?}");
    assert!(stats.group.batch_micros.is_some());
}

#[tokio::test]
async fn who_is_behind_conflicts_alone_and_the_others_are_stored() {
    let server = TestServer::start().await;
    if server.is_older_than(SHARED_BATCHES) {
        return;
    }
    let store = store(&server, CommitMode::Auto).await;
    for stale in ["r7", "r42"] {
        append(&store, &receipt(stale), &Head::EMPTY, 1).await;
    }
    for (id, events, appended) in at_once(&store, 50, 2).await {
        match id.as_str() {
            "r7" | "r42" => {
                let refused = appended.unwrap_err();
                assert!(matches!(refused, AppendError::Conflict { actual: Some(actual), .. } if actual.get() == 1));
                assert_eq!(history(&store, &receipt(&id)).await.events.len(), 1);
            }
            _ => {
                appended.unwrap();
                assert_eq!(stored_ids(&store, &receipt(&id)).await, ids(&events));
            }
        }
    }
    assert!(store.stats().taken_apart >= 1, "{:?}", store.stats());
}

#[tokio::test]
async fn a_repeated_append_among_others_is_recognised() {
    let server = TestServer::start().await;
    let store = store(&server, CommitMode::Grouped).await;
    let (old, repeated) = (receipt("old"), events(&receipt("old"), 2));
    let first = try_append(&store, &old, &Head::EMPTY, &repeated).await.unwrap();
    let nothing = Head::EMPTY;
    let again = try_append(&store, &old, &nothing, &repeated);
    let (again, others) = tokio::join!(again, at_once(&store, 20, 2));
    let again = again.unwrap();
    assert!(again.duplicate);
    assert_eq!(again.head, first.head);
    assert!(others.into_iter().all(|(_, _, appended)| !appended.unwrap().duplicate));
    assert_eq!(history(&store, &old).await.events.len(), 2);
}

#[tokio::test]
async fn of_two_appends_to_one_aggregate_at_once_one_wins() {
    let server = TestServer::start().await;
    let store = store(&server, CommitMode::Grouped).await;
    for round in 0..20 {
        let one = receipt(&format!("contended-{round}"));
        let sent = (0..8).map(|_| async { try_append(&store, &one, &Head::EMPTY, &events(&one, 1 + round % 2)).await });
        let won = join_all(sent).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(won, 1);
        assert_eq!(history(&store, &one).await.events.len(), 1 + round % 2);
    }
}

#[tokio::test]
async fn the_mode_says_who_shares() {
    let server = TestServer::start().await;
    if server.is_older_than(SHARED_BATCHES) {
        return;
    }
    let pipelined = store(&server, CommitMode::Pipelined).await;
    assert!(at_once(&pipelined, 20, 2).await.into_iter().all(|(_, _, appended)| appended.is_ok()));
    assert_eq!((pipelined.stats().batches, pipelined.stats().grouped), (20, 0));
    let grouped = store(&server, CommitMode::Grouped).await;
    let singles = (0..20).map(|number| {
        let (grouped, id) = (&grouped, receipt(&format!("single-{number}")));
        async move { append(grouped, &id, &Head::EMPTY, 1).await }
    });
    join_all(singles).await;
    assert_eq!(grouped.stats().grouped, 20);
    assert!(grouped.stats().batches < 10, "{:?}", grouped.stats());
}

#[tokio::test]
async fn a_lost_acknowledgement_of_a_shared_batch_is_settled_for_everybody_in_it() {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let store = common::store_at(&proxy.url(), common::hasty()).await;
    proxy.lose_where(|frame| frame.windows(8).any(|part| part == b"\"batch\":"));
    let (appended, ()) = tokio::join!(at_once(&store, 30, 2), async {
        wait_until(Duration::from_secs(10), "a lost acknowledgement", || async {
            (store.stats().lost_acks > 0).then_some(())
        })
        .await;
        proxy.lose_nothing();
    });
    for (id, events, appended) in appended {
        assert_eq!(appended.unwrap().head.revision().get(), 2);
        assert_eq!(stored_ids(&store, &receipt(&id)).await, ids(&events));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_that_syncs_every_write_one_event_appends_come_to_share_batches() {
    let server = TestServer::with(|server| server.jetstream_config("sync_interval: always")).await;
    if server.is_older_than(SHARED_BATCHES) {
        return;
    }
    let store = store(&server, CommitMode::Auto).await;
    let enough = std::sync::atomic::AtomicBool::new(false);
    let (store, enough) = (&store, &enough);
    let writers = (0..96).map(|writer| async move {
        let id = receipt(&format!("w{writer}"));
        let mut head = Head::EMPTY;
        while !enough.load(std::sync::atomic::Ordering::Relaxed) {
            head = append(store, &id, &head, 1).await;
        }
        (id, head)
    });
    let watch = wait_until(Duration::from_secs(60), "grouping", || async {
        (store.stats().grouped > 200).then(|| enough.store(true, std::sync::atomic::Ordering::Relaxed))
    });
    let (written, ()) = tokio::join!(join_all(writers), watch);
    for (id, head) in written {
        assert_eq!(store.head(&id, Freshness::Leader).await.unwrap(), head);
    }
}

/// Before 2.14.4 a batch over several aggregates may be refused although all its expectations hold (nats-server issue 8376).
#[tokio::test]
async fn a_server_whose_batches_over_several_aggregates_are_unsafe_gets_none() {
    let server = TestServer::start().await;
    if server.is_older_than(SHARED_BATCHES) {
        return;
    }
    let own = server.version().to_string();
    for (version, shares) in [("2.14.3", false), ("2.12.1", false), ("2.14.4", true), (own.as_str(), true)] {
        let url = as_version(&server, version).await;
        for mode in [CommitMode::Auto, CommitMode::Grouped] {
            let store = common::store_at(&url, config().commit(mode)).await;
            assert_eq!(store.connection().server_info().unwrap().version.to_string(), version);
            let appends = (0..40).map(|number| {
                let (store, id) = (&store, receipt(&format!("{version}-{mode:?}-{number}")));
                async move { append(store, &id, &Head::EMPTY, 2).await }
            });
            assert!(join_all(appends).await.iter().all(|head| head.revision().get() == 2));
            let stats = store.stats();
            assert_eq!(stats.grouped > 0, shares, "{version}, {mode:?}: {stats:?}");
            assert_eq!(stats.batches == 40, !shares, "{version}, {mode:?}: {stats:?}");
        }
    }
}

/// The address of the same server when it says that it is of this version.
async fn as_version(server: &NatsServer, version: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let (address, own) = (server.address(), format!(r#""version":"{}""#, server.version()));
    let told = format!(r#""version":"{version}""#);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(address).await.unwrap();
            tokio::spawn(relay(client, server, own.clone(), told.clone()));
        }
    });
    url
}

/// Passes everything on, with another version in each `INFO`.
async fn relay(client: tokio::net::TcpStream, server: tokio::net::TcpStream, own: String, told: String) {
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut lines = BufReader::new(from_server);
    let mut line = Vec::new();
    // Bodies are passed line by line as well; only protocol lines begin with `INFO `.
    while matches!(lines.read_until(b'\n', &mut line).await, Ok(1..)) {
        let changed = match std::str::from_utf8(&line) {
            Ok(info) if info.starts_with("INFO ") => info.replace(&own, &told).into_bytes(),
            _ => line.clone(),
        };
        if to_client.write_all(&changed).await.is_err() {
            break;
        }
        line.clear();
    }
    up.abort();
}
