//! A publisher and a real server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use headwater_nats_messaging::codec::Codecs;
use headwater_nats_messaging::consume::{Consume, ConsumerConfig};
use headwater_nats_messaging::envelope::{Envelope, Received};
use headwater_nats_messaging::publish::PublishError;
use headwater_nats_messaging::publisher::{Publisher, RetryPolicy};
use headwater_testkit::{TestServer, wait_until};
use tokio::time::timeout;

use crate::support::{PATIENCE, Raw, jetstream};

#[tokio::test]
async fn a_message_is_stored_once_and_comes_back_as_it_was_said() {
    let server = TestServer::start().await;
    Raw::connect(&server.url()).await.declare("ORDERS", &["shop.>"]).await;
    let port = jetstream(&server).await;
    let mut orders = port.open(ConsumerConfig::new("ORDERS", "reader")).await.unwrap();
    for (place, envelope) in (1..).zip([Envelope::CloudEvents, Envelope::CloudEventsBinary, Envelope::Flat]) {
        let builder = Publisher::builder(Arc::new(port.clone()), "/shop").prefix("shop").tenant("Nörd");
        let publisher = builder.envelope(envelope).build().unwrap();
        let publish = || publisher.publish("orders", &("tea", 7)).id(format!("o {place}")).event_type("order-placed");
        assert_eq!(publish().await.unwrap().sequence, place);
        let again = publish().await.unwrap();
        assert!(again.duplicate && again.sequence == place, "{again:?}");

        let delivery = timeout(PATIENCE, orders.deliveries.next()).await.unwrap().unwrap().unwrap();
        let received = Received::read(&delivery.message).unwrap();
        assert_eq!(received.envelope(), envelope);
        let attributes = received.attributes().unwrap();
        assert_eq!((&*attributes.id, attributes.tenant_id.as_deref()), (&*format!("o {place}"), Some("Nörd")));
        assert_eq!(received.payload::<(String, u8)>(&Codecs::default()).unwrap(), ("tea".to_owned(), 7));
    }
    let publisher = Publisher::builder(Arc::new(port), "/shop").build().unwrap();
    let error = publisher.publish("nowhere", &1).await.unwrap_err();
    assert!(matches!(error.publish_error(), Some(PublishError::NoStream { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_mid_stream_loses_nothing_and_has_nothing_twice() {
    const ALL: u64 = 3_000;
    let server = TestServer::start().await;
    let raw = Raw::connect(&server.url()).await;
    raw.declare("N", &["n"]).await;
    let port = jetstream(&server).await;
    let policy = RetryPolicy::default().attempts(100).attempt_timeout(Duration::from_secs(2));
    let builder = Publisher::builder(Arc::new(port.clone()), "/n").retry(policy).timeout(PATIENCE).window(200);
    let publisher = builder.build().unwrap();
    let sending = tokio::spawn(async move {
        for number in 0..ALL {
            drop(publisher.enqueue("n", &number).await.unwrap());
        }
        publisher.close().await
    });
    wait_until(PATIENCE, "some messages to be stored", || async { (raw.messages("N").await > 300).then_some(()) })
        .await;
    server.kill();
    server.restart().await.unwrap();
    timeout(2 * PATIENCE, sending).await.unwrap().unwrap().unwrap();

    let stored = wait_until(PATIENCE, "the client to be back", || async {
        let open = Raw::connect(&server.url()).await;
        Some(open.messages("N").await)
    });
    assert_eq!(stored.await, ALL);
    let mut reader = port.open(ConsumerConfig::new("N", "reader")).await.unwrap();
    let mut numbers = BTreeSet::new();
    while numbers.len() < usize::try_from(ALL).unwrap() {
        let delivery = timeout(PATIENCE, reader.deliveries.next()).await.unwrap().unwrap().unwrap();
        numbers.insert(Received::read(&delivery.message).unwrap().payload::<u64>(&Codecs::default()).unwrap());
        delivery.ack().await.unwrap();
    }
    assert_eq!(numbers.last(), Some(&(ALL - 1)));
}
