//! A replicated journal on three servers. One test, since a cluster takes seconds to come up.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use common::{config, events, ids, receipt, try_append};
use futures_util::StreamExt;
use headwater_core::store::{AppendError, EventFilter, EventStore, Freshness, Head, ReadOptions, StartFrom};
use headwater_nats::connect::{Connection, NatsConfig};
use headwater_nats_store::{CommitMode, JetStreamStore};
use headwater_testkit::{NatsCluster, wait_until};
use serde_json::Value;
use tokio::time::timeout;

async fn open(cluster: &NatsCluster) -> JetStreamStore {
    let connection = Connection::connect(&NatsConfig::new(&cluster.urls().join(","))).await.unwrap();
    JetStreamStore::open(connection, config().replicas(3)).await.unwrap()
}

/// The index of the node that leads the journal's stream.
async fn leader(cluster: &NatsCluster, store: &JetStreamStore) -> usize {
    wait_until(Duration::from_secs(20), "the journal to have a leader", async || {
        let client = store.connection().ready(Duration::from_secs(1)).await.ok()?;
        let answer = client.request("$JS.API.STREAM.INFO.RECEIPTS_JOURNAL", "".into());
        let answer = timeout(Duration::from_secs(1), answer).await.ok()?.ok()?;
        let info: Value = serde_json::from_slice(&answer.payload).ok()?;
        cluster.index_of(info["cluster"]["leader"].as_str()?)
    })
    .await
}

/// Appends to an aggregate that others write to as well, with a reload after each conflict.
async fn compete(store: JetStreamStore, until: Instant) -> (HashSet<headwater_core::EventId>, usize) {
    let shared = receipt("shared");
    let (mut stored, mut conflicts) = (HashSet::new(), 0);
    while Instant::now() < until {
        let Ok(head) = store.head(&shared, Freshness::Leader).await else { continue };
        let events = events(&shared, 1 + conflicts % 2);
        match try_append(&store, &shared, &head, &events).await {
            Ok(_) => stored.extend(ids(&events)),
            Err(AppendError::Conflict { .. }) => conflicts += 1,
            Err(other) => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..4))).await;
    }
    (stored, conflicts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replicated_journal_outlives_its_leader() {
    let cluster = NatsCluster::start().await.unwrap();
    let opened = futures_util::future::join_all((0..3).map(|_| open(&cluster))).await;
    let store = opened[0].clone();
    let one = receipt("one");
    let head = common::append(&store, &one, &Head::EMPTY, 1).await;
    let head = common::append(&store, &one, &head, 3).await;

    // Batches are for appends of several events only, each its own: sharing one brings nothing here.
    for mode in [CommitMode::Auto, CommitMode::Grouped] {
        let connection = Connection::connect(&NatsConfig::new(&cluster.urls().join(","))).await.unwrap();
        let sharing = JetStreamStore::open(connection, config().replicas(3).commit(mode)).await.unwrap();
        let appends = (0..30).map(|number| {
            let (store, id) = (&sharing, receipt(&format!("{mode:?}-{number}")));
            async move { common::append(store, &id, &Head::EMPTY, 1 + number % 3).await }
        });
        for (number, head) in futures_util::future::join_all(appends).await.into_iter().enumerate() {
            assert_eq!(head.revision().get(), 1 + number as u64 % 3);
        }
        let stats = sharing.stats();
        assert_eq!((stats.appends, stats.grouped, stats.taken_apart), (30, 0, 0), "{mode:?}: {stats:?}");
        assert!((20..=20 + stats.resends).contains(&stats.batches), "{mode:?}: {stats:?}");
    }

    // The same append once more, with and without its old head.
    let repeated = events(&one, 1);
    let first = try_append(&store, &one, &head, &repeated).await.unwrap();
    for head in [&head, &first.head] {
        let again = try_append(&store, &one, head, &repeated).await.unwrap();
        assert!(again.duplicate && again.head == first.head, "{again:?}");
    }
    assert!(matches!(
        try_append(&store, &one, &head, &events(&one, 1)).await.unwrap_err(),
        AppendError::Conflict { .. }
    ));

    // What every store must do, it does here too.
    let under_test = store.clone();
    headwater_testkit::conformance::run_all(move || {
        let store = under_test.clone();
        async move { store }
    })
    .await;

    // Three instances want the same aggregate.
    let until = Instant::now() + Duration::from_secs(1);
    let competitors = opened.iter().map(|store| tokio::spawn(compete(store.clone(), until)));
    let (mut confirmed, mut conflicts) = (HashSet::new(), 0);
    for outcome in futures_util::future::join_all(competitors).await {
        let (stored, lost) = outcome.unwrap();
        confirmed.extend(stored);
        conflicts += lost;
    }
    let whole = store.read(&receipt("shared"), ReadOptions::all().freshness(Freshness::Leader)).await.unwrap();
    let stored: HashSet<_> = whole.events.iter().map(|event| event.event.id).collect();
    assert_eq!(stored, confirmed);
    println!("{} appends to one aggregate, {conflicts} conflicts", confirmed.len());
    assert!(conflicts > 0, "they did compete");

    // The leader dies while we append, and the append outlasts the election.
    let mut all = store.subscribe(EventFilter::all().aggregate(one.clone()), StartFrom::Beginning).await.unwrap();
    let killed = leader(&cluster, &store).await;
    cluster.node(killed).kill();
    let start = Instant::now();
    let mut head = first.head;
    for count in [1, 2, 1] {
        let events = events(&one, count);
        head = loop {
            match try_append(&store, &one, &head, &events).await {
                Ok(appended) => break appended.head,
                // Said at once while there is no connection: ours may have been to the one that died.
                Err(AppendError::Unavailable { .. }) if start.elapsed() < Duration::from_secs(15) => {}
                Err(other) => panic!("{other:?}"),
            }
        };
    }
    println!("three appends took {:?} over the death of the leader", start.elapsed());
    let whole = store.read(&one, ReadOptions::all().freshness(Freshness::Leader)).await.unwrap();
    assert_eq!((whole.events.len() as u64, &whole.head), (head.revision().get(), &head));
    for revision in 1..=head.revision().get() {
        let event = timeout(Duration::from_secs(30), all.next()).await.expect("in time").unwrap().unwrap();
        assert_eq!(event.revision.get(), revision);
    }
    assert_eq!(store.stats().unknowns, 0, "{:?}", store.stats());
}
