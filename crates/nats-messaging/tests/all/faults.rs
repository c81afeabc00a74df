//! Servers that die, stand still and come back, connections that drop, consumers that vanish: nothing is lost, nothing is
//! acknowledged that was not handled, and what is said is what is true.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use headwater_nats_messaging::consume::{AckError, Consume, ConsumeError, ConsumerConfig, Subscription};
use headwater_nats_messaging::jetstream::JetStream;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::{Publish, PublishError};
use headwater_testkit::{FaultProxy, NatsCluster, TestServer, wait_until};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{PATIENCE, Raw, connect, jetstream, next, number, publish, publish_numbers};

fn contains(frame: &[u8], part: &[u8]) -> bool {
    frame.windows(part.len()).any(|window| window == part)
}

/// Publishes a message under its number as id until it is known to be stored.
async fn publish_surely(to: &JetStream, subject: &str, number: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let message = Message::new(subject, number.to_string()).id(number.to_string());
        let limit = Instant::now() + Duration::from_secs(2);
        let outcome = match to.send(message, limit).await {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(_) => return,
            Err(PublishError::Unknown { .. } | PublishError::Unavailable { .. }) if Instant::now() < deadline => {}
            Err(error) => panic!("{number} could not be published: {error:?}"),
        }
    }
}

/// Reads and acknowledges until all of the stream's messages are acknowledged for certain; how often each number came.
///
/// No confirmation is waited for: a server that was killed may have forgotten its last deliveries, and does not answer
/// acknowledgements of them; it delivers those messages again.
async fn handle_all(subscription: &mut Subscription, numbers: u64) -> BTreeMap<u64, u64> {
    let mut handled: BTreeMap<u64, u64> = BTreeMap::new();
    loop {
        if let Ok(delivery) = timeout(Duration::from_millis(300), next(subscription)).await {
            *handled.entry(number(&delivery)).or_default() += 1;
            delivery.ack().await.unwrap();
            continue;
        }
        if subscription.control.info().await.is_ok_and(|info| info.ack_floor == numbers) {
            return handled;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_killed_in_mid_stream_loses_nothing_and_delivers_the_rest() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    let publishing = tokio::spawn({
        let jetstream = jetstream.clone();
        async move {
            for number in 0..400 {
                publish_surely(&jetstream, "orders.a", number).await;
            }
        }
    });
    let handling = tokio::spawn({
        let jetstream = jetstream.clone();
        let config = ConsumerConfig { ack_wait: Duration::from_secs(1), ..ConsumerConfig::new("ORDERS", "all") };
        async move { handle_all(&mut jetstream.open(config).await.unwrap(), 400).await }
    });
    for _ in 0..2 {
        let before = server_count(&jetstream).await;
        wait_until(PATIENCE, "some more messages", async || {
            (server_count(&jetstream).await >= before.min(350) + 20).then_some(())
        })
        .await;
        server.kill();
        server.restart().await.unwrap();
    }
    timeout(PATIENCE, publishing).await.unwrap().unwrap();
    let handled = timeout(PATIENCE, handling).await.unwrap().unwrap();
    assert_eq!(handled.keys().copied().collect::<Vec<_>>(), (0..400).collect::<Vec<_>>());
    assert_eq!(Raw::connect(&server.url()).await.messages("ORDERS").await, 400, "each is stored once");
}

/// How many messages the consumer has seen acknowledged; 0 while nobody can say.
async fn server_count(jetstream: &JetStream) -> u64 {
    let client = jetstream.connection().client();
    let asking = client.request("$JS.API.CONSUMER.INFO.ORDERS.all", "".into());
    match timeout(Duration::from_secs(1), asking).await {
        Ok(Ok(answer)) => {
            let info: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
            info["ack_floor"]["stream_seq"].as_u64().unwrap_or(0)
        }
        _ => 0,
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_after_the_server_was_killed() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    publish_numbers(&jetstream, "orders.a", 0..20).await;
    let config = ConsumerConfig { ack_wait: Duration::from_secs(1), ..ConsumerConfig::new("ORDERS", "all") };
    let mut all = jetstream.open(config).await.unwrap();
    let mut held = Vec::new();
    for number_of_it in 0..10 {
        let delivery = next(&mut all).await;
        assert_eq!(number(&delivery), number_of_it);
        match number_of_it % 2 {
            0 => delivery.double_ack(PATIENCE).await.unwrap(),
            _ => held.push(delivery),
        }
    }
    server.kill();
    server.restart().await.unwrap();
    // What was acknowledged last may come again too: the server writes its notes down a moment later.
    let came = timeout(PATIENCE, handle_all(&mut all, 20)).await.unwrap();
    for left_open in [1, 3, 5, 7, 9].into_iter().chain(10..20) {
        assert!(came.contains_key(&left_open), "{left_open} did not come again: {came:?}");
    }
}

/// Takes away what the server has written down about a consumer, as if it had been killed before it did.
fn forget(folder: &Path, consumer: &str) {
    let mut folders = vec![folder.to_owned()];
    let mut forgotten = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_state = entry.file_name().is_some_and(|name| name == "o.dat");
            if entry.is_dir() {
                folders.push(entry);
            } else if is_state && entry.parent().unwrap().ends_with(consumer) {
                std::fs::remove_file(entry).unwrap();
                forgotten += 1;
            }
        }
    }
    assert!(forgotten <= 1, "one consumer has this name");
}

#[tokio::test]
async fn whether_a_restarted_server_took_in_what_it_forgot_to_have_delivered_is_unknown_and_the_message_comes_again() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    publish_numbers(&jetstream, "orders.a", 0..1).await;
    let config = || ConsumerConfig::new("ORDERS", "all");
    let mut all = jetstream.open(config()).await.unwrap();
    let forgotten = next(&mut all).await;
    // Nobody reads while the server comes back, or it would deliver the message again and know of it.
    drop(all);
    server.kill();
    server.until_ended().await;
    forget(server.store_dir(), "all");
    server.restart().await.unwrap();
    jetstream.connection().ready(PATIENCE).await.unwrap();

    let limit = Duration::from_secs(1);
    let begin = Instant::now();
    let told = forgotten.double_ack(limit).await;
    assert!(matches!(told, Err(AckError::Unknown(_))), "{told:?}");
    assert!(begin.elapsed() >= limit && begin.elapsed() < PATIENCE, "it took {:?}", begin.elapsed());

    let mut all = jetstream.open(config()).await.unwrap();
    let again = next(&mut all).await;
    assert_eq!((again.context.sequence, again.context.deliveries), (1, 1), "for the server it is the first time");
    // Now it knows of the delivery, whichever of them is answered for.
    forgotten.double_ack(PATIENCE).await.unwrap();
    let info = all.control.info().await.unwrap();
    assert_eq!((info.ack_pending, info.ack_floor), (0, 1));
}

#[tokio::test]
async fn a_double_ack_outlives_the_connection_it_was_said_over() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let through = JetStream::new(connect(&proxy.url()).await).heartbeat(Duration::from_millis(300));
    publish_numbers(&through, "orders.a", 0..1).await;
    let mut all = through.open(ConsumerConfig::new("ORDERS", "all")).await.unwrap();
    let delivery = next(&mut all).await;
    let mut lost = false;
    // A confirmation is a message of nothing.
    proxy.lose_where(move |frame| frame.ends_with(b" 0\r\n\r\n") && !std::mem::replace(&mut lost, true));
    let telling = async { delivery.double_ack(PATIENCE).await };
    let cutting = async {
        wait_until(PATIENCE, "the confirmation to be lost", async || (proxy.lost() > 0).then_some(())).await;
        proxy.cut().await;
    };
    let (told, ()) = tokio::join!(telling, cutting);
    told.unwrap();
    let info = Raw::connect(&server.url()).await.api("CONSUMER.INFO.ORDERS.all", json!(null)).await;
    assert_eq!((&info["num_ack_pending"], &info["ack_floor"]["stream_seq"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn a_double_ack_to_a_consumer_that_is_gone_was_not_told() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    publish_numbers(&jetstream, "orders.a", 0..1).await;
    let mut all = jetstream.open(ConsumerConfig::new("ORDERS", "all")).await.unwrap();
    let delivery = next(&mut all).await;
    raw.api("CONSUMER.DELETE.ORDERS.all", json!(null)).await;
    let told = delivery.double_ack(PATIENCE).await;
    assert!(matches!(told, Err(AckError::NotTold(_))), "{told:?}");

    // The server is down all the time: nothing was sent.
    server.kill();
    server.until_ended().await;
    wait_until(PATIENCE, "the connection to drop", async || (!jetstream.connection().is_up()).then_some(())).await;
    let told = delivery.double_ack(Duration::from_millis(200)).await;
    assert!(matches!(told, Err(AckError::NotTold(_))), "{told:?}");
}

#[tokio::test]
async fn a_server_that_stands_still_is_noticed_and_waited_for() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    let config = ConsumerConfig { ack_wait: Duration::from_secs(1), ..ConsumerConfig::new("ORDERS", "all") };
    let mut all = jetstream.open(config).await.unwrap();
    publish_numbers(&jetstream, "orders.a", 0..1).await;
    next(&mut all).await.double_ack(PATIENCE).await.unwrap();

    server.pause().unwrap();
    let limit = Duration::from_millis(500);
    let begin = Instant::now();
    let sent = jetstream.send(Message::new("orders.a", "1").id("1"), begin + limit).await;
    let outcome = match sent {
        Ok(acknowledgement) => acknowledgement.await,
        Err(error) => Err(error),
    };
    assert!(matches!(outcome, Err(PublishError::Unknown { .. })), "{outcome:?}");
    assert!(begin.elapsed() < PATIENCE / 3, "it took {:?}", begin.elapsed());
    server.resume().unwrap();

    publish_surely(&jetstream, "orders.a", 1).await;
    let delivery = next(&mut all).await;
    assert_eq!(number(&delivery), 1);
    delivery.double_ack(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_lost_acknowledgement_leaves_the_outcome_unknown_and_the_id_settles_it() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let jetstream = JetStream::new(connect(&proxy.url()).await);
    let mut lost = false;
    proxy.lose_where(move |frame| {
        let is_ack = contains(frame, br#""stream":"ORDERS""#) && contains(frame, br#""seq":"#);
        is_ack && !std::mem::replace(&mut lost, true)
    });
    let message = || Message::new("orders.a", "1").id("1");
    let limit = Instant::now() + Duration::from_millis(500);
    let outcome = jetstream.send(message(), limit).await.unwrap().await;
    assert!(matches!(outcome, Err(PublishError::Unknown { .. })), "{outcome:?}");
    let again = publish(&jetstream, message()).await.unwrap();
    assert!(again.duplicate && again.sequence == 1, "{again:?}");
}

#[tokio::test]
async fn publishes_under_way_are_told_when_the_connection_drops_and_later_ones_wait_for_it() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    publish(&jetstream, Message::new("orders.a", "0")).await.unwrap();
    server.pause().unwrap();
    let waiting = jetstream.send(Message::new("orders.a", "1"), Instant::now() + PATIENCE * 10).await.unwrap();
    server.kill();
    let begin = Instant::now();
    let outcome = timeout(PATIENCE, waiting).await.unwrap();
    assert!(matches!(outcome, Err(PublishError::Unknown { .. })), "{outcome:?} after {:?}", begin.elapsed());
    // While it is down, nothing is sent.
    let limit = Instant::now() + Duration::from_millis(100);
    let early = jetstream.send(Message::new("orders.a", "2"), limit).await.map(drop);
    assert!(matches!(early, Err(PublishError::Unavailable { .. })), "{early:?}");
    let later = tokio::spawn({
        let jetstream = jetstream.clone();
        async move { publish(&jetstream, Message::new("orders.a", "3")).await }
    });
    server.restart().await.unwrap();
    timeout(PATIENCE, later).await.unwrap().unwrap().unwrap();
}

/// It may be told first that the consumer cannot be reached, and in the end that it is gone.
async fn expect_gone(all: &mut Subscription) {
    loop {
        match timeout(PATIENCE, all.deliveries.next()).await.unwrap() {
            Some(Err(ConsumeError::Unavailable { .. })) => {}
            Some(Err(ConsumeError::Gone { .. })) => break,
            other => panic!("it was to be told as gone, not: {other:?}"),
        }
    }
    assert!(all.deliveries.next().await.is_none());
}

#[tokio::test]
async fn a_consumer_that_vanished_while_nobody_could_say_so_is_told_as_gone() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let through = JetStream::new(connect(&proxy.url()).await).heartbeat(Duration::from_millis(300));
    let mut all = through.open(ConsumerConfig::new("ORDERS", "all")).await.unwrap();
    // The word that it is deleted is lost.
    proxy.lose_where(|frame| contains(frame, b"Consumer Deleted"));
    raw.api("CONSUMER.DELETE.ORDERS.all", json!(null)).await;
    expect_gone(&mut all).await;
}

#[tokio::test]
async fn a_deleted_stream_is_told_as_gone() {
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("ORDERS", &["orders.>"]).await;
    let jetstream = jetstream(&server).await;
    let mut all = jetstream.open(ConsumerConfig::new("ORDERS", "all")).await.unwrap();
    raw.api("STREAM.DELETE.ORDERS", json!(null)).await;
    expect_gone(&mut all).await;
    let published = publish(&jetstream, Message::new("orders.a", "x")).await;
    assert!(matches!(published, Err(PublishError::NoStream { .. })), "{published:?}");
}

#[tokio::test]
async fn a_change_of_leader_loses_nothing() {
    let cluster = NatsCluster::start().await.unwrap();
    let raw = Raw::connect(&cluster.urls()[0]).await;
    raw.declare_as("ORDERS", json!({ "subjects": ["orders.>"], "num_replicas": 3, "storage": "memory" })).await;
    let jetstream = JetStream::new(connect(&cluster.urls().join(",")).await).heartbeat(Duration::from_millis(300));
    let publishing = tokio::spawn({
        let jetstream = jetstream.clone();
        async move {
            for number in 0..200 {
                publish_surely(&jetstream, "orders.a", number).await;
            }
        }
    });
    let handling = tokio::spawn({
        let jetstream = jetstream.clone();
        let config = ConsumerConfig { ack_wait: Duration::from_secs(2), ..ConsumerConfig::new("ORDERS", "all") };
        async move { handle_all(&mut jetstream.open(config).await.unwrap(), 200).await }
    });
    wait_until(PATIENCE, "some messages", async || (server_count(&jetstream).await >= 20).then_some(())).await;
    let step_down = |what: &str| raw.0.request(format!("$JS.API.{what}.LEADER.STEPDOWN.ORDERS"), "".into());
    drop(step_down("STREAM").await);
    drop(raw.0.request("$JS.API.CONSUMER.LEADER.STEPDOWN.ORDERS.all", "".into()).await);
    timeout(PATIENCE, publishing).await.unwrap().unwrap();
    let handled = timeout(PATIENCE, handling).await.unwrap().unwrap();
    assert_eq!(handled.keys().copied().collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
}
