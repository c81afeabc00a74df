//! Commands on one aggregate that wait together and are stored by one append.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::account;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use account::*;
use futures_util::future::{BoxFuture, join_all};
use headwater_core::call::{CallError, LostReply};
use headwater_core::client::{AggregateClient, ExecuteError, Executed};
use headwater_core::dispatch::Dispatcher;
use headwater_core::store::{EventStore, MemoryStore, ReadOptions};
use headwater_core::*;

type Outcome = Result<Executed<Account>, ExecuteError<AccountRejection>>;

struct World {
    store: FaultyStore,
    dispatcher: Dispatcher,
    accounts: AggregateClient<Account>,
}

impl World {
    fn new() -> Self {
        let mut store = FaultyStore::default();
        store.joint = true;
        let dispatcher = dispatcher(store.clone());
        Self { store, accounts: AggregateClient::new(dispatcher.clone()), dispatcher }
    }

    /// Has the first command hold the lane until the others wait behind it, and returns their outcomes.
    async fn behind_a_slow_one(&self, calls: Vec<BoxFuture<'static, Outcome>>) -> Vec<Outcome> {
        self.store.next_append(Fault::Slow(Duration::from_millis(50)));
        let first = tokio::spawn(self.accounts.command("a", &Deposit { amount: 100 }).into_future());
        tokio::time::sleep(Duration::from_millis(10)).await;
        let waiting = join_all(calls).await;
        assert_eq!(first.await.unwrap().unwrap().revision.get(), 1);
        waiting
    }

    fn deposit(&self, amount: u64) -> BoxFuture<'static, Outcome> {
        self.accounts.command("a", &Deposit { amount }).into_future()
    }

    async fn state(&self) -> Account {
        self.accounts.get("a").await.unwrap().state
    }
}

fn dispatcher(store: impl EventStore) -> Dispatcher {
    Dispatcher::builder(store).aggregate_with::<Account>(Arc::new(Quotes::default())).build().unwrap()
}

fn code(outcome: &Outcome) -> FailureCode {
    match outcome {
        Err(ExecuteError::Call(CallError::Failed(failure))) => failure.code.clone(),
        other => panic!("not a failure of the service: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_gets_its_own_answer_and_all_are_stored_by_one_append() {
    let world = World::new();
    let calls = (1..=20).map(|amount| world.deposit(amount)).collect();
    let answers = world.behind_a_slow_one(calls).await;
    let mut balance = 100;
    for (place, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap();
        balance += place as u64 + 1;
        assert_eq!((answer.revision.get(), answer.state.balance), (place as u64 + 2, balance));
        assert_eq!((answer.sequence.get(), answer.events[0].revision), (place as u64 + 2, answer.revision));
    }
    let stats = world.dispatcher.stats();
    assert_eq!((stats.appends, stats.joint_appends, stats.events_appended), (2, 1, 21));
    let history = world.store.inner.read(&AggregateId::new("account", "a").unwrap(), ReadOptions::all()).await.unwrap();
    let commands: std::collections::HashSet<_> =
        history.events.iter().map(|e| e.event.metadata.command_id.clone()).collect();
    assert_eq!(commands.len(), 21);
    assert_eq!(world.state().await, Account { balance, entries: 21 });
}

#[tokio::test(start_paused = true)]
async fn a_rejection_a_panic_and_a_conflict_touch_no_other() {
    let world = World::new();
    let withdraw = |amount| world.accounts.command("a", &Withdraw { amount }).into_future();
    let calls = vec![
        withdraw(60),
        withdraw(60),
        world.accounts.command("a", &Panic {}).into_future(),
        world.accounts.command("a", &Deposit { amount: 1 }).expected_revision(7).into_future(),
        world.accounts.command("a", &Nothing {}).into_future(),
        world.deposit(5),
    ];
    let answers = world.behind_a_slow_one(calls).await;
    assert_eq!(answers[0].as_ref().unwrap().state.balance, 40);
    let rejection = answers[1].as_ref().unwrap_err().rejection().cloned();
    assert_eq!(rejection, Some(AccountRejection::Overdrawn { balance: 40 }));
    assert_eq!(code(&answers[2]), FailureCode::Internal);
    assert!(matches!(&answers[3], Err(ExecuteError::Conflict { actual: Some(actual) }) if actual.get() == 2));
    let nothing = answers[4].as_ref().unwrap();
    assert_eq!((nothing.revision.get(), nothing.events.len(), nothing.state.balance), (2, 0, 40));
    assert_eq!(answers[5].as_ref().unwrap().revision.get(), 3);
    assert_eq!(world.dispatcher.stats().joint_appends, 1);
    assert_eq!(world.state().await.balance, 45);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_among_them_is_answered_from_the_first() {
    let world = World::new();
    let twice = || {
        let id = CommandId::new("twice").unwrap();
        world.accounts.command("a", &Deposit { amount: 5 }).command_id(id).into_future()
    };
    let answers = world.behind_a_slow_one(vec![twice(), world.deposit(1), twice()]).await;
    let [first, _, again] = answers.map_to_three();
    assert!(!first.replayed && again.replayed);
    assert_eq!((first.revision, first.state.clone()), (again.revision, again.state));
    assert_eq!(world.state().await.balance, 106);
}

#[tokio::test(start_paused = true)]
async fn when_another_writer_was_faster_all_are_decided_again() {
    let world = World::new();
    let elsewhere = AggregateClient::<Account>::new(dispatcher(world.store.inner.clone()));
    world.deposit(1).await.unwrap();
    elsewhere.command("b", &Deposit { amount: 1 }).await.unwrap();
    // The other writer gets in while the first command's append is slow, so both appends here meet it.
    world.store.next_append(Fault::Slow(Duration::from_millis(50)));
    let first = tokio::spawn(world.deposit(10));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (others, elsewhere) =
        tokio::join!(join_all((0..5).map(|_| world.deposit(10))), elsewhere.command("a", &Deposit { amount: 1000 }));
    elsewhere.unwrap();
    first.await.unwrap().unwrap();
    assert!(others.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(world.state().await, Account { balance: 1061, entries: 8 });
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_everybodys_and_everybody_can_settle_it() {
    let world = World::new();
    let ids: Vec<_> = (0..5).map(|number| CommandId::new(format!("c{number}")).unwrap()).collect();
    let send =
        |id: &CommandId| world.accounts.command("a", &Deposit { amount: 1 }).command_id(id.clone()).into_future();
    let calls = ids.iter().map(send).collect();
    let faults = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.store.next_append(Fault::StoredButUnknown);
    };
    let (answers, ()) = tokio::join!(world.behind_a_slow_one(calls), faults);
    for answer in answers {
        assert!(matches!(answer, Err(ExecuteError::OutcomeUnknown { cause: LostReply::Service, .. })), "{answer:?}");
    }
    for id in &ids {
        assert!(send(id).await.unwrap().replayed);
    }
    assert_eq!(world.state().await, Account { balance: 105, entries: 6 });
}

#[tokio::test(start_paused = true)]
async fn a_store_that_prefers_single_appends_gets_them() {
    let store = MemoryStore::new();
    let dispatcher = dispatcher(store.clone());
    let accounts = AggregateClient::<Account>::new(dispatcher.clone());
    let all = join_all((0..20).map(|_| accounts.command("a", &Deposit { amount: 1 }).into_future())).await;
    assert!(all.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!((dispatcher.stats().appends, dispatcher.stats().joint_appends), (20, 0));
}

trait Three<T> {
    fn map_to_three(self) -> [T; 3];
}

impl Three<Executed<Account>> for Vec<Outcome> {
    fn map_to_three(self) -> [Executed<Account>; 3] {
        let all: Vec<_> = self.into_iter().map(Result::unwrap).collect();
        all.try_into().unwrap()
    }
}
