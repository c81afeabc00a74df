//! Consumers as they are described.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::time::{Instant, sleep};

use super::trial::{Trial, body, expect_nothing, next, soon, take};
use crate::consume::{ConsumeError, ConsumerConfig, Deliver, Replay};

pub(super) async fn a_new_consumer_begins_where_it_is_told(trial: Trial) {
    trial.declare().await;
    for (subject, number) in [("a", "1"), ("b", "2"), ("a", "3")] {
        trial.publish(subject, number).await;
    }
    // A stream's clock counts finer than ours leaps.
    sleep(Duration::from_millis(20)).await;
    let mut all = trial.open_all().await;
    let third = loop {
        let delivery = take(&mut all).await;
        if delivery.context.sequence == 3 {
            break delivery.context.timestamp;
        }
    };
    trial.publish("c", "4").await;
    let cases = [
        (Deliver::All, vec!["1", "2", "3", "4"]),
        (Deliver::Last, vec!["4"]),
        (Deliver::LastPerSubject, vec!["2", "3", "4"]),
        (Deliver::FromSequence(2), vec!["2", "3", "4"]),
        (Deliver::FromTime(third), vec!["3", "4"]),
        (Deliver::New, vec![]),
    ];
    for (place, (deliver, expected)) in cases.into_iter().enumerate() {
        let config = ConsumerConfig { deliver, ..trial.consumer(&format!("c{place}")) };
        let mut some = trial.open(config).await;
        let mut came = Vec::new();
        for _ in &expected {
            came.push(body(&take(&mut some).await));
        }
        assert_eq!(came, expected, "{deliver:?}");
        expect_nothing(&mut some).await;
    }
    let config = ConsumerConfig { deliver: Deliver::New, ..trial.consumer("new") };
    let mut new = trial.open(config).await;
    trial.publish("a", "5").await;
    assert_eq!(body(&take(&mut new).await), "5");
}

pub(super) async fn where_a_consumer_once_began_makes_no_difference_later(trial: Trial) {
    trial.declare().await;
    for _ in 0..2 {
        trial.publish("a", "x").await;
    }
    let config = |deliver| ConsumerConfig { deliver, buffer: 1.try_into().expect("not 0"), ..trial.consumer("all") };
    let mut all = trial.open(config(Deliver::All)).await;
    take(&mut all).await;
    take(&mut all).await;
    drop(all);
    trial.publish("a", "x").await;
    let mut all = trial.open(config(Deliver::FromSequence(1))).await;
    assert_eq!(take(&mut all).await.context.sequence, 3);
}

pub(super) async fn settings_that_may_change_are_taken_over(trial: Trial) {
    trial.declare().await;
    trial.publish("a", "x").await;
    drop(trial.open(trial.consumer("all").filter(trial.subject("a"))).await);
    let config = ConsumerConfig { ack_wait: Duration::from_secs(1), ..trial.consumer("all") };
    let mut all = trial.open(config.filter(trial.subject("b"))).await;
    trial.publish("b", "x").await;
    // Whether the first was delivered to whoever opened it first is left open; the second has the new wait.
    let begin = Instant::now();
    let mut deliveries = 0;
    while deliveries < 2 {
        let delivery = next(&mut all).await;
        match delivery.context.sequence {
            2 => deliveries = delivery.context.deliveries,
            _ => delivery.ack().await.expect("it can be said"),
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(15), "it came after {:?}, as before", begin.elapsed());
}

pub(super) async fn settings_that_cannot_be_had_are_refused_by_name(trial: Trial) {
    trial.declare().await;
    drop(trial.open_all().await);
    let all = || trial.consumer("all");
    let cases = [
        ("replay", ConsumerConfig { replay: Replay::Original, ..all() }),
        ("durable", trial.consumer("a.b")),
        ("filter_subjects", all().filter(trial.subject("a.>")).filter(trial.subject("a.b"))),
        ("filter_subjects", all().filter("a..b")),
        ("ack_wait", ConsumerConfig { ack_wait: Duration::ZERO, ..all() }),
        ("max_ack_pending", ConsumerConfig { max_ack_pending: 0, ..all() }),
    ];
    for (setting, config) in cases {
        match trial.transport.open(config).await {
            Err(ConsumeError::Refused { reason, .. }) => assert!(reason.contains(setting), "{setting}: {reason}"),
            other => panic!("{setting} is to be refused, not: {other:?}"),
        }
    }
}

pub(super) async fn a_consumer_of_a_stream_that_is_not_there_is_told(trial: Trial) {
    match trial.transport.open(trial.consumer("all")).await {
        Err(ConsumeError::NoStream { stream }) => assert_eq!(stream, trial.stream()),
        other => panic!("there is no stream, and that is to be told, not: {other:?}"),
    }
}

pub(super) async fn a_consumer_that_nobody_reads_goes_after_its_time(trial: Trial) {
    trial.declare().await;
    let inactive_threshold = Some(Duration::from_millis(500));
    let all = trial.open(ConsumerConfig { inactive_threshold, ..trial.consumer("all") }).await;
    let control = all.control.clone();
    control.info().await.expect("it is there");
    drop(all);
    let deadline = soon();
    while control.info().await.is_ok() {
        assert!(Instant::now() < deadline, "the consumer stays");
        sleep(Duration::from_millis(50)).await;
    }
}

pub(super) async fn the_time_at_which_a_stream_was_made_is_known(trial: Trial) {
    trial.declare().await;
    let created = trial.transport.stream_created(trial.stream()).await.expect("it can be asked");
    let age = Utc::now() - created.expect("it is known");
    assert!(age.abs() < TimeDelta::minutes(1), "{age}");
}
