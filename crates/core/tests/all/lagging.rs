//! A replica that is behind the one that takes the writes: fast reads miss the newest events. Nobody is told no because of
//! that, nothing is lost or doubled, and what is doubtful is read again where the writes go.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::account;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use account::*;
use async_trait::async_trait;
use headwater_core::client::{AggregateClient, ExecuteError};
use headwater_core::dispatch::Dispatcher;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, MemorySnapshots,
    MemoryStore, ReadError, ReadOptions, StartFrom, StoreError,
};
use headwater_core::*;

/// Its replicas are always this many events behind.
const BEHIND: usize = 2;

/// A store whose fast reads come from a replica that is behind.
#[derive(Debug, Clone, Default)]
struct Lagging {
    inner: MemoryStore,
    by_leader: Arc<AtomicUsize>,
}

impl Lagging {
    async fn whole(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<History, ReadError> {
        let mut history = self.inner.read(aggregate, ReadOptions::all()).await?;
        match freshness {
            Freshness::Leader => _ = self.by_leader.fetch_add(1, Ordering::Relaxed),
            Freshness::Fast => {
                history.events.truncate(history.events.len().saturating_sub(BEHIND));
                history.head = Head::EMPTY.after(history.events.iter().map(|event| event.sequence));
            }
        }
        Ok(history)
    }
}

#[async_trait]
impl EventStore for Lagging {
    fn name(&self) -> &'static str {
        "lagging"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        let mut history = self.whole(aggregate, read.freshness).await?;
        history.events.retain(|event| event.revision > read.after);
        history.events.truncate(read.limit.unwrap_or(usize::MAX));
        Ok(history)
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        Ok(self.whole(aggregate, freshness).await?.head)
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.inner.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// An instance with nothing in memory.
fn cold(store: &Lagging) -> (Dispatcher, AggregateClient<Account>) {
    let builder = Dispatcher::builder(store.clone()).aggregate_with::<Account>(Arc::new(Quotes::default()));
    let dispatcher = builder.build().unwrap();
    (dispatcher.clone(), AggregateClient::new(dispatcher))
}

async fn with_deposits(count: u64) -> Lagging {
    let store = Lagging::default();
    let (_, accounts) = cold(&store);
    for _ in 0..count {
        accounts.command("a", &Deposit { amount: 1 }).await.unwrap();
    }
    store
}

#[tokio::test]
async fn after_a_conflict_the_newest_events_come_from_where_the_writes_go() {
    let store = with_deposits(5).await;
    let (dispatcher, accounts) = cold(&store);
    let before = store.by_leader.load(Ordering::Relaxed);
    let done = accounts.command("a", &Deposit { amount: 10 }).await.unwrap();
    assert_eq!((done.revision.get(), done.state.balance), (6, 15));
    let stats = dispatcher.stats();
    assert_eq!((stats.conflicts, stats.appends), (1, 1), "one attempt on the old state, and one on the newest");
    assert_eq!(stats.events_read, 5, "three of the replica, and the two that it missed: only what is new");
    assert_eq!(store.by_leader.load(Ordering::Relaxed), before + 1);
}

#[tokio::test]
async fn a_no_that_was_decided_behind_is_decided_again() {
    let store = with_deposits(5).await;
    // Of five, the replica shows three.
    let (_, accounts) = cold(&store);
    assert_eq!(accounts.command("a", &Withdraw { amount: 5 }).await.unwrap().state.balance, 0);
    let (_, accounts) = cold(&store);
    let refused = accounts.command("a", &Withdraw { amount: 1 }).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(&AccountRejection::Overdrawn { balance: 0 }));
    let (_, accounts) = cold(&store);
    assert_eq!(accounts.command("a", &Deposit { amount: 1 }).expected_revision(6).await.unwrap().revision.get(), 7);
    let (_, accounts) = cold(&store);
    let stale = accounts.command("a", &Deposit { amount: 1 }).expected_revision(5).await.unwrap_err();
    assert!(matches!(&stale, ExecuteError::Conflict { actual: Some(actual) } if actual.get() == 7), "{stale}");
}

#[tokio::test]
async fn a_repeated_command_that_the_replica_does_not_show_is_answered_from_its_first_attempt() {
    let store = with_deposits(3).await;
    let id = CommandId::new("last").unwrap();
    let first = cold(&store).1.command("a", &Deposit { amount: 7 }).command_id(id.clone()).await.unwrap();
    let again = cold(&store).1.command("a", &Deposit { amount: 7 }).command_id(id).await.unwrap();
    assert!(again.replayed);
    assert_eq!((first.revision, first.state), (again.revision, again.state));
    assert_eq!(store.inner.len(), 4);
}

/// The aggregate exists, and its caller has been told so; that a replica has not heard of it is no reason to deny it.
#[tokio::test]
async fn an_aggregate_that_the_replica_does_not_know_yet_is_found() {
    let store = with_deposits(1).await;
    assert_eq!(cold(&store).1.get("a").await.unwrap().revision.get(), 1);
    let nobody = cold(&store).1.get("b").await.unwrap_err();
    assert!(nobody.failure().is_some_and(|failure| failure.code == FailureCode::NotFound), "{nobody}");
}

#[tokio::test]
async fn a_minimal_revision_is_read_where_the_writes_go() {
    let store = with_deposits(5).await;
    let (_, accounts) = cold(&store);
    assert_eq!(accounts.get("a").min_revision(5).await.unwrap().state.balance, 5);
}

/// A snapshot may be newer than what the replica shows. It is not believed against it, and nothing goes wrong.
#[tokio::test]
async fn a_snapshot_that_is_ahead_of_the_replica_does_no_harm() {
    let store = with_deposits(0).await;
    let snapshots = MemorySnapshots::new();
    let instance = || {
        let builder = Dispatcher::builder(store.clone()).aggregate_with::<Account>(Arc::new(Quotes::default()));
        let dispatcher = builder.snapshots(snapshots.clone()).build().unwrap();
        (dispatcher.clone(), AggregateClient::<Account>::new(dispatcher))
    };
    let (dispatcher, accounts) = instance();
    for _ in 0..5 {
        accounts.command("a", &Deposit { amount: 1 }).await.unwrap();
    }
    dispatcher.flush_snapshots().await;
    let (_, accounts) = instance();
    let done = accounts.command("a", &Deposit { amount: 1 }).await.unwrap();
    assert_eq!((done.revision.get(), done.state), (6, Account { balance: 6, entries: 6 }));
}
