//! What is the broker's in memory alone: its bounds, and tokio's clock.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use headwater_nats_messaging::consume::{Consume, ConsumeError, ConsumerConfig, Replay};
use headwater_nats_messaging::memory::{MemoryBroker, MemoryStream, WhenFull};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::PublishError;
use tokio::time::{Instant, advance, sleep};

use crate::support::{next, number, publish, publish_numbers};

fn orders() -> MemoryBroker {
    let broker = MemoryBroker::new();
    broker.stream("ORDERS", ["orders.>"]).unwrap();
    broker
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_waiting_passes_at_once() {
    let broker = orders();
    publish(&broker, Message::new("orders.a", "1")).await.unwrap();
    let config = ConsumerConfig { ack_wait: Duration::from_secs(3_600), ..ConsumerConfig::new("ORDERS", "all") };
    let mut all = broker.open(config).await.unwrap();
    let first = next_patiently(&mut all).await;
    let begin = Instant::now();
    let again = next_patiently(&mut all).await;
    assert_eq!((first.context.deliveries, again.context.deliveries), (1, 2));
    assert_eq!(begin.elapsed().as_secs(), 3_600);
}

#[tokio::test(start_paused = true)]
async fn waits_follow_the_backoff_to_the_millisecond() {
    let broker = orders();
    publish(&broker, Message::new("orders.a", "1")).await.unwrap();
    let backoff = [1, 5, 30].map(Duration::from_secs).to_vec();
    let config = ConsumerConfig { backoff, max_deliver: 5.try_into().ok(), ..ConsumerConfig::new("ORDERS", "all") };
    let mut all = broker.open(config).await.unwrap();
    let begin = Instant::now();
    let mut times = Vec::new();
    for _ in 0..5 {
        next_patiently(&mut all).await;
        times.push(begin.elapsed().as_secs());
    }
    assert_eq!(times, [0, 1, 6, 36, 66]);
    advance(Duration::from_secs(3_600)).await;
    assert!(all.deliveries.next().now_or_never().is_none(), "it was delivered as often as it may be");
    assert_eq!(all.control.info().await.unwrap().ack_pending, 0);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_keeps_the_pauses_takes_as_long_as_the_publisher_took() {
    let broker = orders();
    for pause in [0, 10, 1] {
        sleep(Duration::from_secs(pause)).await;
        publish(&broker, Message::new("orders.a", pause.to_string())).await.unwrap();
    }
    let config = ConsumerConfig { replay: Replay::Original, ..ConsumerConfig::new("ORDERS", "all") };
    let mut all = broker.open(config).await.unwrap();
    let begin = Instant::now();
    for (body, seconds) in [(0, 0), (10, 10), (1, 11)] {
        let delivery = next_patiently(&mut all).await;
        assert_eq!((number(&delivery), begin.elapsed().as_secs()), (body, seconds));
    }
}

/// The next message, however far the clock has to leap for it.
async fn next_patiently(
    subscription: &mut headwater_nats_messaging::consume::Subscription,
) -> headwater_nats_messaging::consume::Delivery {
    subscription.deliveries.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_full_stream_refuses_and_says_of_what_there_is_too_much() {
    let broker = MemoryBroker::new();
    broker.declare(MemoryStream { max_messages: 3, ..MemoryStream::new("FEW", ["few"]) }).unwrap();
    broker.declare(MemoryStream { max_bytes: 100, ..MemoryStream::new("SMALL", ["small"]) }).unwrap();
    publish_numbers(&broker, "few", 0..3).await;
    for (message, what) in [(Message::new("few", "x"), "3 messages"), (Message::new("small", vec![0; 200]), "100")] {
        match publish(&broker, message).await {
            Err(PublishError::Unavailable { source, .. }) => {
                assert!(source.to_string().contains("is full") && source.to_string().contains(what), "{source}");
            }
            other => panic!("a full stream was to refuse, not: {other:?}"),
        }
    }
    assert_eq!(broker.messages("FEW").len(), 3);
    assert!(broker.purge("FEW"));
    assert_eq!(publish(&broker, Message::new("few", "x")).await.unwrap().sequence, 4);
}

#[tokio::test]
async fn a_stream_that_drops_the_oldest_is_bounded_however_far_its_reader_lags() {
    let broker = MemoryBroker::new();
    let stream =
        MemoryStream { max_messages: 100, when_full: WhenFull::DropOldest, ..MemoryStream::new("FEW", ["few"]) };
    broker.declare(stream).unwrap();
    let config = ConsumerConfig { buffer: 2.try_into().unwrap(), ..ConsumerConfig::new("FEW", "slow") };
    let mut slow = broker.open(config).await.unwrap();
    publish_numbers(&broker, "few", 0..10_000).await;
    assert_eq!(broker.messages("FEW").len(), 100);
    let info = slow.control.info().await.unwrap();
    assert_eq!((info.pending, info.ack_pending), (100, 0), "what is gone is not waited for");
    // Two were on their way when they went.
    let mut came = Vec::new();
    for _ in 0..102 {
        let delivery = next(&mut slow).await;
        delivery.ack().await.unwrap();
        came.push(number(&delivery));
    }
    assert_eq!(came, [0, 1].into_iter().chain(9_900..10_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_that_cannot_be_are_refused_by_what_is_wrong() {
    let broker = orders();
    for (stream, what) in [
        (MemoryStream::new("A.B", ["a"]), "name"),
        (MemoryStream::new("A", ["a..b"]), "subjects"),
        (MemoryStream::new("A", Vec::<String>::new()), "subjects"),
        (MemoryStream::new("A", ["a.*", "a.b"]), "overlap"),
        (MemoryStream::new("A", ["orders.new"]), "`ORDERS`"),
        (MemoryStream { max_messages: 0, ..MemoryStream::new("A", ["a"]) }, "max_messages"),
    ] {
        let refused = broker.declare(stream).unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
    }
    // The same once more changes nothing, and other subjects are taken from then on.
    publish(&broker, Message::new("orders.a", "1")).await.unwrap();
    broker.stream("ORDERS", ["orders.>", "returns.>"]).unwrap();
    assert_eq!(publish(&broker, Message::new("returns.a", "2")).await.unwrap().sequence, 2);
}

#[tokio::test]
async fn a_deleted_stream_takes_its_consumers_along() {
    let broker = orders();
    let mut all = broker.open(ConsumerConfig::new("ORDERS", "all")).await.unwrap();
    assert!(broker.delete_stream("ORDERS") && !broker.delete_stream("ORDERS"));
    let told = all.deliveries.next().await.unwrap();
    assert!(matches!(told, Err(ConsumeError::Gone { .. })), "{told:?}");
    assert!(all.deliveries.next().await.is_none());
}
