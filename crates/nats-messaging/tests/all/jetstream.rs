//! What is JetStream's alone: the server's limits and rights, and who else uses it.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::StreamExt;
use headwater_nats::connect::{Connection, Connections, NatsConfig};
use headwater_nats_messaging::consume::{Consume, ConsumeError, ConsumerConfig};
use headwater_nats_messaging::exchange::{Exchange, RequestError};
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::{Publish, PublishError};
use headwater_testkit::{TestServer, wait_until};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{PATIENCE, Raw, jetstream, next, number, publish, publish_numbers};

#[tokio::test]
async fn a_full_stream_is_told_with_its_reason_and_what_came_before_is_stored() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare_as("FEW", json!({ "subjects": ["few"], "max_msgs": 2, "discard": "new" })).await;
    let jetstream = jetstream(&server).await;
    publish_numbers(&jetstream, "few", 0..2).await;
    match publish(&jetstream, Message::new("few", "2")).await {
        Err(PublishError::Unavailable { source, .. }) => assert!(source.to_string().contains("10077"), "{source}"),
        other => panic!("a full stream was to refuse, not: {other:?}"),
    }
    assert_eq!(raw.messages("FEW").await, 2);
}

#[tokio::test]
async fn more_under_way_than_may_be_wait_for_their_turn() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let mut config = NatsConfig::new(&server.url());
    config.subscription_capacity = Some(64);
    let jetstream = JetStream::new(Connection::connect(&config).await.unwrap());
    // Whoever hands over waits for room, which is made as soon as others are answered and taken.
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let settling = tokio::spawn(async move {
        let mut last = 0;
        while let Some(acknowledgement) = receiver.recv().await {
            let acknowledgement: headwater_nats_messaging::publish::Acknowledgement = acknowledgement;
            last = acknowledgement.await.unwrap().sequence;
        }
        last
    });
    for number in 0..1_000 {
        let message = Message::new("orders.a", number.to_string());
        sender.send(jetstream.send(message, Instant::now() + PATIENCE).await.unwrap()).unwrap();
    }
    drop(sender);
    assert_eq!(settling.await.unwrap(), 1_000);
    // Nobody takes the answers: the one too many is not sent, and said to be so.
    let mut kept = Vec::new();
    let refused = loop {
        let limit = Instant::now() + Duration::from_millis(300);
        match jetstream.send(Message::new("orders.a", "x"), limit).await {
            Ok(acknowledgement) => kept.push(acknowledgement),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, PublishError::Unavailable { .. }), "{refused:?}");
    assert!(kept.len() <= 64, "{} were under way", kept.len());
}

#[tokio::test]
async fn a_subject_that_the_user_may_not_publish_to_is_refused_without_waiting() {
    let server = TestServer::with(|builder| {
        builder.config(
            r#"authorization { users: [ { user: u, password: p, permissions: {
                publish: { allow: ["orders.>", "$JS.API.>", "_INBOX.>"] }, subscribe: { allow: ["_INBOX.>"] } } },
                { user: root, password: p } ] }"#,
        )
    })
    .await;
    let root = async_nats::ConnectOptions::with_user_and_password("root".into(), "p".into());
    Raw(root.connect(server.url()).await.unwrap()).declare("ORDERS", &["orders.>", "audit.>"]).await;
    let user = NatsConfig::new(&server.url()).user_and_password("u", "p");
    let jetstream = JetStream::new(Connection::connect(&user).await.unwrap());
    publish(&jetstream, Message::new("orders.a", "x")).await.unwrap();
    let begin = Instant::now();
    let refused = publish(&jetstream, Message::new("audit.a", "x")).await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })), "{refused:?}");
    assert!(begin.elapsed() < PATIENCE / 2);
    let asked = jetstream.request(Message::new("secret", "x"), Instant::now() + PATIENCE).await;
    assert!(matches!(asked, Err(RequestError::Refused { .. })), "{asked:?}");
    assert!(jetstream.listen("secret".to_owned(), None).await.is_err());
    publish(&jetstream, Message::new("orders.a", "x")).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_no_acknowledgement_leaves_the_outcome_unknown() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    let mut listening = raw.0.subscribe("ping").await.unwrap();
    headwater_testkit::known_to_server(&raw.0).await;
    let client = raw.0.clone();
    tokio::spawn(async move {
        while let Some(message) = listening.next().await {
            client.publish(message.reply.unwrap(), "pong".into()).await.unwrap();
        }
    });
    let outcome = publish(&jetstream(&server).await, Message::new("ping", "x")).await;
    assert!(matches!(outcome, Err(PublishError::Unknown { .. })), "{outcome:?}");
}

#[tokio::test]
async fn no_more_is_fetched_than_the_buffer_holds_however_far_a_reader_lags() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    let config = ConsumerConfig {
        buffer: NonZeroU32::new(10).unwrap(),
        max_ack_pending: 100_000,
        ..ConsumerConfig::new("ORDERS", "slow")
    };
    let mut slow = jetstream.open(config).await.unwrap();
    publish_numbers(&jetstream, "orders.a", 0..20_000).await;
    next(&mut slow).await.ack().await.unwrap();
    let under_way = wait_until(PATIENCE, "the server to have delivered what was asked for", async || {
        let info = slow.control.info().await.unwrap();
        (info.ack_pending > 0).then_some(info)
    })
    .await;
    assert!(under_way.ack_pending <= 20, "{under_way:?}");
    for expected in 1..2_000 {
        let delivery = next(&mut slow).await;
        assert_eq!(number(&delivery), expected);
        delivery.ack().await.unwrap();
    }
    let info = slow.control.info().await.unwrap();
    assert!(info.ack_pending + info.pending <= 18_020 && info.pending >= 17_980, "{info:?}");
}

#[tokio::test]
async fn a_consumer_that_is_as_described_is_not_touched_and_keeps_what_others_have_set() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    let config = || ConsumerConfig::new("ORDERS", "mailer").filter("orders.a").filter("orders.b");
    drop(jetstream.open(config()).await.unwrap());
    let info = async || raw.api("CONSUMER.INFO.ORDERS.mailer", Value::Null).await;
    let mut changed = info().await["config"].clone();
    changed["metadata"]["owner"] = json!("mail");
    let request = json!({ "stream_name": "ORDERS", "config": changed, "action": "update" });
    raw.api("CONSUMER.CREATE.ORDERS.mailer", request).await;

    drop(jetstream.open(config()).await.unwrap());
    let untouched = info().await;
    let wider = ConsumerConfig { ack_wait: Duration::from_secs(7), ..config() };
    drop(jetstream.open(wider).await.unwrap());
    let adapted = info().await;
    for found in [&untouched, &adapted] {
        assert_eq!(found["config"]["metadata"]["owner"], "mail");
        assert_eq!(found["created"], untouched["created"], "it is never made anew");
    }
    assert_eq!(untouched["config"], changed, "what is as described is left alone");
    assert_eq!(adapted["config"]["ack_wait"], 7_000_000_000_u64);
}

#[tokio::test]
async fn a_consumer_that_pushes_is_refused_by_name() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    let config = json!({ "durable_name": "pushed", "deliver_subject": "push.here", "ack_policy": "explicit" });
    raw.api("CONSUMER.CREATE.ORDERS.pushed", json!({ "stream_name": "ORDERS", "config": config })).await;
    match jetstream(&server).await.open(ConsumerConfig::new("ORDERS", "pushed")).await {
        Err(ConsumeError::Refused { reason, .. }) => assert!(reason.contains("deliver_subject"), "{reason}"),
        other => panic!("it was to be refused, not: {other:?}"),
    }
}

#[tokio::test]
async fn requests_go_over_the_callers_connection_and_streams_over_the_other() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let connections = Connections::connect(&NatsConfig::new(&server.url())).await.unwrap();
    let jetstream = JetStream::over(connections.clone());
    connections.callers.close().await;
    publish(&jetstream, Message::new("orders.a", "x")).await.unwrap();
    let limit = Instant::now() + Duration::from_secs(1);
    let asked = jetstream.request(Message::new("price", "x"), limit).await;
    assert!(matches!(asked, Err(RequestError::Unavailable { .. })), "{asked:?}");
}
