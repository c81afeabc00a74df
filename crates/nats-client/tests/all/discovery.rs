//! Discovery: many answers to one question, some of them no answers.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use headwater_core::call::{CallError, LostReply};
use headwater_core::{Failure, FailureCode};
use headwater_nats::discovery::{
    Contract, EndpointInfo, EndpointStats, Health, HealthStatus, Identity, Info, Ping, Stats,
};
use headwater_nats_client::{Discovery, NatsClient};
use headwater_testkit::TestServer;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::{Fake, LONG, MS, Reply, connect, receipts};
use tokio::time::Instant;

fn identity(service: &str, id: &str) -> Identity {
    Identity { name: service.into(), id: id.into(), version: "1.2.3".into(), metadata: BTreeMap::new() }
}

fn json(answer: &impl Serialize) -> Reply {
    Reply::of(serde_json::to_vec(answer).unwrap())
}

/// An instance that answers all forms of discovery.
async fn instance(server: &TestServer, service: &'static str, id: &'static str) -> Fake {
    Fake::answering(&server.url(), "$SRV.>", move |_, request| {
        let parts: Vec<_> = request.subject.split('.').collect();
        let ours = match parts[2..] {
            [] => true,
            [name] => name == service,
            [name, instance] => name == service && instance == id,
            _ => false,
        };
        ours.then(|| match parts[1] {
            "PING" => json(&Ping::new(identity(service, id))),
            "INFO" => {
                let endpoint = EndpointInfo { name: "a".into(), subject: "b".into(), ..EndpointInfo::default() };
                json(&Info::new(identity(service, id), "fake", vec![endpoint]))
            }
            _ => {
                let endpoint = EndpointStats { num_requests: 7, ..EndpointStats::default() };
                json(&Stats::new(identity(service, id), chrono::Utc::now(), vec![endpoint]))
            }
        })
    })
    .await
}

async fn discovery(server: &TestServer) -> Discovery {
    NatsClient::new(connect(&server.url()).await, receipts()).discovery()
}

fn ids(pings: &[Ping]) -> BTreeSet<&str> {
    pings.iter().map(|ping| ping.identity.id.as_str()).collect()
}

#[tokio::test]
async fn every_instance_answers_and_the_question_can_be_narrowed() {
    let server = TestServer::start().await;
    let _instances = [
        instance(&server, "receipts", "r1").await,
        instance(&server, "receipts", "r2").await,
        instance(&server, "orders", "o1").await,
    ];
    let discovery = discovery(&server).await;
    let all = discovery.ping().await.unwrap();
    assert_eq!((ids(&all.answers), all.malformed), (BTreeSet::from(["o1", "r1", "r2"]), 0));
    assert!(all.took.len() == 3 && all.took.is_sorted() && !all.took[0].is_zero(), "{:?}", all.took);
    let receipts = discovery.ping().service("receipts").expecting(2).await.unwrap();
    assert_eq!(ids(&receipts.answers), BTreeSet::from(["r1", "r2"]));
    let one = discovery.ping().instance("receipts", "r2").await.unwrap();
    assert_eq!(ids(&one.answers), BTreeSet::from(["r2"]));

    let info = discovery.info().instance("orders", "o1").await.unwrap();
    assert_eq!(info.answers[0].endpoints[0].name, "a");
    let stats = discovery.stats().service("receipts").await.unwrap();
    assert_eq!(stats.answers.len(), 2);
    assert!(stats.answers.iter().all(|stats| stats.endpoints[0].num_requests == 7));
}

#[tokio::test]
async fn the_waiting_ends_with_the_first_the_expected_number_the_quiet_or_the_time() {
    let server = TestServer::start().await;
    let discovery = discovery(&server).await;
    let _instances = [instance(&server, "receipts", "r1").await, instance(&server, "receipts", "r2").await];
    let timed = async |question: headwater_nats_client::discovery::Question<Ping>| {
        let start = Instant::now();
        let found = question.await.unwrap().answers.len();
        (found, start.elapsed())
    };
    let question = || discovery.ping().service("receipts").quiet(LONG).within(LONG);
    let (found, took) = timed(question().first()).await;
    assert!(found == 1 && took < LONG / 2, "{found} in {took:?}");
    let (found, took) = timed(question().expecting(2)).await;
    assert!(found == 2 && took < LONG / 2, "{found} in {took:?}");
    let (found, took) = timed(question().quiet(100 * MS)).await;
    assert!(found == 2 && took >= 100 * MS && took < LONG / 2, "{found} in {took:?}");
    let (found, took) = timed(question().expecting(3).within(200 * MS)).await;
    assert!(found == 2 && took >= 200 * MS && took < LONG / 2, "{found} in {took:?}");
}

#[tokio::test]
async fn nobody_there_is_an_empty_answer_and_comes_at_once() {
    let server = TestServer::start().await;
    let start = Instant::now();
    let none = discovery(&server).await.ping().within(LONG).await.unwrap();
    assert_eq!((none.answers.len(), none.malformed), (0, 0));
    assert!(start.elapsed() < LONG / 2);
}

#[tokio::test]
async fn a_malformed_answer_is_counted_and_the_others_are_kept() {
    let server = TestServer::start().await;
    let _good = instance(&server, "receipts", "r1").await;
    let answers =
        ["garbage", "", "[]", r#"{"type":"io.nats.micro.v1.info_response","name":"a","id":"b","version":"1"}"#];
    let _bad = Fake::start(&server.url(), "$SRV.PING", move |_, request| {
        let nameless = json(&Ping::new(identity("", "x")));
        let bad = answers.into_iter().map(Reply::of).chain([nameless]);
        bad.map(|reply| (request.reply.clone(), reply)).collect()
    })
    .await;
    let found = discovery(&server).await.ping().await.unwrap();
    assert_eq!((ids(&found.answers), found.malformed), (BTreeSet::from(["r1"]), 5));
}

#[tokio::test]
async fn an_instance_that_answers_twice_counts_once() {
    let server = TestServer::start().await;
    let _twice = Fake::start(&server.url(), "$SRV.PING", |_, request| {
        let reply = json(&Ping::new(identity("receipts", "r1")));
        vec![(request.reply.clone(), reply.clone()), (request.reply.clone(), reply)]
    })
    .await;
    let _once = instance(&server, "receipts", "r2").await;
    let found = discovery(&server).await.ping().expecting(2).within(LONG).await.unwrap();
    assert_eq!(ids(&found.answers), BTreeSet::from(["r1", "r2"]));
}

#[tokio::test]
async fn a_name_that_would_reach_other_subjects_is_refused() {
    let server = TestServer::start().await;
    let discovery = discovery(&server).await;
    for bad in ["*", ">", "a.b", "", "a b"] {
        let error = discovery.ping().service(bad).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{bad}: {error}");
        let error = discovery.ping().instance("receipts", bad).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{bad}: {error}");
        let error = discovery.health(bad).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{bad}: {error}");
    }
}

#[tokio::test]
async fn health_is_read_and_its_absence_has_a_name() {
    let server = TestServer::start().await;
    let discovery = discovery(&server).await;
    let error = discovery.health("receipts").await.unwrap_err();
    assert!(matches!(&error, CallError::NoResponders { service } if service == "receipts"), "{error}");
    let _healthy = Fake::answering(&server.url(), "receipts.health", |_, _| {
        Some(json(&Health::of_checks("r1".into(), "1.2.3".into(), BTreeMap::new())))
    })
    .await;
    assert_eq!(discovery.health("receipts").await.unwrap().status, HealthStatus::Ok);
    let _silent = Fake::answering(&server.url(), "orders.health", |_, _| None).await;
    let error = discovery.health("orders").await.unwrap_err();
    assert!(matches!(error, CallError::Unanswered(LostReply::Timeout(_))), "{error}");
    let _garbage = Fake::answering(&server.url(), "bills.health", |_, _| Some(Reply::of("garbage"))).await;
    let error = discovery.health("bills").await.unwrap_err();
    assert!(matches!(error, CallError::Unreadable(_)), "{error}");
}

#[tokio::test]
async fn a_contract_is_read_whole_or_in_part_and_its_refusal_is_the_services_own() {
    let server = TestServer::start().await;
    let discovery = discovery(&server).await;
    let contract = Contract {
        service: "receipts".into(),
        version: "1.2.3".into(),
        contract: "abc".into(),
        aggregates: json!({ "receipt": { "commands": {} } }),
    };
    let whole = serde_json::to_value(&contract).unwrap();
    let _service = Fake::answering(&server.url(), "receipts.schema", move |_, request| {
        let pointer = request.body["pointer"].as_str().unwrap_or_default();
        Some(match whole.pointer(pointer) {
            Some(part) => json(part),
            None => Reply::failure(&Failure::not_found("the contract has no such part")),
        })
    })
    .await;
    let read: Contract = serde_json::from_value(discovery.schema("receipts", "").await.unwrap()).unwrap();
    assert_eq!(read, contract);
    let part: Value = discovery.schema("receipts", "/aggregates/receipt").await.unwrap();
    assert_eq!(part, json!({ "commands": {} }));
    let error = discovery.schema("receipts", "/nowhere").await.unwrap_err();
    assert_eq!(error.failure().unwrap().code, FailureCode::NotFound);
}

#[tokio::test]
async fn a_lost_connection_ends_the_waiting() {
    let server = TestServer::start().await;
    let proxy = headwater_testkit::FaultProxy::start(server.address()).await.unwrap();
    let discovery = Discovery::new(connect(&proxy.url()).await);
    let silent = Fake::answering(&server.url(), "$SRV.>", |_, _| None).await;
    let asking = tokio::spawn(async move { discovery.ping().within(Duration::from_secs(60)).await });
    let asked = async || (!silent.received().is_empty()).then_some(());
    headwater_testkit::wait_until(LONG, "the question", asked).await;
    proxy.cut().await;
    let error = tokio::time::timeout(LONG, asking).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, CallError::Unanswered(LostReply::ConnectionLost)), "{error}");
}
