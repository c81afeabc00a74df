//! Storing messages.

use std::time::Duration;

use tokio::time::sleep;

use super::trial::{Trial, body, soon, take};
use crate::message::Message;
use crate::publish::PublishError;

pub(super) async fn a_message_is_stored_in_the_stream_that_takes_its_subject(trial: Trial) {
    trial.declare().await;
    for sequence in 1..=3 {
        let stored = trial.publish("a", "x").await;
        assert_eq!((stored.stream, stored.sequence, stored.duplicate), (trial.stream(), sequence, false));
    }
}

pub(super) async fn messages_are_stored_in_the_order_in_which_they_were_handed_over(trial: Trial) {
    trial.declare().await;
    let mut acknowledgements = Vec::new();
    for number in 1..=300_u64 {
        let sent = trial.transport.send(trial.message("a", &number.to_string()), soon()).await;
        acknowledgements.push((number, sent.expect("it can be handed over")));
    }
    for (number, acknowledgement) in acknowledgements {
        assert_eq!(acknowledgement.await.expect("it is stored").sequence, number);
    }
    let mut all = trial.open_all().await;
    for number in 1..=300 {
        assert_eq!(body(&take(&mut all).await), number.to_string());
    }
}

pub(super) async fn a_message_with_a_known_id_is_not_stored_again(trial: Trial) {
    trial.declare().await;
    let message = || trial.message("a", "x").id("order-7");
    let first = trial.try_publish(message()).await.expect("it is stored");
    let again = trial.try_publish(message()).await.expect("it is known");
    assert_eq!((first.sequence, first.duplicate), (1, false));
    assert_eq!((again.sequence, again.duplicate), (1, true));
    // The id counts for the whole stream, and its header is known whatever its case.
    let other = trial.message("b", "y").header("nats-msg-id", "order-7");
    assert!(trial.try_publish(other).await.expect("it is known").duplicate);
    let next = trial.try_publish(trial.message("a", "x").id("order-8")).await.expect("it is stored");
    assert_eq!((next.sequence, next.duplicate), (2, false));
}

pub(super) async fn an_id_is_forgotten_after_the_duplicate_window(trial: Trial) {
    let window = Duration::from_millis(300);
    trial.declare_for(&[">"], window).await;
    let message = || trial.message("a", "x").id("order-7");
    trial.try_publish(message()).await.expect("it is stored");
    // A server looks for old ids now and then.
    let deadline = soon();
    loop {
        sleep(window).await;
        let again = trial.try_publish(message()).await.expect("the stream takes it");
        if !again.duplicate {
            assert_eq!(again.sequence, 2);
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the id is never forgotten");
    }
}

pub(super) async fn a_subject_that_no_stream_takes_is_told(trial: Trial) {
    trial.declare_for(&["a.>"], Duration::from_secs(120)).await;
    match trial.try_publish(trial.message("b", "x")).await {
        Err(PublishError::NoStream { subject }) => assert_eq!(subject, trial.subject("b")),
        other => panic!("no stream takes it, and that is to be told, not: {other:?}"),
    }
}

pub(super) async fn a_line_break_in_a_header_is_refused_and_the_next_message_is_stored(trial: Trial) {
    trial.declare().await;
    for value in ["x\ry", "x\ny", "\r", "x\r\nPUB a 0\r\n\r\n"] {
        let refused = trial.try_publish(trial.message("a", "x").header("Trace", value)).await;
        assert!(matches!(refused, Err(PublishError::Refused { .. })), "{value:?}: {refused:?}");
    }
    let refused = trial.try_publish(trial.message("a", "x").header("Tra:ce", "x")).await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })), "{refused:?}");
    assert_eq!(trial.publish("a", "x").await.sequence, 1);
}

pub(super) async fn a_subject_that_is_none_is_refused(trial: Trial) {
    trial.declare().await;
    for subject in ["", "a..b", ".a", "a.", "a b", "a.*", "a.>"] {
        let refused = trial.try_publish(Message::new(subject, "x")).await;
        assert!(matches!(refused, Err(PublishError::Refused { .. })), "{subject:?}: {refused:?}");
    }
}

pub(super) async fn a_message_that_is_too_large_is_refused(trial: Trial) {
    trial.declare().await;
    let refused = trial.try_publish(Message::new(trial.subject("a"), vec![b'x'; 16 * 1024 * 1024])).await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })), "{refused:?}");
    assert_eq!(trial.publish("a", "x").await.sequence, 1);
}

pub(super) async fn the_stream_that_takes_a_pattern_whole_is_found(trial: Trial) {
    trial.declare_for(&["a.>", "b.*"], Duration::from_secs(120)).await;
    for (pattern, found) in [("a.b", true), ("a.>", true), ("b.*", true), ("b.>", false), ("c", false), ("*.x", false)]
    {
        let stream = trial.transport.stream_of(trial.subject(pattern)).await.expect("it can be looked up");
        assert_eq!(stream, found.then(|| trial.stream()), "{pattern}");
    }
}
