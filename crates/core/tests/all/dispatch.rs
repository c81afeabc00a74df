//! What a dispatcher promises, shown through the typed client.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::account;

use std::sync::Arc;
use std::time::Duration;

use account::*;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use headwater_core::call::{CallError, CommandRequest, GetRequest, LostReply, RequestMetadata, ReturnMode};
use headwater_core::client::{AggregateClient, ExecuteError, LiveItem};
use headwater_core::dispatch::{Deadline, Dispatcher, DispatcherBuilder};
use headwater_core::store::{Append, EventStore, Head, MemoryStore};
use headwater_core::*;

fn builder(store: impl EventStore) -> DispatcherBuilder {
    Dispatcher::builder(store).aggregate_with::<Account>(Arc::new(Quotes::default()))
}

fn dispatcher(store: impl EventStore) -> Dispatcher {
    builder(store).build().unwrap()
}

fn client(dispatcher: &Dispatcher) -> AggregateClient<Account> {
    AggregateClient::new(dispatcher.clone())
}

fn accounts() -> AggregateClient<Account> {
    client(&dispatcher(MemoryStore::new()))
}

fn code(error: ExecuteError<AccountRejection>) -> FailureCode {
    match error {
        ExecuteError::Call(CallError::Failed(failure)) => failure.code,
        other => panic!("not a failure of the service: {other}"),
    }
}

const FIVE: Deposit = Deposit { amount: 5 };

#[tokio::test]
async fn a_command_is_stored_and_answered_with_the_state_it_left() {
    let accounts = accounts();
    let first = accounts.command("a", &FIVE).await.unwrap();
    assert_eq!((first.revision, first.state.balance, first.replayed), (Revision::new(1), 5, false));
    let second = accounts.command("a", &DepositTwice { amount: 2 }).await.unwrap();
    assert_eq!((second.revision, second.state.balance), (Revision::new(3), 9));
    let names: Vec<_> = second.events.iter().map(|event| (event.name.as_str(), event.revision.get())).collect();
    assert_eq!(names, [("deposited", 2), ("deposited", 3)]);
}

#[tokio::test]
async fn a_reply_can_leave_the_state_out() {
    let accounts = accounts();
    let committed = accounts.command("a", &FIVE).without_state().await.unwrap();
    assert_eq!((committed.revision, committed.events.len()), (Revision::new(1), 1));
}

#[tokio::test]
async fn a_rejection_reaches_the_caller_as_its_own_type_and_stores_nothing() {
    let store = MemoryStore::new();
    let accounts = client(&dispatcher(store.clone()));
    let refused = accounts.command("a", &Withdraw { amount: 1 }).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(&AccountRejection::Overdrawn { balance: 0 }));
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_command_without_events_succeeds_and_changes_nothing() {
    let accounts = accounts();
    accounts.command("a", &FIVE).await.unwrap();
    let done = accounts.command("a", &Nothing {}).await.unwrap();
    assert_eq!((done.revision, done.events.len(), done.state.balance), (Revision::new(1), 0, 5));
}

#[tokio::test]
async fn bad_requests_are_refused_by_name() {
    let dispatcher = dispatcher(MemoryStore::new());
    let request = |kind: &'static str, command: &str, payload: &'static str| CommandRequest {
        aggregate: AggregateId::new(kind, "a").unwrap(),
        command: command.to_owned(),
        payload: payload.into(),
        expected_revision: None,
        return_mode: ReturnMode::Entity,
        metadata: RequestMetadata::default(),
    };
    let soon = || Deadline::now() + Duration::from_secs(5);
    for (request, code, named) in [
        (request("ledger", "deposit", "{}"), FailureCode::InvalidRequest, "ledger"),
        (request("account", "steal", "{}"), FailureCode::InvalidRequest, "steal"),
        (request("account", "deposit", "{"), FailureCode::InvalidRequest, "command"),
        (request("account", "deposit", "{}"), FailureCode::ValidationFailed, "amount"),
        (request("account", "deposit", r#"{"amount":-1}"#), FailureCode::ValidationFailed, "/amount"),
        (request("account", "deposit", r#"{"amount":1,"tip":2}"#), FailureCode::ValidationFailed, "tip"),
    ] {
        let failure = dispatcher.execute(request, soon()).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.to_string().contains(named), "{failure}");
    }
    let mut odd = request("account", "deposit", r#"{"amount":1}"#);
    odd.metadata.correlation_id = Some("x\ny".to_owned());
    let failure = dispatcher.execute(odd, soon()).await.unwrap_err();
    assert!(failure.message.contains("metadata.correlationId"), "{failure}");
    let refused = client(&dispatcher).command("", &FIVE).await.unwrap_err();
    assert!(refused.to_string().contains("aggregateId"), "{refused}");
}

#[tokio::test]
async fn a_stale_expected_revision_is_a_conflict_that_tells_the_actual_one() {
    let accounts = accounts();
    accounts.command("a", &DepositTwice { amount: 1 }).expected_revision(0).await.unwrap();
    let refused = accounts.command("a", &FIVE).expected_revision(1).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Conflict { actual: Some(actual) } if actual.get() == 2), "{refused}");
    accounts.command("a", &FIVE).expected_revision(2).await.unwrap();
}

#[tokio::test]
async fn a_repeated_command_id_brings_the_original_answer_and_no_second_effect() {
    let store = MemoryStore::new();
    let dispatcher = dispatcher(store.clone());
    let accounts = client(&dispatcher);
    let id = CommandId::new("pay-once").unwrap();
    let send = || accounts.command("a", &DepositTwice { amount: 5 }).command_id(id.clone()).expected_revision(0);
    let first = send().await.unwrap();
    let again = send().await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!((again.revision, &again.events, &again.state), (first.revision, &first.events, &first.state));

    // Later commands, and a dispatcher that has never heard of the command, change nothing about that.
    accounts.command("a", &Withdraw { amount: 3 }).await.unwrap();
    let elsewhere = client(&super_fresh(store.clone()));
    for accounts in [&accounts, &elsewhere] {
        let late = accounts.command("a", &DepositTwice { amount: 5 }).command_id(id.clone()).await.unwrap();
        assert!(late.replayed);
        assert_eq!((late.revision, &late.events, &late.state), (first.revision, &first.events, &first.state));
    }
    assert_eq!(store.len(), 3);
    assert_eq!(dispatcher.stats().replays, 2);
}

fn super_fresh(store: MemoryStore) -> Dispatcher {
    dispatcher(store)
}

#[tokio::test]
async fn the_same_command_id_on_another_aggregate_is_another_command() {
    let accounts = accounts();
    let id = CommandId::new("shared").unwrap();
    accounts.command("a", &FIVE).command_id(id.clone()).await.unwrap();
    let other = accounts.command("b", &FIVE).command_id(id).await.unwrap();
    assert!(!other.replayed);
}

#[tokio::test]
async fn a_command_id_that_belongs_to_another_command_is_a_conflict() {
    let store = MemoryStore::new();
    let here = client(&dispatcher(store.clone()));
    let id = CommandId::new("taken").unwrap();
    here.command("a", &FIVE).command_id(id.clone()).await.unwrap();
    here.command("a", &DepositTwice { amount: 1 }).await.unwrap();
    // One that saw the command itself, and one that only has the history to go by.
    for accounts in [here, client(&dispatcher(store.clone()))] {
        let refusals = [
            accounts.command("a", &Deposit { amount: 6 }).command_id(id.clone()).await.unwrap_err(),
            accounts.command("a", &DepositTwice { amount: 5 }).command_id(id.clone()).await.unwrap_err(),
            accounts.command("a", &Withdraw { amount: 5 }).command_id(id.clone()).await.unwrap_err(),
        ];
        for refused in refusals {
            assert_eq!(code(refused), FailureCode::Conflict);
        }
        assert!(accounts.command("a", &FIVE).command_id(id.clone()).await.unwrap().replayed);
    }
    assert_eq!(store.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_one_aggregate_go_in_the_order_they_were_submitted() {
    let dispatcher = dispatcher(MemoryStore::new());
    let submitted: Vec<_> = (0..200)
        .map(|number| {
            let request = CommandRequest {
                aggregate: AggregateId::new("account", "a").unwrap(),
                command: "deposit".to_owned(),
                payload: format!("{{\"amount\":{number}}}").into(),
                expected_revision: None,
                return_mode: ReturnMode::Revision,
                metadata: RequestMetadata::default(),
            };
            tokio::spawn(dispatcher.submit(request, Deadline::now() + Duration::from_secs(10)))
        })
        .collect();
    for (number, reply) in join_all(submitted).await.into_iter().enumerate() {
        assert_eq!(reply.unwrap().unwrap().revision.get(), number as u64 + 1);
    }
    assert_eq!(dispatcher.stats().active_lanes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_on_one_store_never_lose_or_double_a_command() {
    let store = MemoryStore::new();
    let instances = [0, 1].map(|_| builder(store.clone()).attempts(1000).build().unwrap());
    let clients = instances.each_ref().map(client);
    let sent = (0..100).map(|number| {
        let call = clients[number % 2].command("hot", &Deposit { amount: 1 });
        tokio::spawn(call.into_future())
    });
    for reply in join_all(sent).await {
        reply.unwrap().unwrap();
    }
    assert_eq!(store.len(), 100);
    assert_eq!(clients[0].get("hot").await.unwrap().state, Account { balance: 100, entries: 100 });
}

#[tokio::test]
async fn a_stale_cache_neither_says_no_nor_answers_a_query() {
    let store = MemoryStore::new();
    let [here, there] = [0, 1].map(|_| client(&dispatcher(store.clone())));
    here.command("a", &FIVE).await.unwrap();
    there.command("a", &Deposit { amount: 100 }).await.unwrap();
    assert_eq!(here.command("a", &Withdraw { amount: 50 }).await.unwrap().state.balance, 55);
    assert_eq!(there.get("a").await.unwrap().state.balance, 55);
    assert!(!there.query("a", &CanPay { amount: 56 }).await.unwrap().answer);
    here.command("a", &FIVE).await.unwrap();
    let refused = there.command("a", &FIVE).expected_revision(3).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Conflict { actual: Some(actual) } if actual.get() == 4), "{refused}");
    there.command("a", &FIVE).expected_revision(4).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_the_domain_is_one_commands_failure_and_the_next_is_served() {
    let dispatcher = dispatcher(MemoryStore::new());
    let accounts = client(&dispatcher);
    accounts.command("a", &FIVE).await.unwrap();
    let failed = accounts.command("a", &Panic {}).await.unwrap_err();
    assert_eq!(code(failed), FailureCode::Internal);
    assert_eq!(accounts.command("a", &FIVE).await.unwrap().state.balance, 10);
    // A panic in evolve comes after the event is stored: the aggregate cannot be folded any more, and says so.
    let failed = accounts.command("a", &Curse {}).await.unwrap_err();
    assert_eq!(code(failed), FailureCode::Internal);
    assert_eq!(code(accounts.command("a", &FIVE).await.unwrap_err()), FailureCode::Internal);
    assert_eq!(accounts.command("b", &FIVE).await.unwrap().state.balance, 5);
    assert!(dispatcher.stats().panics >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_asks_outside_and_its_troubles_have_their_own_answers() {
    let with = |quotes: Quotes| {
        let builder = Dispatcher::builder(MemoryStore::new()).aggregate_with::<Account>(Arc::new(quotes));
        client(&builder.build().unwrap())
    };
    let ask = DepositQuoted { currency: "EUR".to_owned() };
    let quick = with(Quotes::default());
    assert_eq!(quick.command("a", &ask).await.unwrap().state.balance, 3);

    let down = with(Quotes { down: true, ..Quotes::default() });
    let failed = down.command("a", &ask).await.unwrap_err();
    assert!(failed.is_retryable());
    let ExecuteError::Call(CallError::Failed(failure)) = failed else { panic!("{failed}") };
    assert_eq!((failure.code.clone(), failure.reason()), (FailureCode::Unavailable, Some("quotes")));
    assert!(!failure.message.contains("refused"), "the cause is for the log: {failure}");

    let slow = with(Quotes { delay: Duration::from_secs(60), ..Quotes::default() });
    let late = slow.command("a", &ask).timeout(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(code(late), FailureCode::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_in_line_is_told_and_the_line_moves_on() {
    let store = FaultyStore::default();
    let accounts = client(&dispatcher(store.clone()));
    store.next_append(Fault::Slow(Duration::from_secs(5)));
    let slow = tokio::spawn(accounts.command("a", &FIVE).into_future());
    tokio::time::sleep(Duration::from_millis(10)).await;
    let late = accounts.command("a", &FIVE).timeout(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(code(late), FailureCode::DeadlineExceeded);
    let other = accounts.command("b", &FIVE).timeout(Duration::from_secs(1)).await.unwrap();
    assert_eq!(other.state.balance, 5);
    assert_eq!(slow.await.unwrap().unwrap().revision.get(), 1);
    assert_eq!(accounts.command("a", &FIVE).await.unwrap().revision.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_refuses_at_once_and_names_the_reason() {
    let store = FaultyStore::default();
    let accounts = client(&builder(store.clone()).lane_limit(1).build().unwrap());
    store.next_append(Fault::Slow(Duration::from_secs(1)));
    let mut calls: Vec<_> = (0..3).map(|_| accounts.command("a", &FIVE).into_future()).collect();
    assert!(calls.iter_mut().take(2).all(|call| call.now_or_never().is_none()));
    let refused = calls.pop().unwrap().await.unwrap_err();
    assert!(refused.is_retryable());
    let ExecuteError::Call(CallError::Failed(failure)) = refused else { panic!("{refused}") };
    assert_eq!(failure.reason(), Some("overloaded"));
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_called_unknown_and_the_same_id_settles_it() {
    let store = FaultyStore::default();
    let accounts = client(&dispatcher(store.clone()));
    for (name, fault, replayed) in
        [("stored", Fault::StoredButUnknown, true), ("not-stored", Fault::LostAndUnknown, false)]
    {
        store.next_append(fault);
        let id = CommandId::new(name).unwrap();
        let unknown = accounts.command(name, &FIVE).command_id(id.clone()).await.unwrap_err();
        assert!(
            matches!(&unknown, ExecuteError::OutcomeUnknown { command_id, cause: LostReply::Service } if *command_id == id),
            "{unknown}"
        );
        let settled = accounts.command(name, &FIVE).command_id(id).await.unwrap();
        assert_eq!((settled.replayed, settled.state.balance), (replayed, 5));
    }
    assert_eq!(store.inner.len(), 2);
}

#[tokio::test]
async fn a_store_that_is_down_is_unavailable_and_nothing_is_stored() {
    let store = FaultyStore::default();
    let accounts = client(&dispatcher(store.clone()));
    store.next_append(Fault::Unavailable);
    let refused = accounts.command("a", &FIVE).await.unwrap_err();
    assert!(refused.is_retryable());
    assert_eq!(code(refused), FailureCode::Unavailable);
    assert!(store.inner.is_empty());
}

/// A clock that tells nanoseconds once wrote events that were not there as of their own time, asked for in microseconds.
#[tokio::test]
async fn events_have_times_as_exact_as_the_protocol_writes_them() {
    #[derive(Debug)]
    struct Fine;

    impl Clock for Fine {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            chrono::DateTime::from_timestamp_nanos(1_767_225_600_123_456_789)
        }
    }

    let accounts = client(&builder(MemoryStore::new()).clock(Fine).build().unwrap());
    accounts.command("a", &FIVE).await.unwrap();
    let asked = chrono::DateTime::from_timestamp_nanos(1_767_225_600_123_456_000);
    assert_eq!(accounts.history("a").await.unwrap().events[0].recorded.event.time, asked);
    assert_eq!(accounts.get("a").at_time(asked).await.unwrap().revision.get(), 1);
}

#[tokio::test]
async fn the_state_is_there_as_of_any_revision_and_time() {
    let accounts = accounts();
    for amount in 1..=5 {
        accounts.command("a", &Deposit { amount }).await.unwrap();
    }
    let then = accounts.get("a").at_revision(3).await.unwrap();
    assert_eq!((then.revision.get(), then.state.balance), (3, 6));
    let times: Vec<_> =
        accounts.history("a").await.unwrap().events.into_iter().map(|e| e.recorded.event.time).collect();
    let now = accounts.get("a").at_time(times[4]).await.unwrap();
    assert_eq!(now.revision.get(), 5);
    let before = accounts.get("a").at_time(times[0] - chrono::Duration::seconds(1)).await.unwrap_err();
    assert_eq!(before.failure().unwrap().code, FailureCode::NotFound);
    let future = accounts.get("a").at_revision(6).await.unwrap_err();
    assert_eq!(future.failure().unwrap().code, FailureCode::NotFound);
    let both = accounts.get("a").at_revision(1).at_time(times[0]).await.unwrap_err();
    assert_eq!(both.failure().unwrap().code, FailureCode::InvalidRequest);
}

#[tokio::test]
async fn history_comes_in_pages_until_there_is_no_next() {
    let accounts = accounts();
    for amount in 1..=5 {
        accounts.command("a", &Deposit { amount }).await.unwrap();
    }
    let first = accounts.history("a").limit(3).await.unwrap();
    assert_eq!((first.events.len(), first.revision.get(), first.next), (3, 5, Some(Revision::new(3))));
    let last = accounts.history("a").after(first.next.unwrap()).limit(3).await.unwrap();
    let amounts: Vec<_> =
        first.events.iter().chain(&last.events).map(|event| event.event().cloned().unwrap()).collect();
    assert_eq!(amounts, (1..=5).map(AccountEvent::Deposited).collect::<Vec<_>>());
    assert_eq!(last.next, None);
}

#[tokio::test]
async fn queries_of_an_aggregate_without_events_are_not_found() {
    let accounts = accounts();
    let failures = [
        accounts.get("a").await.unwrap_err(),
        accounts.history("a").await.unwrap_err(),
        accounts.query("a", &CanPay { amount: 1 }).await.unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.failure().unwrap().code, FailureCode::NotFound, "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_waits_for_the_revision_it_was_asked_for() {
    let accounts = accounts();
    accounts.command("a", &FIVE).await.unwrap();
    let waiting = tokio::spawn(accounts.get("a").min_revision(2).into_future());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    accounts.command("a", &FIVE).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().revision.get(), 2);
    let never = accounts.get("a").min_revision(3).timeout(Duration::from_secs(1)).await.unwrap_err();
    assert!(never.is_timeout(), "{never}");
}

#[tokio::test(start_paused = true)]
async fn a_query_that_waits_is_told_by_another_instances_commit() {
    let store = MemoryStore::new();
    let [here, there] = [0, 1].map(|_| client(&dispatcher(store.clone())));
    here.command("a", &FIVE).await.unwrap();
    let started = tokio::time::Instant::now();
    let waiting = tokio::spawn(here.get("a").min_revision(2).into_future());
    tokio::time::sleep(Duration::from_millis(20)).await;
    there.command("a", &FIVE).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().revision.get(), 2);
    // Time is paused, so any look at the clock instead of the journal would show.
    assert_eq!(started.elapsed(), Duration::from_millis(20));
}

#[tokio::test]
async fn a_query_is_answered_from_memory_only_where_that_was_asked_for() {
    let store = MemoryStore::new();
    let patient = builder(store.clone()).query_staleness(Duration::from_secs(60)).build().unwrap();
    let (strict, patient, there) = (accounts_of(&store), client(&patient), accounts_of(&store));
    for accounts in [&strict, &patient] {
        accounts.command("a", &FIVE).await.unwrap();
    }
    strict.get("a").await.unwrap();
    there.command("a", &FIVE).await.unwrap();
    assert_eq!(patient.get("a").await.unwrap().revision.get(), 2);
    assert_eq!(patient.get("a").min_revision(3).await.unwrap().revision.get(), 3);
    assert_eq!(strict.get("a").min_revision(2).await.unwrap().revision.get(), 2);
    assert_eq!(strict.get("a").await.unwrap().revision.get(), 3);
}

#[tokio::test]
async fn what_is_shown_from_memory_is_the_state_after_the_last_event_known_here() {
    let store = MemoryStore::new();
    let dispatcher = builder(store.clone()).query_staleness(Duration::from_secs(60)).build().unwrap();
    let (here, there) = (client(&dispatcher), accounts_of(&store));
    let get = || GetRequest {
        aggregate: AggregateId::new("account", "a").unwrap(),
        at_revision: None,
        at_time: None,
        min_revision: None,
        metadata: RequestMetadata::default(),
    };
    assert!(dispatcher.get_now(&get()).is_none(), "nothing is in memory");
    for round in 1..=3_u64 {
        here.command("a", &FIVE).await.unwrap();
        for _ in 0..2 {
            let shown = dispatcher.get_now(&get()).unwrap();
            assert_eq!((shown.revision.get(), balance(&shown.state)), (round, 5 * round));
        }
    }
    there.command("a", &FIVE).await.unwrap();
    let with = |change: &dyn Fn(&mut GetRequest)| {
        let mut request = get();
        change(&mut request);
        dispatcher.get_now(&request).map(|shown| shown.revision.get())
    };
    assert_eq!(with(&|request| request.min_revision = Some(Revision::new(3))), Some(3));
    assert_eq!(with(&|request| request.min_revision = Some(Revision::new(4))), None);
    assert_eq!(with(&|request| request.at_revision = Some(Revision::new(1))), None);
    assert_eq!(here.get("a").min_revision(4).await.unwrap().revision.get(), 4);
    assert_eq!(balance(&dispatcher.get_now(&get()).unwrap().state), 20);
}

fn balance(state: &[u8]) -> u64 {
    serde_json::from_slice::<Account>(state).unwrap().balance
}

fn accounts_of(store: &MemoryStore) -> AggregateClient<Account> {
    client(&dispatcher(store.clone()))
}

#[tokio::test]
async fn live_events_are_typed_and_narrowed() {
    let accounts = accounts();
    accounts.command("a", &FIVE).await.unwrap();
    let mut withdrawals = accounts.live().aggregate("a").event("withdrawn").await.unwrap();
    accounts.command("b", &FIVE).await.unwrap();
    accounts.command("b", &Withdraw { amount: 1 }).await.unwrap();
    accounts.command("a", &Withdraw { amount: 2 }).await.unwrap();
    let Some(LiveItem::Event(event)) = withdrawals.next().await else { panic!("no event") };
    assert_eq!(event.event(), Some(&AccountEvent::Withdrawn(2)));
    assert_eq!(event.recorded.revision.get(), 2);
}

#[tokio::test]
async fn a_failing_or_panicking_handler_never_ends_a_live_feed() {
    let accounts = accounts();
    let feed = accounts.live().await.unwrap();
    let (seen, mut seeing) = tokio::sync::mpsc::channel(10);
    let reading = tokio::spawn(feed.for_each(move |item| {
        let seen = seen.clone();
        async move {
            let LiveItem::Event(event) = item else { return Ok(()) };
            let revision = event.recorded.revision.get();
            seen.send(revision).await.unwrap();
            match revision {
                1 => Err("it failed"),
                2 => panic!("it panicked"),
                _ => Ok(()),
            }
        }
    }));
    for revision in 1..=3 {
        accounts.command("a", &FIVE).await.unwrap();
        assert_eq!(seeing.recv().await, Some(revision));
    }
    reading.abort();
}

#[tokio::test]
async fn a_stored_event_that_cannot_be_read_breaks_the_history_and_is_named() {
    let store = MemoryStore::new();
    let aggregate = AggregateId::new("account", "a").unwrap();
    let command = CommandId::new("c").unwrap();
    let stray = NewEvent {
        id: EventId::derive(&command, &aggregate, 0),
        name: Name::new("renamed-away").unwrap(),
        schema_version: 1,
        time: chrono::Utc::now(),
        content_type: JSON.into(),
        data: "1".into(),
        metadata: Arc::new(Metadata::new(command)),
    };
    store.append(Append { aggregate, head: Head::EMPTY, events: vec![stray] }).await.unwrap();
    let accounts = client(&dispatcher(store));
    let broken = accounts.get("a").await.unwrap_err();
    let failure = broken.failure().unwrap();
    assert_eq!((failure.code.clone(), failure.reason()), (FailureCode::Internal, Some("history-broken")));
    assert!(failure.message.contains("revision 1") && failure.message.contains("renamed-away"), "{failure}");
    // A reader of single events sees it as what it is, and goes on.
    let page = accounts.history("a").await.unwrap();
    assert!(page.events[0].decoded.is_err());
}

#[tokio::test]
async fn the_cache_tells_how_many_calls_it_served() {
    let dispatcher = dispatcher(MemoryStore::new());
    assert_eq!(dispatcher.stats().cache_hit_percent, None);
    let accounts = client(&dispatcher);
    for _ in 0..4 {
        accounts.command("a", &FIVE).await.unwrap();
    }
    let stats = dispatcher.stats();
    assert_eq!((stats.cache_hits, stats.cache_misses, stats.cache_hit_percent), (3, 1, Some(75)));
    assert_eq!((stats.cached_aggregates, stats.events_read), (1, 0));
    assert!(stats.cached_bytes > 0 && stats.cached_bytes <= stats.cache_capacity_bytes);
}

#[tokio::test]
async fn a_small_cache_forgets_and_stays_right() {
    let dispatcher = builder(MemoryStore::new()).cache_bytes(4096).build().unwrap();
    let accounts = client(&dispatcher);
    for round in 1..=3 {
        for id in 0..50 {
            assert_eq!(accounts.command(format!("a{id}"), &FIVE).await.unwrap().state.balance, 5 * round);
        }
    }
    let stats = dispatcher.stats();
    assert!(stats.cached_bytes <= 4096 && stats.cached_aggregates < 50, "{stats:?}");
    assert!(stats.cache_misses > 50, "{stats:?}");
}

#[test]
fn a_dispatcher_that_cannot_work_is_refused_with_every_reason() {
    let refused = Dispatcher::builder(MemoryStore::new()).attempts(0).lane_limit(0).build().unwrap_err();
    assert_eq!(refused.problems().len(), 3, "{refused}");
}
