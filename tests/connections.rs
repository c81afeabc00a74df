//! Callers' connection and JetStream's die independently: each shows in status and health, harms only its own traffic,
//! and comes back by itself.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use headwater::client::RetryPolicy;
use headwater::nats::connect::{Connection, ConnectionStatus};
use headwater::nats::discovery::{Health, HealthStatus};
use headwater_testkit::{FaultProxy, wait_until};
use headwater_tests::load::Load;
use headwater_tests::plain::{add_item, command_subject, headers};
use headwater_tests::{Instance, Plain, Site};
use sample_receipts::domain::ReceiptClient;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

/// An instance whose two connections go through proxies of their own, on a site that callers reach directly.
struct Till {
    site: Site,
    plain: Plain,
    callers: FaultProxy,
    jetstream: FaultProxy,
    instance: Instance,
}

impl Till {
    async fn open() -> Self {
        let site = Site::open().await;
        let (callers, jetstream) = (site.proxy().await, site.proxy().await);
        let starting = site.starting().callers_by(&callers).jetstream_by(&jetstream);
        // How long a command waits for JetStream, when that is silent, before its outcome is called unknown.
        let patience = Duration::from_secs(1);
        let starting = starting.store(|store| store.ack_timeout(patience).settle_timeout(patience));
        let instance = starting.start().await;
        let plain = site.plain().await;
        plain.add("order-1", "Tea").await.result();
        Self { site, plain, callers, jetstream, instance }
    }

    /// Waits until the instance says this of itself, and returns the whole answer.
    async fn health(&self, status: HealthStatus) -> Health {
        let health = || async {
            let health = self.instance.service.health().await;
            (health.status == status).then_some(health)
        };
        wait_until(SOON, &format!("health to be {status:?}"), health).await
    }

    /// Waits until a normal call is answered.
    async fn serves(&self) {
        let (subject, body) = (command_subject("add-item"), add_item("order-1", "Cake").to_string());
        let answered = || async {
            let asked = self.plain.try_ask(&subject, headers([]), body.clone());
            let answer = tokio::time::timeout(Duration::from_millis(500), asked).await.ok()?.ok()?;
            answer.headers.is_empty().then_some(())
        };
        wait_until(SOON, "a normal call to be answered", answered).await;
    }
}

async fn down(connection: &Connection) -> ConnectionStatus {
    let mut statuses = connection.statuses();
    let down = statuses.wait_for(|status| !status.is_connected());
    tokio::time::timeout(SOON, down).await.expect("the status to change").unwrap().clone()
}

#[tokio::test]
async fn when_callers_are_cut_off_the_journal_still_works_and_callers_come_back() {
    let till = Till::open().await;
    till.callers.refuse().await;
    till.callers.cut().await;
    let status = down(&till.instance.connections.callers).await;
    assert!(matches!(status, ConnectionStatus::Disconnected { .. }), "{status}");
    let health = till.health(HealthStatus::Degraded).await;
    assert_eq!((health.checks["nats"].ok, health.checks["store"].ok), (false, true));
    assert!(health.checks["nats"].detail.as_ref().unwrap().starts_with("disconnected"), "{health:?}");

    let nobody = till.plain.try_ask(&command_subject("add-item"), headers([]), "{}").await.unwrap_err();
    assert_eq!(nobody.kind(), async_nats::RequestErrorKind::NoResponders, "callers learn at once");
    let inside = ReceiptClient::new(till.instance.service.dispatcher().clone());
    assert_eq!(inside.get("order-1").await.unwrap().revision.get(), 1);
    assert_eq!(till.instance.connections.jetstream.stats().disconnects, 0);

    till.callers.accept().await.unwrap();
    till.serves().await;
    till.health(HealthStatus::Ok).await;
    let found = till.plain.ask("$SRV.PING.receipts", "").await.body;
    assert_eq!(found["id"], till.instance.id(), "discovery is back too");
}

#[tokio::test]
async fn when_jetstream_is_cut_off_callers_are_told_why_and_the_journal_comes_back() {
    let till = Till::open().await;
    till.jetstream.refuse().await;
    till.jetstream.cut().await;
    let status = down(&till.instance.connections.jetstream).await;
    assert!(matches!(status, ConnectionStatus::Disconnected { .. }), "{status}");

    for answer in [till.plain.add("order-1", "Cake").await, till.plain.get("order-1").await] {
        assert_eq!(answer.error(503, "unavailable")["details"]["reason"], "store");
    }
    till.health(HealthStatus::Degraded).await;
    let health: Value = till.plain.ask("receipts.health", "").await.body;
    assert_eq!((&health["checks"]["nats"]["ok"], &health["checks"]["store"]["ok"]), (&json!(true), &json!(false)));
    let refused = till.plain.command("finalize", &json!({ "aggregateId": "order-1", "command": { "now": 1 } })).await;
    refused.error(400, "validation-failed");
    assert_eq!(till.instance.connections.callers.stats().disconnects, 0);
    assert_eq!(till.site.journal().await.count().await, 1, "what was refused is not stored later");

    till.jetstream.accept().await.unwrap();
    till.serves().await;
    till.health(HealthStatus::Ok).await;
}

/// Half open: the connection is there and nothing passes. Only the watchdog can notice.
#[tokio::test]
async fn a_callers_connection_that_hangs_is_noticed_and_made_anew() {
    let till = Till::open().await;
    till.callers.freeze();
    let health = till.health(HealthStatus::Degraded).await;
    assert_eq!((health.checks["nats"].ok, health.checks["store"].ok), (false, true));
    let connection = &till.instance.connections.callers;
    let status = down(connection).await.to_string();
    assert!(status.contains("did not answer within"), "{status}");
    till.callers.pass();
    till.serves().await;
    till.health(HealthStatus::Ok).await;
    let stats = connection.stats();
    assert!(stats.reconnects + stats.rebuilds > 0, "{stats:?}");
    assert_eq!(till.instance.connections.jetstream.stats().disconnects, 0);
}

#[tokio::test]
async fn a_jetstream_connection_that_hangs_leaves_no_caller_without_an_answer() {
    let till = Till::open().await;
    till.jetstream.freeze();
    let mut body = add_item("order-1", "Cake");
    body["metadata"] = json!({ "commandId": "c-1" });
    let answer = till.plain.command("add-item", &body).await;
    let code = answer.body["error"]["code"].as_str().unwrap();
    assert!(["outcome-unknown", "unavailable", "deadline-exceeded"].contains(&code), "{answer:?}");
    assert_eq!(answer.body["error"]["retryable"], true);
    let health = till.health(HealthStatus::Degraded).await;
    assert_eq!((health.checks["nats"].ok, health.checks["store"].ok), (true, false));

    till.jetstream.pass();
    till.serves().await;
    till.health(HealthStatus::Ok).await;
    // The same id settles what became of it, once.
    let settled = till.plain.command("add-item", &body).await;
    settled.result();
    let stored = till.site.journal().await.all().await;
    assert_eq!(stored.iter().filter(|event| event.text("commandid") == "c-1").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_again_and_again_lose_and_double_nothing() {
    let site = Site::open().await;
    let (callers, jetstream, clients) = (site.proxy().await, site.proxy().await, site.proxy().await);
    let instance = site.starting().callers_by(&callers).jetstream_by(&jetstream).start().await;
    let retry = RetryPolicy::default().attempts(4);
    let client = site.receipts_by(&clients, |client| client.retry(retry).timeout(Duration::from_secs(2))).await;
    let load = Load::start(vec![client; 6], &["hot", "a", "b"]);
    for proxy in [&callers, &jetstream, &clients].into_iter().cycle().take(9) {
        load.progress(20, SOON).await;
        proxy.cut().await;
    }
    load.progress(20, SOON).await;
    let book = load.finish().await;
    assert!(book.given_up.is_empty(), "{:#?}", book.failed_calls);
    book.check(&site.journal().await.all().await);
    let stats = [&instance.connections.callers, &instance.connections.jetstream].map(|connection| connection.stats());
    assert!(stats.iter().all(|stats| stats.disconnects >= 3), "{stats:?}");
}
