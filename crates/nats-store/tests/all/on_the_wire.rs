//! What the store sends, as a plain subscriber sees it: each append of an aggregate follows on the one before it, whether
//! it goes out alone or in a batch, and none is sent before the one before it is answered.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::common;
use crate::counter::{Count, Counter};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use async_nats::Subscriber;
use common::{config, receipt};
use futures_util::StreamExt;
use futures_util::future::join_all;
use headwater_core::client::AggregateClient;
use headwater_core::dispatch::Dispatcher;
use headwater_core::store::{EventStore, Freshness};
use headwater_nats_store::{CommitMode, JetStreamStore};
use headwater_testkit::{NatsServer, TestServer, known_to_server};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const AGGREGATES: usize = 24;
const CALLERS: usize = 48;
const COMMANDS: usize = 25;

/// One message to the journal.
#[derive(Debug)]
struct Sent {
    aggregate: String,
    /// Where its aggregate's history must end, on the first message of an append.
    expected: Option<u64>,
    batch: Option<String>,
    commits: bool,
}

impl Sent {
    fn of(message: &async_nats::Message) -> Self {
        let header =
            |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
        Self {
            aggregate: message.subject.split('.').nth(3).unwrap().to_owned(),
            expected: header("Nats-Expected-Last-Subject-Sequence").map(|value| value.parse().unwrap()),
            batch: header("Nats-Batch-Id").map(ToOwned::to_owned),
            commits: header("Nats-Batch-Commit").is_some(),
        }
    }
}

/// Sees what is sent to the journal, in the order in which the server takes it.
async fn watch(server: &NatsServer) -> Subscriber {
    let client = async_nats::connect(server.url()).await.unwrap();
    let watched = client.subscribe("receipts.journal.>").await.unwrap();
    known_to_server(&client).await;
    watched
}

async fn everything(mut watched: Subscriber, count: u64) -> Vec<Sent> {
    let mut sent = Vec::new();
    while (sent.len() as u64) < count {
        let message = tokio::time::timeout(Duration::from_secs(20), watched.next()).await.expect("in time").unwrap();
        sent.push(Sent::of(&message));
    }
    sent
}

/// Many callers, few aggregates, and commands of one event and of several.
async fn load(store: &JetStreamStore, seed: u64) -> Dispatcher {
    let dispatcher = Dispatcher::builder(store.clone()).aggregate::<Counter>().build().unwrap();
    let counters = AggregateClient::<Counter>::new(dispatcher.clone());
    let callers = (0..CALLERS).map(|caller| {
        let (counters, mut random) = (counters.clone(), StdRng::seed_from_u64(seed + caller as u64));
        async move {
            for _ in 0..COMMANDS {
                // A third of all commands are for one aggregate, so that some wait together.
                let id = if random.random_range(0..3) == 0 { 0 } else { random.random_range(0..AGGREGATES) };
                let times = if random.random_range(0..3) == 0 { random.random_range(2..5) } else { 1 };
                counters.command(format!("a{id}"), &Count { times }).await.unwrap();
            }
        }
    });
    join_all(callers).await;
    dispatcher
}

/// Each append expects the end that the one before it left. A store that sent two appends of an aggregate side by side,
/// in a batch or beside one, could not know that end.
fn check_order(sent: &[Sent], seed: u64) {
    let mut ends: HashMap<&str, u64> = HashMap::new();
    let mut open: BTreeMap<&str, Vec<(u64, &Sent)>> = BTreeMap::new();
    let mut sequence = 0;
    // The server stores a batch when it is committed, so its messages get their sequences then.
    for message in sent {
        let stored = match &message.batch {
            None => vec![message],
            Some(batch) => {
                open.entry(batch).or_default().push((0, message));
                if !message.commits {
                    continue;
                }
                open.remove(batch.as_str()).unwrap().into_iter().map(|(_, message)| message).collect()
            }
        };
        let mut appends = HashSet::new();
        for message in stored {
            sequence += 1;
            if let Some(expected) = message.expected {
                assert!(appends.insert(&message.aggregate), "{} twice in a batch, seed {seed}", message.aggregate);
                let end = ends.get(message.aggregate.as_str()).copied().unwrap_or(0);
                assert_eq!(expected, end, "{} at {sequence}, seed {seed}", message.aggregate);
            }
            ends.insert(&message.aggregate, sequence);
        }
    }
    assert!(open.is_empty(), "a batch was never committed, seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aggregate_has_one_append_under_way_whichever_way_it_goes() {
    for mode in [CommitMode::Auto, CommitMode::Grouped, CommitMode::Pipelined] {
        let server = TestServer::start().await;
        let store = common::store_at(&server.url(), config().commit(mode)).await;
        let watched = watch(&server).await;
        let seed = rand::random::<u32>().into();
        let dispatcher = load(&store, seed).await;
        let (dispatched, stats) = (dispatcher.stats(), store.stats());
        let sent = everything(watched, stats.events).await;
        check_order(&sent, seed);
        assert_eq!((stats.conflicts, stats.duplicates, stats.taken_apart, stats.resends), (0, 0, 0, 0), "{stats:?}");
        assert_eq!(dispatched.conflicts, 0, "{dispatched:?}");
        let (plain, batched): (Vec<_>, Vec<_>) = sent.iter().partition(|message| message.batch.is_none());
        let shared = |batch: &str| {
            let of = batched.iter().filter(|message| message.batch.as_deref() == Some(batch));
            of.map(|message| &message.aggregate).collect::<HashSet<_>>().len() > 1
        };
        let batches: HashSet<_> = batched.iter().filter_map(|message| message.batch.as_deref()).collect();
        let any_shared = batches.iter().any(|batch| shared(batch));
        // Older servers have no batches of several aggregates.
        let has_company = !server.is_older_than((2, 14, 4));
        assert_eq!(any_shared, mode != CommitMode::Pipelined && has_company, "{mode:?}");
        assert_eq!(plain.is_empty(), mode == CommitMode::Grouped && has_company, "{mode:?}");
        for id in 0..AGGREGATES {
            let head = store.head(&receipt(&format!("a{id}")), Freshness::Leader).await.unwrap();
            let counted = sent.iter().filter(|message| message.aggregate == format!("a{id}")).count();
            assert_eq!(head.revision().get(), counted as u64);
        }
    }
}

/// One after the other on a server that does not sync, nobody waits for company.
#[tokio::test]
async fn an_idle_server_sees_plain_publishes_at_once() {
    let server = TestServer::start().await;
    let store = common::store_at(&server.url(), config()).await;
    let watched = watch(&server).await;
    let mut head = headwater_core::store::Head::EMPTY;
    for _ in 0..50 {
        head = common::append(&store, &receipt("one"), &head, 1).await;
    }
    assert!(everything(watched, 50).await.iter().all(|message| message.batch.is_none()));
    let stats = store.stats();
    assert_eq!((stats.batches, stats.grouped, stats.group.grouping_singles), (0, 0, false), "{stats:?}");
}
