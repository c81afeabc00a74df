//! Messages as they come.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::StreamExt;

use super::trial::{Trial, body, expect_nothing, next, soon, take, try_next};
use crate::consume::{ConsumeError, ConsumerConfig};

pub(super) async fn a_message_comes_as_it_was_published(trial: Trial) {
    trial.declare().await;
    let mut message = trial.message("a.b", "{\"ä\":1}").header("Content-Type", "application/json").id("7");
    message.headers.append("Link", "one");
    message.headers.append("Link", "two");
    trial.try_publish(message.clone()).await.expect("it is stored");
    trial.publish("a.c", "").await;

    let mut all = trial.open_all().await;
    let delivery = take(&mut all).await;
    assert_eq!((&delivery.message.subject, &delivery.message.body), (&message.subject, &message.body));
    assert_eq!(delivery.message.headers.get("content-type"), Some("application/json"));
    assert_eq!(delivery.message.message_id(), Some("7"));
    let links: Vec<&str> =
        delivery.message.headers.iter().filter(|(name, _)| *name == "Link").map(|(_, v)| v).collect();
    assert_eq!(links, ["one", "two"]);
    let context = &delivery.context;
    assert_eq!((&*context.stream, &*context.consumer), (trial.stream().as_str(), "all"));
    assert_eq!((context.sequence, context.deliveries, context.pending), (1, 1, 1));
    assert!((Utc::now() - context.timestamp).abs() < TimeDelta::minutes(1), "{}", context.timestamp);

    let last = take(&mut all).await;
    assert!(last.message.body.is_empty() && last.message.headers.is_empty());
    assert_eq!((last.context.sequence, last.context.pending), (2, 0));
}

pub(super) async fn filters_with_wildcards_choose_what_comes(trial: Trial) {
    trial.declare().await;
    for subject in ["a.1", "b.1", "a.1.x", "c.1.x", "c.2", "a.2"] {
        trial.publish(subject, subject).await;
    }
    let filtered = trial.consumer("some").filter(trial.subject("a.*")).filter(trial.subject("c.>"));
    let mut some = trial.open(filtered).await;
    let mut came = Vec::new();
    for _ in 0..4 {
        came.push(body(&take(&mut some).await));
    }
    assert_eq!(came, ["a.1", "c.1.x", "c.2", "a.2"]);
    trial.publish("b.2", "").await;
    trial.publish("c.3", "c.3").await;
    assert_eq!(body(&take(&mut some).await), "c.3");
    expect_nothing(&mut some).await;
}

pub(super) async fn messages_come_in_order_however_many_there_are(trial: Trial) {
    trial.declare().await;
    let mut acknowledgements = Vec::new();
    for number in 1..=1_000 {
        let sent = trial.transport.send(trial.message("a", &number.to_string()), soon()).await;
        acknowledgements.push(sent.expect("it can be handed over"));
    }
    for acknowledgement in acknowledgements {
        acknowledgement.await.expect("it is stored");
    }
    let mut all = trial.open(ConsumerConfig { buffer: 7.try_into().expect("not 0"), ..trial.consumer("all") }).await;
    for sequence in 1..=1_000 {
        let delivery = next(&mut all).await;
        assert_eq!((delivery.context.sequence, body(&delivery)), (sequence, sequence.to_string()));
        delivery.ack().await.expect("it can be said");
    }
}

pub(super) async fn readers_of_one_consumer_share_its_messages(trial: Trial) {
    trial.declare().await;
    let config = || ConsumerConfig { buffer: 1.try_into().expect("not 0"), ..trial.consumer("shared") };
    let (mut one, mut other) = (trial.open(config()).await, trial.open(config()).await);
    for number in 0..20 {
        trial.publish("a", &number.to_string()).await;
    }
    let mut seen = BTreeSet::new();
    let mut of_each = [0, 0];
    while seen.len() < 20 {
        let (reader, delivery) = tokio::select! {
            delivery = next(&mut one) => (0, delivery),
            delivery = next(&mut other) => (1, delivery),
        };
        assert!(seen.insert(delivery.context.sequence), "{} came twice", delivery.context.sequence);
        delivery.double_ack(Duration::from_secs(20)).await.expect("the server takes it");
        of_each[reader] += 1;
    }
    assert!(of_each.iter().all(|count| *count > 0), "one reader got nothing: {of_each:?}");
}

pub(super) async fn every_consumer_of_a_stream_gets_every_message(trial: Trial) {
    trial.declare().await;
    let mut one = trial.open(trial.consumer("one")).await;
    let mut other = trial.open(trial.consumer("other")).await;
    for number in 1..=3 {
        trial.publish("a", "x").await;
        assert_eq!(take(&mut one).await.context.sequence, number);
        assert_eq!(take(&mut other).await.context.sequence, number);
    }
}

pub(super) async fn a_consumer_that_is_opened_again_goes_on_where_it_stopped(trial: Trial) {
    trial.declare().await;
    for _ in 0..2 {
        trial.publish("a", "x").await;
    }
    let config = || ConsumerConfig { buffer: 1.try_into().expect("not 0"), ..trial.consumer("all") };
    let mut all = trial.open(config()).await;
    assert_eq!(take(&mut all).await.context.sequence, 1);
    assert_eq!(take(&mut all).await.context.sequence, 2);
    drop(all);
    trial.publish("a", "x").await;
    let mut all = trial.open(config()).await;
    assert_eq!(take(&mut all).await.context.sequence, 3);
    expect_nothing(&mut all).await;
}

pub(super) async fn no_more_messages_are_unacknowledged_than_allowed(trial: Trial) {
    trial.declare().await;
    for _ in 0..5 {
        trial.publish("a", "x").await;
    }
    let mut few = trial.open(ConsumerConfig { max_ack_pending: 2, ..trial.consumer("few") }).await;
    let first = next(&mut few).await;
    let second = next(&mut few).await;
    expect_nothing(&mut few).await;
    let info = few.control.info().await.expect("it is known");
    assert_eq!((info.ack_pending, info.pending), (2, 3));
    second.ack().await.expect("it can be said");
    assert_eq!(next(&mut few).await.context.sequence, 3);
    first.ack().await.expect("it can be said");
    assert_eq!(next(&mut few).await.context.sequence, 4);
    expect_nothing(&mut few).await;
}

pub(super) async fn a_stopped_subscription_ends_after_what_was_fetched(trial: Trial) {
    trial.declare().await;
    for _ in 0..10 {
        trial.publish("a", "x").await;
    }
    let mut all = trial.open_all().await;
    let mut taken = vec![take(&mut all).await.context.sequence];
    // The others are on their way or have come.
    while all.control.info().await.expect("it is known").pending > 0 {
        tokio::task::yield_now().await;
    }
    all.control.stop();
    while let Some(delivery) = try_next(&mut all).await {
        let delivery = delivery.expect("nothing goes wrong");
        delivery.double_ack(Duration::from_secs(20)).await.expect("the server takes it");
        taken.push(delivery.context.sequence);
    }
    assert_eq!(taken, (1..=10).collect::<Vec<_>>());
    assert!(all.deliveries.next().await.is_none(), "the end is the end");
    let info = all.control.info().await.expect("the consumer stays");
    assert_eq!((info.ack_pending, info.pending, info.ack_floor), (0, 0, 10));
    trial.publish("a", "x").await;
    assert_eq!(take(&mut trial.open_all().await).await.context.sequence, 11);
}

pub(super) async fn a_deleted_consumer_is_told_as_gone(trial: Trial) {
    trial.declare().await;
    let mut all = trial.open_all().await;
    trial.publish("a", "x").await;
    take(&mut all).await;
    trial.streams.delete_consumer(trial.stream(), "all".to_owned()).await;
    match try_next(&mut all).await {
        Some(Err(ConsumeError::Gone { stream, consumer })) => {
            assert_eq!((stream, consumer.as_str()), (trial.stream(), "all"));
        }
        other => panic!("it is gone, and that is to be told, not: {other:?}"),
    }
    assert!(try_next(&mut all).await.is_none(), "nothing comes after that");
    assert!(matches!(all.control.info().await, Err(ConsumeError::Gone { .. })));
    // One of the same name is another one.
    assert_eq!(take(&mut trial.open_all().await).await.context.sequence, 1);
}

pub(super) async fn what_is_known_of_a_consumer_can_be_asked(trial: Trial) {
    trial.declare().await;
    for subject in ["a", "b", "a", "a"] {
        trial.publish(subject, "x").await;
    }
    let config = ConsumerConfig { buffer: 1.try_into().expect("not 0"), max_ack_pending: 1, ..trial.consumer("some") };
    let mut some = trial.open(config.filter(trial.subject("a"))).await;
    let first = next(&mut some).await;
    let info = some.control.info().await.expect("it is known");
    assert_eq!((info.pending, info.ack_pending, info.redelivered, info.ack_floor), (2, 1, 0, 0));
    first.nak(None).await.expect("it can be said");
    let again = next(&mut some).await;
    assert_eq!(some.control.info().await.expect("it is known").redelivered, 1);
    again.double_ack(Duration::from_secs(20)).await.expect("the server takes it");
    assert_eq!(next(&mut some).await.context.sequence, 3);
    let info = some.control.info().await.expect("it is known");
    assert_eq!((info.pending, info.ack_pending, info.redelivered), (1, 1, 0));
    assert!((1..3).contains(&info.ack_floor), "{info:?}");
}
