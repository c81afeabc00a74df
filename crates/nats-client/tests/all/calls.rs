//! Calls, and how they fail: against a service that does as the test says.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use headwater_core::call::{
    CallError, CallOptions, CommandRequest, GetRequest, HistoryReply, HistoryRequest, LostReply, QueryReply,
    QueryRequest, RequestMetadata, ReturnMode, Transport,
};
use headwater_core::{AggregateId, CommandId, Failure, FailureCode, Revision, Sequence};
use headwater_nats::reply::Served;
use headwater_nats::{header, reply};
use headwater_nats_client::{ClientError, NatsClient, RetryPolicy};
use headwater_testkit::TestServer;
use serde_json::json;
use support::{Fake, LONG, MS, Reply, add_item, connect, get, once, order, receipts, thrice, within};
use tokio::time::Instant;

const ADD_ITEM: &str = "receipts.command.receipt.add-item";
const GET: &str = "receipts.query.receipt.get";

#[tokio::test]
async fn a_command_carries_what_the_caller_said_and_its_reply_is_read() {
    let server = TestServer::start().await;
    let service = Fake::answering(&server.url(), "receipts.>", |_, request| Some(Reply::done(request, 4))).await;
    let client = once(&server.url()).await;
    let request = CommandRequest {
        expected_revision: Some(Revision::new(3)),
        return_mode: ReturnMode::Revision,
        metadata: RequestMetadata {
            command_id: Some(CommandId::new("c-1").unwrap()),
            correlation_id: Some("k-1".into()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            ..RequestMetadata::default()
        },
        ..add_item()
    };
    let options =
        CallOptions { headers: vec![("Authorization".into(), "Bearer abc".into())], ..within(Duration::from_secs(7)) };
    let before = Utc::now();
    let done = client.command(request, &options).await.unwrap();
    assert_eq!((done.revision, done.sequence), (Revision::new(4), Sequence::new(104)));
    assert_eq!(done.state.unwrap(), r#"{"status":"open"}"#);
    assert_eq!((done.aggregate, done.command_id.as_str()), (order(), "c-1"));

    let [sent] = &service.received()[..] else { panic!("one request") };
    assert_eq!(sent.subject, ADD_ITEM);
    assert!(sent.reply.starts_with("_INBOX."), "{}", sent.reply);
    assert_eq!(sent.body["aggregateId"], "order-1");
    assert_eq!(sent.body["command"], json!({ "name": "Coffee" }));
    assert_eq!((&sent.body["expectedRevision"], &sent.body["return"]), (&json!(3), &json!("revision")));
    assert_eq!(sent.body["metadata"]["correlationId"], "k-1");
    assert_eq!(header::get(&sent.headers, "Authorization"), Some("Bearer abc"));
    assert_eq!(header::get(&sent.headers, "traceparent").unwrap().len(), 55);
    let deadline = header::deadline(&sent.headers).unwrap().unwrap();
    assert!(deadline >= before + TimeDelta::seconds(6) && deadline <= Utc::now() + TimeDelta::seconds(7), "{deadline}");
}

#[tokio::test]
async fn queries_reach_their_subjects_and_their_replies_are_read() {
    let server = TestServer::start().await;
    let service = Fake::answering(&server.url(), "receipts.query.>", |_, request| {
        Some(match request.subject.rsplit('.').next().unwrap() {
            "get" => Reply::entity(4),
            "history" => {
                let page = HistoryReply {
                    aggregate: order(),
                    revision: Revision::new(9),
                    events: Vec::new(),
                    next: Some(Revision::new(7)),
                };
                Reply::of(reply::write_history(&page, &receipts(), &Served::now("fake"), 1 << 20).unwrap())
            }
            _ => {
                let answer = QueryReply {
                    aggregate: order(),
                    revision: Revision::new(4),
                    sequence: Sequence::new(104),
                    answer: Bytes::from_static(b"17"),
                };
                Reply::of(reply::write_query(&answer, &Served::now("fake")))
            }
        })
    })
    .await;
    let client = once(&server.url()).await;
    let options = CallOptions::default();

    let entity = client.get(GetRequest { min_revision: Some(Revision::new(2)), ..get() }, &options).await.unwrap();
    assert_eq!((entity.revision, entity.state), (Revision::new(4), Bytes::from_static(br#"{"status":"open"}"#)));
    let history = HistoryRequest {
        aggregate: order(),
        after_revision: Revision::new(5),
        limit: Some(2),
        metadata: RequestMetadata::default(),
    };
    assert_eq!(client.history(history, &options).await.unwrap().next, Some(Revision::new(7)));
    let count = QueryRequest {
        aggregate: order(),
        query: "count-items".into(),
        payload: Bytes::from_static(b"{}"),
        min_revision: None,
        metadata: RequestMetadata::default(),
    };
    assert_eq!(client.query(count, &options).await.unwrap().answer, "17");

    let received = service.received();
    let subjects: Vec<_> = received.iter().map(|request| request.subject.as_str()).collect();
    assert_eq!(subjects, [GET, "receipts.query.receipt.history", "receipts.query.receipt.count-items"]);
    assert_eq!(received[0].body["minRevision"], 2);
    assert_eq!((&received[1].body["afterRevision"], &received[1].body["limit"]), (&json!(5), &json!(2)));
    assert_eq!(received[2].body["query"], json!({}));
}

#[tokio::test]
async fn a_failure_comes_back_as_the_service_wrote_it_and_is_not_tried_again() {
    let server = TestServer::start().await;
    let refusal = Failure::new(FailureCode::CommandRejected, "the receipt is closed").detail("rejection", "not-open");
    let newer = Failure::new(FailureCode::Unknown("teapot".into()), "short and stout");
    for failure in [refusal, Failure::conflict(Revision::new(1), Revision::new(2)), newer] {
        let reply = Reply::failure(&failure);
        let service = Fake::answering(&server.url(), ADD_ITEM, move |_, _| Some(reply.clone())).await;
        let error = thrice(&server.url()).await.command(add_item(), &CallOptions::default()).await.unwrap_err();
        assert_eq!(error.failure(), Some(&failure));
        assert_eq!(service.received().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_reply_is_called_unreadable() {
    let server = TestServer::start().await;
    for garbage in ["", "garbage", "{}", r#"{"success":true}"#, r#"{"success":true,"result":{"aggregate":1}}"#] {
        let service = Fake::answering(&server.url(), "receipts.>", move |_, _| Some(Reply::of(garbage))).await;
        let client = thrice(&server.url()).await;
        let error = client.command(add_item(), &CallOptions::default()).await.unwrap_err();
        assert!(matches!(error, CallError::Unreadable(_)), "{garbage}: {error}");
        let error = client.get(get(), &CallOptions::default()).await.unwrap_err();
        assert!(matches!(error, CallError::Unreadable(_)), "{garbage}: {error}");
        assert_eq!(service.received().len(), 2);
    }
}

#[tokio::test]
async fn error_headers_without_a_body_are_a_failure_too() {
    let server = TestServer::start().await;
    let reply = Reply { body: Bytes::new(), ..Reply::failure(&Failure::not_found("no such aggregate")) };
    let _service = Fake::answering(&server.url(), GET, move |_, _| Some(reply.clone())).await;
    let error = once(&server.url()).await.get(get(), &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.failure().unwrap().code, FailureCode::NotFound);
    assert_eq!(error.failure().unwrap().message, "no such aggregate");
}

#[tokio::test]
async fn nobody_listening_is_its_own_error_and_comes_long_before_the_timeout() {
    let server = TestServer::start().await;
    let client = thrice(&server.url()).await;
    let start = Instant::now();
    let error = client.command(add_item(), &within(LONG)).await.unwrap_err();
    assert!(matches!(&error, CallError::NoResponders { service } if service == "receipts"), "{error}");
    let error = client.get(get(), &within(LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::NoResponders { .. }), "{error}");
    assert!(start.elapsed() < LONG / 4);
}

#[tokio::test]
async fn a_service_that_starts_while_the_call_is_tried_again_answers_it() {
    let server = TestServer::start().await;
    let retry = RetryPolicy::default().attempts(1000).first_pause(10 * MS).longest_pause(20 * MS);
    let client = NatsClient::builder(connect(&server.url()).await, receipts()).retry(retry).build().unwrap();
    // A first call that finds nobody, so that the second is known to start before the service does.
    assert!(once(&server.url()).await.get(get(), &CallOptions::default()).await.is_err());
    let call = tokio::spawn(async move { client.command(add_item(), &within(LONG)).await });
    let _service = Fake::answering(&server.url(), ADD_ITEM, |_, request| Some(Reply::done(request, 1))).await;
    assert_eq!(call.await.unwrap().unwrap().revision, Revision::new(1));
}

#[tokio::test]
async fn a_command_without_a_reply_has_an_unknown_outcome_and_every_try_carried_one_id() {
    let server = TestServer::start().await;
    let service = Fake::answering(&server.url(), "receipts.>", |_, _| None).await;
    let client = thrice(&server.url()).await;
    let start = Instant::now();
    let error = client.command(add_item(), &within(600 * MS)).await.unwrap_err();
    assert!(start.elapsed() >= 500 * MS && start.elapsed() < LONG / 4, "{:?}", start.elapsed());
    let CallError::OutcomeUnknown { command_id, cause } = &error else { panic!("{error}") };
    assert_eq!(*cause, LostReply::Timeout(600 * MS));
    assert!(error.is_timeout() && error.is_retryable());
    let received = service.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.command_id() == command_id.as_str()));

    let error = client.get(get(), &within(300 * MS)).await.unwrap_err();
    assert!(matches!(error, CallError::Unanswered(LostReply::Timeout(waited)) if waited == 300 * MS), "{error}");
}

#[tokio::test]
async fn a_query_is_told_the_last_word_also_after_a_lost_reply() {
    let server = TestServer::start().await;
    let reply = Reply::failure(&Failure::new(FailureCode::Forbidden, "not you"));
    let _service = Fake::answering(&server.url(), GET, move |number, _| (number > 1).then(|| reply.clone())).await;
    let error = thrice(&server.url()).await.get(get(), &within(600 * MS)).await.unwrap_err();
    assert_eq!(error.failure().unwrap().code, FailureCode::Forbidden);
}

#[tokio::test]
async fn a_lost_reply_is_made_up_for_by_the_next_try() {
    let server = TestServer::start().await;
    let service =
        Fake::answering(&server.url(), ADD_ITEM, |number, request| (number == 2).then(|| Reply::done(request, 1)))
            .await;
    let done = thrice(&server.url()).await.command(add_item(), &within(900 * MS)).await.unwrap();
    assert_eq!(done.revision, Revision::new(1));
    let ids: HashSet<_> = service.received().iter().map(|request| request.command_id().to_owned()).collect();
    assert_eq!((service.received().len(), ids.len()), (2, 1));
}

#[tokio::test]
async fn an_answer_to_an_earlier_try_still_counts() {
    let server = TestServer::start().await;
    let mut first = None;
    let service = Fake::start(&server.url(), ADD_ITEM, move |number, request| match number {
        1 => {
            first = Some((request.reply.clone(), Reply::done(request, 1)));
            Vec::new()
        }
        _ => first.take().into_iter().collect(),
    })
    .await;
    let start = Instant::now();
    let done = thrice(&server.url()).await.command(add_item(), &within(LONG / 4)).await.unwrap();
    assert_eq!(done.revision, Revision::new(1));
    assert_eq!(service.received().len(), 2);
    assert!(start.elapsed() < LONG / 4);
}

#[tokio::test]
async fn what_the_service_marks_as_retryable_is_tried_again_with_the_same_id() {
    let server = TestServer::start().await;
    for failure in [
        Failure::unavailable("overloaded", "too much to do"),
        Failure::outcome_unknown("the acknowledgement was lost"),
        Failure::deadline_exceeded("too late"),
        Failure { retryable: true, ..Failure::new(FailureCode::Unknown("tired".into()), "later") },
    ] {
        let reply = Reply::failure(&failure);
        let service = Fake::answering(&server.url(), ADD_ITEM, move |number, request| {
            Some(if number < 3 { reply.clone() } else { Reply::done(request, 1) })
        })
        .await;
        let done = thrice(&server.url()).await.command(add_item(), &within(LONG)).await.unwrap();
        assert_eq!(done.revision, Revision::new(1));
        let received = service.received();
        assert!(received.iter().all(|request| request.command_id() == done.command_id.as_str()));
        assert_eq!(received.len(), 3, "{failure}");
    }
}

#[tokio::test]
async fn what_a_service_says_about_the_next_try_is_waited_out_when_there_is_time_and_reported_when_there_is_not() {
    let server = TestServer::start().await;
    for failure in [
        Failure::new(FailureCode::RateLimited, "slow down").retry_in(300 * MS),
        Failure::unavailable("circuit-open", "the store is left alone").retry_in(300 * MS),
    ] {
        let reply = Reply::failure(&failure);
        let _service = Fake::answering(&server.url(), ADD_ITEM, move |number, request| {
            Some(if number % 2 == 1 { reply.clone() } else { Reply::done(request, 1) })
        })
        .await;
        let client = thrice(&server.url()).await;
        let start = Instant::now();
        client.command(add_item(), &within(LONG)).await.unwrap();
        assert!(start.elapsed() >= 300 * MS, "{:?}", start.elapsed());
        let start = Instant::now();
        let error = client.command(add_item(), &within(250 * MS)).await.unwrap_err();
        assert_eq!(*error.failure().unwrap(), failure);
        assert!(start.elapsed() < 250 * MS, "the call does not wait for what it cannot wait out");
    }
}

#[tokio::test]
async fn once_a_reply_was_lost_only_a_settling_answer_ends_the_doubt() {
    let server = TestServer::start().await;
    for (failure, settles) in [
        (Failure::unavailable("draining", "on the way out"), false),
        (Failure::internal("a bug"), false),
        (Failure::new(FailureCode::Forbidden, "not you"), false),
        (Failure::new(FailureCode::CommandRejected, "no"), false),
        (Failure::conflict(Revision::new(1), Revision::new(2)), true),
    ] {
        let reply = Reply::failure(&failure);
        let _service =
            Fake::answering(&server.url(), ADD_ITEM, move |number, _| (number > 1).then(|| reply.clone())).await;
        let error = thrice(&server.url()).await.command(add_item(), &within(600 * MS)).await.unwrap_err();
        match error {
            CallError::Failed(told) => assert!(settles && told == failure, "{told}"),
            CallError::OutcomeUnknown { cause: LostReply::Timeout(_), .. } => assert!(!settles, "{failure}"),
            other => panic!("{failure}: {other}"),
        }
    }
}

#[tokio::test]
async fn an_outcome_that_the_service_does_not_know_is_unknown_to_the_caller() {
    let server = TestServer::start().await;
    let reply = Reply::failure(&Failure::outcome_unknown("the acknowledgement was lost"));
    let service = Fake::answering(&server.url(), ADD_ITEM, move |_, _| Some(reply.clone())).await;
    let error = thrice(&server.url()).await.command(add_item(), &within(LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::OutcomeUnknown { cause: LostReply::Service, .. }), "{error}");
    assert_eq!(service.received().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_name_and_nothing_is_sent() {
    let server = TestServer::with(|builder| builder.max_payload(4096)).await;
    let service = Fake::answering(&server.url(), ">", |_, _| None).await;
    let client = thrice(&server.url()).await;
    let header = |name: &str, value: &str| CallOptions {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..CallOptions::default()
    };
    let large = format!("\"{}\"", "x".repeat(5000));
    for (request, options, named) in [
        (add_item(), header("X-Note", "a\rb"), "`X-Note`"),
        (add_item(), header("X-Note", "a\r\nNats-Msg-Id: 1"), "`X-Note`"),
        (add_item(), header("X Note", "a"), "\"X Note\""),
        (add_item(), header("Nats-Expected-Stream", "X"), "`Nats-Expected-Stream`"),
        (add_item(), header("Headwater-Deadline", "never"), "`Headwater-Deadline`"),
        (
            CommandRequest { command: "add.item".into(), ..add_item() },
            CallOptions::default(),
            "command: `add.item` is not a name",
        ),
        (CommandRequest { command: ">".into(), ..add_item() }, CallOptions::default(), "command: `>` is not a name"),
        (
            CommandRequest { payload: Bytes::from_static(b"{"), ..add_item() },
            CallOptions::default(),
            "the payload of `add-item` is not JSON",
        ),
        (CommandRequest { payload: large.into(), ..add_item() }, CallOptions::default(), "the 4096 the server takes"),
        (
            add_item(),
            CallOptions { deadline: Some(Utc::now() - TimeDelta::seconds(1)), ..CallOptions::default() },
            "its deadline has passed",
        ),
        (
            CommandRequest {
                metadata: RequestMetadata { traceparent: Some("a\rb".into()), ..RequestMetadata::default() },
                ..add_item()
            },
            CallOptions::default(),
            "`traceparent`",
        ),
    ] {
        let error = client.command(request, &options).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error}");
        assert!(error.to_string().contains(named), "{error} names {named}");
    }
    let bad_query = QueryRequest {
        aggregate: order(),
        query: "count items".into(),
        payload: Bytes::from_static(b"{}"),
        min_revision: None,
        metadata: RequestMetadata::default(),
    };
    let error = client.query(bad_query, &CallOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("query: `count items` is not a name"), "{error}");

    let marker = client.connection().client();
    marker.publish("marker", "".into()).await.unwrap();
    let seen = headwater_testkit::wait_until(LONG, "the marker", async || {
        let subjects: Vec<_> = service.received().iter().map(|request| request.subject.clone()).collect();
        subjects.contains(&"marker".to_owned()).then_some(subjects)
    })
    .await;
    assert!(!seen.iter().any(|subject| subject.starts_with("receipts.")), "{seen:?}");
}

#[tokio::test]
async fn many_calls_at_once_get_each_their_own_reply() {
    let server = TestServer::start().await;
    let _service = Fake::answering(&server.url(), GET, |_, request| {
        let id = request.body["aggregateId"].as_str().unwrap();
        let aggregate = AggregateId::new("receipt", id).unwrap();
        let entity = headwater_core::call::EntityReply {
            aggregate,
            revision: Revision::new(id.parse().unwrap()),
            sequence: Sequence::new(1),
            state: Bytes::from_static(b"{}"),
        };
        Some(Reply::of(reply::write_entity(&entity, &Served::now("fake"))))
    })
    .await;
    let client = once(&server.url()).await;
    let calls = (0..3000_u64).map(|number| {
        let client = client.clone();
        async move {
            let aggregate = AggregateId::new("receipt", number.to_string()).unwrap();
            let reply = client.get(GetRequest { aggregate, ..get() }, &within(LONG)).await.unwrap();
            assert_eq!(reply.revision, Revision::new(number));
        }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn calls_beyond_the_bound_wait_and_give_up_in_time() {
    let server = TestServer::start().await;
    let service = Fake::answering(&server.url(), "receipts.>", |_, _| None).await;
    let builder = NatsClient::builder(connect(&server.url()).await, receipts());
    let client = builder.retry(RetryPolicy::none()).max_in_flight(1).build().unwrap();
    let busy = tokio::spawn({
        let client = client.clone();
        async move { client.get(get(), &within(LONG)).await }
    });
    let sent = async || (service.received().len() == 1).then_some(());
    headwater_testkit::wait_until(LONG, "the first call", sent).await;
    let error = client.command(add_item(), &within(100 * MS)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error}");
    assert_eq!(service.received().len(), 1);
    // A call that is given up makes room.
    busy.abort();
    assert!(busy.await.unwrap_err().is_cancelled());
    let error = client.get(get(), &within(100 * MS)).await.unwrap_err();
    assert!(matches!(error, CallError::Unanswered(_)), "{error}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    let server = TestServer::start().await;
    let connection = connect(&server.url()).await;
    let builder = || NatsClient::builder(connection.clone(), receipts());
    for (builder, named) in [
        (builder().timeout(Duration::ZERO), "timeout"),
        (builder().max_in_flight(0), "max_in_flight"),
        (builder().max_in_flight(usize::MAX), "max_in_flight"),
        (builder().retry(RetryPolicy::default().attempts(0)), "retry.attempts"),
        (builder().retry(RetryPolicy::default().jitter(2.0)), "retry.jitter"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(&error, ClientError::Setting(text) if text.starts_with(named)), "{error}");
    }
    let config = headwater_nats::connect::NatsConfig::new(&server.url());
    let error = NatsClient::connect(&config, "Receipts!").await.unwrap_err();
    assert!(error.to_string().starts_with("service: `Receipts!` is not a name"), "{error}");
    let client = NatsClient::connect(&config, "receipts").await.unwrap();
    assert_eq!(client.service().as_str(), "receipts");
}
