//! What one command may come to: how long its handler may take, how many events it may have, and how large.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::account;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use account::*;
use futures_util::future::join_all;
use headwater_core::call::CallError;
use headwater_core::client::{AggregateClient, ExecuteError};
use headwater_core::dispatch::{Dispatcher, DispatcherBuilder};
use headwater_core::store::EventStore;
use headwater_core::*;
use serde_json::json;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const FIVE: Deposit = Deposit { amount: 5 };

/// Its handlers take so long.
fn builder(store: impl EventStore, delay: Duration) -> DispatcherBuilder {
    Dispatcher::builder(store).aggregate_with::<Account>(Arc::new(Quotes { delay, down: false }))
}

fn accounts(
    store: &FaultyStore,
    bound: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder,
) -> AggregateClient<Account> {
    AggregateClient::new(bound(builder(store.clone(), 300 * MS)).build().unwrap())
}

fn quoted() -> DepositQuoted {
    DepositQuoted { currency: "EUR".to_owned() }
}

fn failure(error: ExecuteError<AccountRejection>) -> Failure {
    match error {
        ExecuteError::Call(CallError::Failed(failure)) => failure,
        other => panic!("not a failure of the service: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_given_up_and_the_next_command_has_its_turn() {
    let store = FaultyStore::default();
    let accounts = accounts(&store, |builder| builder.handler_timeout(200 * MS));
    let begun = Instant::now();
    let slow = tokio::spawn(accounts.command("a", &quoted()).into_future());
    tokio::time::sleep(10 * MS).await;
    let behind = accounts.command("a", &FIVE).await.unwrap();
    assert!(begun.elapsed() < 250 * MS, "{:?}", begun.elapsed());
    assert_eq!((behind.revision.get(), behind.state.balance), (1, 5));
    let failure = failure(slow.await.unwrap().unwrap_err());
    assert_eq!((&failure.code, &failure.details["limit"]), (&FailureCode::DeadlineExceeded, &json!("handler")));
    assert_eq!(failure.message, "the handler of `deposit-quoted` took longer than the 200ms it may");
    assert_eq!(store.inner.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_its_time_and_without_a_limit_that_of_the_call() {
    let store = FaultyStore::default();
    let limited = accounts(&store, |builder| builder.handler_timeout(400 * MS));
    assert_eq!(limited.command("a", &quoted()).await.unwrap().state.balance, 3);
    let free = accounts(&store, |builder| builder);
    assert_eq!(free.command("a", &quoted()).await.unwrap().state.balance, 6);
    for accounts in [limited, free] {
        let late = failure(accounts.command("a", &quoted()).timeout(100 * MS).await.unwrap_err());
        assert_eq!(late.code, FailureCode::DeadlineExceeded);
        assert!(!late.details.contains_key("limit"), "it was the call's own deadline: {late:?}");
    }
}

#[tokio::test]
async fn a_command_with_too_many_events_is_refused_and_one_with_as_many_as_may_be_is_not() {
    let store = FaultyStore::default();
    let one = accounts(&store, |builder| builder.max_events(1));
    let failure = failure(one.command("a", &DepositTwice { amount: 1 }).await.unwrap_err());
    assert_eq!(failure.code, FailureCode::PayloadTooLarge);
    assert_eq!(failure.message, "the command leads to 2 events; at most 1 are stored for one command");
    assert_eq!((&failure.details["events"], &failure.details["limit"]), (&json!(2), &json!(1)));
    assert!(store.inner.is_empty());
    one.command("a", &FIVE).await.unwrap();
    let two = accounts(&store, |builder| builder.max_events(2));
    two.command("a", &DepositTwice { amount: 1 }).await.unwrap();
    assert_eq!(store.inner.len(), 3);
}

/// The data of an event is the amount in digits here.
#[tokio::test]
async fn an_event_that_is_too_large_is_refused_by_name_and_size_and_one_at_the_limit_is_not() {
    let store = FaultyStore::default();
    let accounts = accounts(&store, |builder| builder.max_event_size(3));
    let refused = failure(accounts.command("a", &DepositTwice { amount: 1000 }).await.unwrap_err());
    assert_eq!(refused.code, FailureCode::PayloadTooLarge);
    assert_eq!(refused.message, "event 1 of 2, `deposited`, has 4 bytes; at most 3 are stored");
    assert_eq!(json!(refused.details), json!({ "event": "deposited", "size": 4, "limit": 3 }));
    assert!(store.inner.is_empty());
    accounts.command("a", &DepositTwice { amount: 999 }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_too_large_touches_no_other_that_shares_its_append() {
    let mut store = FaultyStore::default();
    store.joint = true;
    let accounts = accounts(&store, |builder| builder.max_event_size(3));
    store.next_append(Fault::Slow(50 * MS));
    let first = tokio::spawn(accounts.command("a", &FIVE).into_future());
    tokio::time::sleep(10 * MS).await;
    let amounts = [7, 1000, 8];
    let outcomes = join_all(amounts.map(|amount| accounts.command("a", &Deposit { amount }).into_future())).await;
    first.await.unwrap().unwrap();
    let [one, large, two] = outcomes.try_into().unwrap();
    assert_eq!((one.unwrap().state.balance, two.unwrap().state.balance), (12, 20));
    assert_eq!(failure(large.unwrap_err()).code, FailureCode::PayloadTooLarge);
    assert_eq!(store.inner.len(), 3);
}

#[test]
fn bounds_of_nothing_are_refused_by_name() {
    let builder = builder(FaultyStore::default(), MS).handler_timeout(Duration::ZERO).max_event_size(0).max_events(0);
    let problems = builder.build().unwrap_err().problems().to_vec();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, setting) in problems.iter().zip(["handler_timeout", "max_event_size", "max_events"]) {
        assert!(problem.starts_with(setting), "{problem}");
    }
}
