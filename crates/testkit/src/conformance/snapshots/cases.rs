//! The cases: what comes back, whose it is, and what is left of a save that did not go through.

use std::time::Duration;

use bytes::Bytes;

use super::trial::{Trial, noise, snapshot};
use crate::conformance::trial::side_by_side;

/// A snapshot of this size has to fit in every store.
const FITS: usize = 200 * 1024;
/// A snapshot of this size is too large for many.
const TOO_MUCH: usize = 9 * 1024 * 1024;

pub(super) async fn an_aggregate_without_a_snapshot_has_none(trial: Trial) {
    assert_eq!(trial.load(&trial.aggregate("none")).await, None);
}

pub(super) async fn a_snapshot_comes_back_byte_for_byte(trial: Trial) {
    let all: Bytes = (0..=u8::MAX).collect();
    let kinds = [snapshot(1), "x".into(), "\r\n".into(), "PING\r\n".into(), all, noise(4096, 1)];
    for (number, bytes) in kinds.into_iter().enumerate() {
        let aggregate = trial.aggregate(&format!("bytes-{number}"));
        trial.save(&aggregate, &bytes).await;
        trial.expect(&aggregate, &bytes, &[]).await;
    }
}

pub(super) async fn a_snapshot_of_two_hundred_kibibytes_comes_back(trial: Trial) {
    let (aggregate, large) = (trial.aggregate("large"), noise(FITS, 2));
    trial.save(&aggregate, &large).await;
    trial.expect(&aggregate, &large, &[]).await;
}

pub(super) async fn a_newer_snapshot_takes_the_place_of_the_one_before(trial: Trial) {
    let aggregate = trial.aggregate("newer");
    let mut before = Vec::new();
    for number in 0..10 {
        // Now longer and now shorter than the one before.
        let newer = noise(1000 + 900 * (number % 2), u8::try_from(number).unwrap_or_default());
        trial.save(&aggregate, &newer).await;
        trial.expect(&aggregate, &newer, &before).await;
        before.push(newer);
    }
}

pub(super) async fn the_same_snapshot_may_be_saved_again(trial: Trial) {
    let (aggregate, same) = (trial.aggregate("again"), snapshot(7));
    for _ in 0..3 {
        trial.save(&aggregate, &same).await;
    }
    trial.expect(&aggregate, &same, &[]).await;
}

pub(super) async fn ids_of_any_characters_have_snapshots_of_their_own(trial: Trial) {
    let long = "ÿ".repeat(64);
    let ids = [
        "order-1",
        "order-10",
        "Order-1",
        "order-1.",
        "order-1.item",
        "order",
        "a.b",
        "a b",
        "a/b",
        "/2F",
        "%2F",
        "*",
        ">",
        "~",
        "=",
        "..",
        "\u{e9}",
        "e\u{301}",
        "🧾",
        &long,
    ];
    for (number, id) in ids.iter().enumerate() {
        let aggregate = trial.aggregate(id);
        assert_eq!(trial.load(&aggregate).await, None, "{id} before it was saved");
        trial.save(&aggregate, &snapshot(number)).await;
    }
    for (number, id) in ids.iter().enumerate() {
        trial.expect(&trial.aggregate(id), &snapshot(number), &[]).await;
    }
}

pub(super) async fn the_same_id_in_two_tenants_and_types_has_snapshots_of_its_own(trial: Trial) {
    let tenant = |name| trial.aggregate("one").in_tenant(name).expect("the suite uses tenants that follow the rule");
    let all = [trial.aggregate("one"), tenant("acme"), tenant("globex"), trial.of_another_type("one")];
    for (number, aggregate) in all.iter().enumerate() {
        assert_eq!(trial.load(aggregate).await, None, "{aggregate} before it was saved");
        trial.save(aggregate, &snapshot(number)).await;
    }
    for (number, aggregate) in all.iter().enumerate() {
        trial.expect(aggregate, &snapshot(number), &[]).await;
    }
}

pub(super) async fn of_many_saves_at_once_one_is_left_and_it_is_whole(trial: Trial) {
    let aggregate = trial.aggregate("contended");
    let all: Vec<_> = (0..16).map(|number| noise(20_000 + number * 500, 3)).collect();
    let saves = all.iter().map(|bytes| {
        let (trial, aggregate, bytes) = (trial.clone(), aggregate.clone(), bytes.clone());
        async move { trial.save(&aggregate, &bytes).await }
    });
    side_by_side(saves).await;
    let last = snapshot(1);
    trial.save(&aggregate, &last).await;
    trial.expect(&aggregate, &last, &all).await;
}

pub(super) async fn snapshots_of_many_aggregates_are_saved_and_loaded_at_once(trial: Trial) {
    side_by_side((0..200).map(|number| {
        let trial = trial.clone();
        async move {
            let aggregate = trial.aggregate(&format!("many-{number}"));
            trial.save(&aggregate, &snapshot(number)).await;
            trial.expect(&aggregate, &snapshot(number), &[]).await;
        }
    }))
    .await;
}

pub(super) async fn a_snapshot_that_is_too_large_is_refused_or_comes_back_whole(trial: Trial) {
    let (aggregate, good, large) = (trial.aggregate("too-large"), snapshot(1), noise(TOO_MUCH, 4));
    trial.save(&aggregate, &good).await;
    trial.expect(&aggregate, &good, &[]).await;
    if trial.try_save(&aggregate, &large).await.is_ok() {
        trial.expect(&aggregate, &large, &[good]).await;
        return;
    }
    // The one before is still there, and the store goes on.
    trial.expect(&aggregate, &good, &[]).await;
    let newer = snapshot(2);
    trial.save(&aggregate, &newer).await;
    trial.expect(&aggregate, &newer, &[good]).await;
}

pub(super) async fn a_dropped_save_leaves_the_one_before_or_the_newer_one_whole(trial: Trial) {
    let aggregate = trial.aggregate("dropped");
    let mut saved = vec![snapshot(0)];
    trial.save(&aggregate, &saved[0]).await;
    trial.expect(&aggregate, &saved[0], &[]).await;
    for number in 1..20 {
        let newer = noise(50_000, u8::try_from(number).unwrap_or_default());
        saved.push(newer.clone());
        let limit = Duration::from_micros(50 * number);
        // Whether it was in time does not matter.
        let _ = tokio::time::timeout(limit, trial.try_save(&aggregate, &newer)).await;
        let found = trial.load(&aggregate).await;
        assert!(found.is_some_and(|found| saved.contains(&found)), "half a snapshot, or none, after a dropped save");
    }
    let last = snapshot(1);
    trial.save(&aggregate, &last).await;
    trial.expect(&aggregate, &last, &saved).await;
}
