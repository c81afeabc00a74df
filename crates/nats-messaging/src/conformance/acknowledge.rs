//! What becomes of a message after it was handed out.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::trial::{Trial, expect_nothing, next, take};
use crate::consume::ConsumerConfig;

/// Long enough for a busy machine to answer in.
const LIMIT: Duration = Duration::from_secs(20);

fn quick(trial: &Trial, ack_wait: Duration) -> ConsumerConfig {
    ConsumerConfig { ack_wait, ..trial.consumer("all") }
}

pub(super) async fn an_acknowledged_message_does_not_come_again(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let mut all = trial.open(quick(&trial, Duration::from_secs(1))).await;
    next(&mut all).await.ack().await.expect("it can be said");
    sleep(Duration::from_millis(1_200)).await;
    expect_nothing(&mut all).await;
    let info = all.control.info().await.expect("it is known");
    assert_eq!((info.ack_pending, info.ack_floor), (0, 1));
}

pub(super) async fn a_message_that_nobody_acknowledges_comes_again_after_its_time(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let wait = Duration::from_millis(500);
    let begin = Instant::now();
    let mut all = trial.open(quick(&trial, wait)).await;
    assert_eq!(next(&mut all).await.context.deliveries, 1);
    let again = next(&mut all).await;
    assert_eq!((again.context.sequence, again.context.deliveries), (1, 2));
    assert!(begin.elapsed() >= wait, "it came after {:?}", begin.elapsed());
    assert_eq!(next(&mut all).await.context.deliveries, 3);
}

pub(super) async fn a_nak_brings_a_message_back_at_once(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let mut all = trial.open_all().await;
    for deliveries in 1..=3 {
        let delivery = next(&mut all).await;
        assert_eq!((delivery.context.sequence, delivery.context.deliveries), (1, deliveries));
        delivery.nak(None).await.expect("it can be said");
    }
}

pub(super) async fn a_nak_with_a_delay_brings_a_message_back_after_it(trial: Trial) {
    trial.declare().await;
    for _ in 0..2 {
        trial.publish("a", "x").await;
    }
    let mut all = trial.open_all().await;
    let first = next(&mut all).await;
    let begin = Instant::now();
    let delay = Duration::from_millis(600);
    first.nak(Some(delay)).await.expect("it can be said");
    // The others do not wait for it.
    assert_eq!(take(&mut all).await.context.sequence, 2);
    let again = take(&mut all).await;
    assert_eq!((again.context.sequence, again.context.deliveries), (1, 2));
    // A server's timer may be a little early.
    assert!(begin.elapsed() >= delay - Duration::from_millis(50), "it came after {:?}", begin.elapsed());
}

pub(super) async fn a_terminated_message_does_not_come_again(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let mut all = trial.open(quick(&trial, Duration::from_millis(500))).await;
    next(&mut all).await.term("it cannot be read").await.expect("it can be said");
    sleep(Duration::from_millis(600)).await;
    expect_nothing(&mut all).await;
    assert_eq!(all.control.info().await.expect("it is known").ack_pending, 0);
}

pub(super) async fn a_message_in_progress_keeps_its_reader(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let mut all = trial.open(quick(&trial, Duration::from_secs(2))).await;
    let delivery = next(&mut all).await;
    for _ in 0..6 {
        sleep(Duration::from_millis(500)).await;
        delivery.in_progress().await.expect("it can be said");
    }
    expect_nothing(&mut all).await;
    delivery.double_ack(LIMIT).await.expect("the server takes it");
}

pub(super) async fn a_double_ack_is_confirmed(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let mut all = trial.open_all().await;
    let delivery = next(&mut all).await;
    delivery.double_ack(LIMIT).await.expect("the server takes it");
    let info = all.control.info().await.expect("it is known");
    assert_eq!((info.ack_pending, info.ack_floor), (0, 1));
    // Once more does no harm.
    delivery.double_ack(LIMIT).await.expect("the server takes it");
}

pub(super) async fn an_acknowledgement_of_an_earlier_delivery_counts(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let mut all = trial.open(quick(&trial, Duration::from_secs(1))).await;
    let first = next(&mut all).await;
    let _second = next(&mut all).await;
    first.double_ack(LIMIT).await.expect("the server takes it");
    sleep(Duration::from_millis(1_100)).await;
    expect_nothing(&mut all).await;
}

pub(super) async fn the_waits_between_deliveries_follow_the_backoff(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let backoff = vec![Duration::from_millis(200), Duration::from_millis(900)];
    let mut all = trial.open(ConsumerConfig { backoff: backoff.clone(), ..trial.consumer("all") }).await;
    let mut before = Instant::now();
    assert_eq!(next(&mut all).await.context.deliveries, 1);
    for (deliveries, wait) in [(2, backoff[0]), (3, backoff[1]), (4, backoff[1])] {
        let delivery = next(&mut all).await;
        assert_eq!(delivery.context.deliveries, deliveries);
        // On a busy machine it takes a while from the delivery to the reader, so the bounds are wide: the second wait is told
        // from the first, and nothing more.
        let waited = before.elapsed();
        if deliveries > 2 {
            assert!(waited >= wait / 2, "delivery {deliveries} came after {waited:?}");
        }
        before = Instant::now();
    }
}

pub(super) async fn a_message_is_delivered_no_more_often_than_allowed(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    let config = ConsumerConfig { max_deliver: 2.try_into().ok(), ..quick(&trial, Duration::from_millis(300)) };
    let mut all = trial.open(config).await;
    next(&mut all).await.nak(None).await.expect("it can be said");
    assert_eq!(next(&mut all).await.context.deliveries, 2);
    sleep(Duration::from_millis(400)).await;
    expect_nothing(&mut all).await;
    trial.publish("a", "x").await;
    assert_eq!(take(&mut all).await.context.sequence, 2);
}
