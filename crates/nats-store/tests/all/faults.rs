//! Acknowledgements that are lost, servers that die, connections that drop: what is said is what is true.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use common::{append, events, hasty, history, ids, receipt, store, store_at, stored_ids, story, try_append};
use futures_util::StreamExt;
use headwater_core::EventId;
use headwater_core::store::{AppendError, EventFilter, EventStore, Head, StartFrom};
use headwater_nats_store::JetStreamStore;
use headwater_testkit::{FaultProxy, TestServer, wait_until};
use tokio::time::timeout;

/// A store that reaches its server through a network that misbehaves when told to.
struct Bad {
    server: TestServer,
    proxy: FaultProxy,
    store: JetStreamStore,
}

impl Bad {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let proxy = FaultProxy::start(server.address()).await.unwrap();
        let store = store_at(&proxy.url(), hasty()).await;
        Self { server, proxy, store }
    }

    /// Loses the next `count` acknowledgements of appends, and nothing else.
    fn lose_acks(&self, mut count: usize) {
        self.proxy.lose_where(move |frame| {
            let lost = count > 0 && contains(frame, br#""stream":"RECEIPTS_JOURNAL""#) && contains(frame, br#""seq":"#);
            count -= usize::from(lost);
            lost
        });
    }

    /// Another instance, over a good network.
    async fn other(&self) -> JetStreamStore {
        store(&self.server).await
    }
}

fn contains(frame: &[u8], part: &[u8]) -> bool {
    frame.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_lost_acknowledgement_is_settled_as_the_success_it_was() {
    let bad = Bad::start().await;
    let one = receipt("one");
    let (mut head, mut stored) = (Head::EMPTY, Vec::new());
    for count in [1, 3, 1, 2] {
        let events = events(&one, count);
        bad.lose_acks(1);
        let appended = try_append(&bad.store, &one, &head, &events).await.unwrap();
        assert!(appended.duplicate, "the first attempt stored them");
        assert_eq!(appended.head.revision(), head.revision().plus(count));
        head = appended.head;
        stored.extend(ids(&events));
    }
    assert_eq!(bad.proxy.lost(), 4);
    assert_eq!(stored_ids(&bad.store, &one).await, stored);
    assert_eq!(history(&bad.store, &one).await.head, head);
    let stats = bad.store.stats();
    assert_eq!((stats.lost_acks, stats.duplicates, stats.unknowns), (4, 4, 0));
}

#[tokio::test]
async fn a_lost_acknowledgement_is_settled_although_others_went_on_since() {
    let bad = Bad::start().await;
    let other = bad.other().await;
    for count in [1, 4] {
        let one = receipt(&format!("one-{count}"));
        let events = events(&one, count);
        bad.lose_acks(1);
        let lost_before = bad.proxy.lost();
        let others = async {
            wait_until(Duration::from_secs(5), "the acknowledgement to be lost", async || {
                (bad.proxy.lost() > lost_before).then_some(())
            })
            .await;
            let mut head = history(&other, &one).await.head;
            for more in [1, 2, 40] {
                head = append(&other, &one, &head, more).await;
            }
        };
        let nothing = Head::EMPTY;
        let attempt = try_append(&bad.store, &one, &nothing, &events);
        let (appended, ()) = tokio::join!(attempt, others);
        let appended = appended.unwrap();
        assert!(appended.duplicate);
        assert_eq!(appended.head.revision().get(), count as u64);
        let whole = history(&other, &one).await;
        assert_eq!(whole.events[count - 1].sequence, appended.head.sequence());
        assert_eq!(whole.events.len(), count + 43);
    }
}

#[tokio::test]
async fn an_append_that_never_arrived_is_sent_again() {
    let bad = Bad::start().await;
    for count in [1, 3] {
        let one = receipt(&format!("one-{count}"));
        let events = events(&one, count);
        // What the store sends while frozen reaches the server only after it was given up on.
        bad.proxy.freeze();
        let thaw = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            bad.proxy.pass();
        };
        let nothing = Head::EMPTY;
        let attempt = try_append(&bad.store, &one, &nothing, &events);
        let (appended, ()) = tokio::join!(attempt, thaw);
        assert_eq!(appended.unwrap().head.revision().get(), count as u64);
        assert_eq!(stored_ids(&bad.store, &one).await, ids(&events));
    }
}

#[tokio::test]
async fn a_look_up_that_is_not_answered_is_asked_of_the_leader() {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let store = store_at(&proxy.url(), hasty().hedge_after(Duration::from_millis(50))).await;
    let one = receipt("one");
    append(&store, &one, &Head::EMPTY, 5).await;
    // Only direct answers carry the sequence in a header.
    proxy.lose_where(|frame| contains(frame, b"Nats-Sequence: "));
    let start = Instant::now();
    assert_eq!(history(&store, &one).await.events.len(), 5);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(store.stats().hedged, 5);
    assert_eq!(proxy.lost(), 5);
}

#[tokio::test]
async fn a_cut_connection_is_survived_in_the_middle_of_appends() {
    let bad = Bad::start().await;
    let writers = (0..8).map(|writer| {
        let store = bad.store.clone();
        async move {
            let one = receipt(&format!("cut-{writer}"));
            let (mut head, mut stored) = (Head::EMPTY, Vec::new());
            for turn in 0..60 {
                let events = events(&one, if turn % 4 == 0 { 3 } else { 1 });
                // Where the machine is slow to connect again, it may take more patience than the store has for what it did not send.
                let appended = wait_until(Duration::from_secs(10), "an append", async || {
                    match try_append(&store, &one, &head, &events).await {
                        Err(AppendError::Unavailable { .. }) => None,
                        told => Some(told.unwrap()),
                    }
                });
                head = appended.await.head;
                stored.extend(ids(&events));
            }
            assert_eq!(stored_ids(&store, &one).await, stored);
        }
    });
    let cutting = async {
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            bad.proxy.cut().await;
        }
    };
    tokio::join!(futures_util::future::join_all(writers), cutting);
    assert_eq!(bad.store.stats().unknowns, 0);
}

#[tokio::test]
async fn while_nothing_comes_back_the_outcome_is_unknown_and_never_a_failure() {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let store = store_at(&proxy.url(), hasty().settle_timeout(Duration::from_secs(1))).await;
    for count in [1, 2] {
        let one = receipt(&format!("one-{count}"));
        let events = events(&one, count);
        proxy.lose_for(Duration::from_secs(60));
        let refused = try_append(&store, &one, &Head::EMPTY, &events).await.unwrap_err();
        assert!(matches!(&refused, AppendError::OutcomeUnknown { .. }), "{refused:?}");
        proxy.pass();
        // It was stored, and the same append finds that out.
        let again = wait_until(Duration::from_secs(10), "the same append to be settled", async || {
            try_append(&store, &one, &Head::EMPTY, &events).await.ok()
        })
        .await;
        assert!(again.duplicate);
        assert_eq!(stored_ids(&store, &one).await, ids(&events));
    }
    assert_eq!(store.stats().unknowns, 2);
}

#[tokio::test]
async fn without_a_server_an_append_is_unavailable_soon_and_is_not_stored_later() {
    let server = TestServer::start().await;
    let store = store_at(&server.url(), hasty()).await;
    let one = receipt("one");
    let head = append(&store, &one, &Head::EMPTY, 1).await;
    server.stop().await;
    wait_until(Duration::from_secs(5), "the connection to be seen down", async || {
        (!store.connection().status().is_connected()).then_some(())
    })
    .await;
    let start = Instant::now();
    for count in [1, 3] {
        let refused = try_append(&store, &one, &head, &events(&one, count)).await.unwrap_err();
        assert!(matches!(&refused, AppendError::Unavailable { .. }), "{refused:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    server.restart().await.unwrap();
    store.connection().ready(Duration::from_secs(10)).await.unwrap();
    // The client has sent whatever it kept, if anything, before this.
    append(&store, &receipt("other"), &Head::EMPTY, 1).await;
    assert_eq!(history(&store, &one).await.head, head);
}

#[tokio::test]
async fn a_frozen_server_is_no_reason_to_call_an_append_failed() {
    let server = TestServer::start().await;
    let store = store_at(&server.url(), hasty().settle_timeout(Duration::from_millis(1500))).await;
    let one = receipt("one");
    let mut head = append(&store, &one, &Head::EMPTY, 1).await;
    server.pause().unwrap();
    let (appended, refused) = loop {
        let events = events(&one, 1);
        match try_append(&store, &one, &head, &events).await {
            // The signal is still on its way to the server.
            Ok(appended) => head = appended.head,
            Err(refused) => break (events, refused),
        }
    };
    assert!(matches!(&refused, AppendError::OutcomeUnknown { .. }), "it was sent: {}", story(&refused));
    server.resume().unwrap();
    let again = wait_until(Duration::from_secs(15), "the same append to be settled", async || {
        try_append(&store, &one, &head, &appended).await.ok()
    })
    .await;
    assert_eq!(again.head.revision(), head.revision().next());
    assert_eq!(stored_ids(&store, &one).await.last(), Some(&appended[0].id));
}

/// What one writer was told.
#[derive(Default)]
struct Told {
    stored: Vec<EventId>,
    not_stored: HashSet<EventId>,
    unknown: HashSet<EventId>,
}

/// Appends to one aggregate of its own until told to stop.
async fn write(store: JetStreamStore, writer: usize, until: Instant) -> Told {
    let one = receipt(&format!("writer-{writer}"));
    let (mut told, mut head, mut turn) = (Told::default(), Head::EMPTY, writer);
    while Instant::now() < until {
        turn += 1;
        let events = events(&one, if turn % 5 == 0 { 3 } else { 1 });
        match try_append(&store, &one, &head, &events).await {
            Ok(appended) => {
                told.stored.extend(ids(&events));
                head = appended.head;
            }
            Err(AppendError::OutcomeUnknown { .. }) => {
                told.unknown.extend(ids(&events));
                head = reload(&store, &one).await;
            }
            Err(AppendError::Unavailable { .. }) => told.not_stored.extend(ids(&events)),
            Err(AppendError::Conflict { .. }) => {
                told.not_stored.extend(ids(&events));
                head = reload(&store, &one).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    told
}

async fn reload(store: &JetStreamStore, aggregate: &headwater_core::AggregateId) -> Head {
    wait_until(Duration::from_secs(30), "a history to be read", async || {
        store.head(aggregate, headwater_core::store::Freshness::Leader).await.ok()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_appends_the_server_loses_nothing_and_doubles_nothing() {
    let server = TestServer::start().await;
    let store = store_at(&server.url(), hasty()).await;
    let until = Instant::now() + Duration::from_secs(6);
    let writers: Vec<_> = (0..16).map(|writer| tokio::spawn(write(store.clone(), writer, until))).collect();
    for pause in [500, 800, 600, 900] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        server.kill();
        server.restart().await.unwrap();
    }
    let mut acknowledged = 0;
    for (writer, told) in futures_util::future::join_all(writers).await.into_iter().enumerate() {
        let told = told.unwrap();
        let stored = stored_ids(&store, &receipt(&format!("writer-{writer}"))).await;
        let distinct: HashSet<_> = stored.iter().copied().collect();
        assert_eq!(distinct.len(), stored.len(), "an event is stored twice");
        let confirmed: Vec<_> = stored.iter().copied().filter(|id| !told.unknown.contains(id)).collect();
        assert_eq!(confirmed, told.stored, "exactly what was confirmed is stored, in that order");
        assert!(told.not_stored.is_disjoint(&distinct), "an append that was refused is stored");
        acknowledged += told.stored.len();
    }
    let stats = store.stats();
    println!("{acknowledged} events confirmed, {stats:?}");
    assert!(acknowledged > 500, "{acknowledged}");
}

#[tokio::test]
async fn a_subscription_goes_on_without_gaps_over_restarts_and_cut_connections() {
    let bad = Bad::start().await;
    let other = bad.other().await;
    let mut all = bad.store.subscribe(EventFilter::all(), StartFrom::Beginning).await.unwrap();
    let mut idle = bad.store.subscribe(EventFilter::all(), StartFrom::Now).await.unwrap();
    let (mut head, mut seen) = (Head::EMPTY, 0);
    let one = receipt("one");
    for trouble in 0..6 {
        for _ in 0..5 {
            head = append(&other, &one, &head, 1).await;
        }
        match trouble % 3 {
            0 => bad.proxy.cut().await,
            1 => {
                bad.server.kill();
                bad.server.restart().await.unwrap();
                other.connection().ready(Duration::from_secs(10)).await.unwrap();
            }
            // Deliveries that are lost while the connection holds.
            _ => bad.proxy.lose_next(2),
        }
        head = append(&other, &one, &head, 40).await;
        while seen < head.revision().get() {
            let event = timeout(Duration::from_secs(30), all.next()).await.expect("in time").unwrap().unwrap();
            seen += 1;
            assert_eq!(event.revision.get(), seen, "after trouble {trouble}");
        }
    }
    for revision in 1..=head.revision().get() {
        let event = timeout(Duration::from_secs(30), idle.next()).await.expect("in time").unwrap().unwrap();
        assert_eq!(event.revision.get(), revision);
    }
}

#[tokio::test]
async fn a_subscription_outlives_a_client_that_died() {
    let server = TestServer::start().await;
    let store = store(&server).await;
    let other = common::store(&server).await;
    let mut all = store.subscribe(EventFilter::all(), StartFrom::Now).await.unwrap();
    let one = receipt("one");
    let head = append(&other, &one, &Head::EMPTY, 1).await;
    assert_eq!(all.next().await.unwrap().unwrap().revision.get(), 1);
    // A bare CR in a header value makes the client's task panic.
    let client = store.connection().client();
    let mut victim = client.subscribe("poison").await.unwrap();
    headwater_testkit::known_to_server(&client).await;
    let mut raw = headwater_testkit::RawClient::connect(server.address()).await.unwrap();
    raw.ping().await.unwrap();
    let headers = headwater_testkit::header_block(b"X: a\rb");
    raw.hpub("poison", None, &headers, b"").await.unwrap();
    assert!(timeout(Duration::from_secs(10), victim.next()).await.expect("the client dies").is_none());
    let head = append(&other, &one, &head, 1).await;
    let event = timeout(Duration::from_secs(10), all.next()).await.expect("in time").unwrap().unwrap();
    assert_eq!(event.revision.get(), 2);
    // Appends work again as well.
    append(&store, &one, &head, 2).await;
}
