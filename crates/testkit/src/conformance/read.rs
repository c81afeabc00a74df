//! Reads: parts of a history, long histories, fresh ones.

use headwater_core::Revision;
use headwater_core::store::{Freshness, Head, ReadOptions};
use rand::Rng;
use std::time::Duration;

use super::trial::{Trial, assert_stored, events, ok, random};
use crate::wait::wait_until;

pub(super) async fn a_read_shows_the_part_that_was_asked_for(trial: Trial) {
    let (mut random, seed) = random();
    for round in 0..5 {
        let aggregate = trial.aggregate(&format!("parts-{round}"));
        let size = random.random_range(1..=150);
        let (mut head, mut stored) = (Head::EMPTY, Vec::new());
        while stored.len() < size {
            let more = events(&aggregate, random.random_range(1..=12).min(size - stored.len()));
            head = trial.append(&aggregate, &head, &more).await;
            stored.extend(more);
        }
        let edges = [(0, None), (0, Some(0)), (0, Some(size)), (size, None), (size - 1, Some(1)), (size + 7, None)];
        let anywhere: Vec<_> = (0..12)
            .map(|_| {
                (random.random_range(0..=size), random.random_bool(0.7).then(|| random.random_range(0..=size + 2)))
            })
            .collect();
        for (after, limit) in edges.into_iter().chain(anywhere) {
            let options = ReadOptions { limit, ..ReadOptions::after(Revision::ZERO.plus(after)) };
            let history = trial.read(&aggregate, options).await;
            let expected: Vec<_> = stored.iter().skip(after).take(limit.unwrap_or(usize::MAX)).cloned().collect();
            assert_stored(&history.events, &expected);
            let revisions: Vec<_> = history.events.iter().map(|event| event.revision).collect();
            let wanted: Vec<_> = (1..=expected.len()).map(|place| Revision::ZERO.plus(after + place)).collect();
            assert_eq!(revisions, wanted, "after {after}, limit {limit:?} of {size}; seed {seed}");
            assert_eq!(history.head, head, "a limit does not cut the head; seed {seed}");
        }
    }
}

pub(super) async fn a_history_of_ten_thousand_events_is_read_whole(trial: Trial) {
    let aggregate = trial.aggregate("long");
    let (mut head, mut stored) = (Head::EMPTY, Vec::new());
    for _ in 0..10 {
        let more = events(&aggregate, 1000);
        head = trial.append(&aggregate, &head, &more).await;
        stored.extend(more);
    }
    assert_eq!(trial.expect_history(&aggregate, &stored).await, head);
    let tail = trial.read(&aggregate, ReadOptions::after(Revision::new(9_990))).await;
    assert_stored(&tail.events, &stored[9_990..]);
    let middle = trial.read(&aggregate, ReadOptions::after(Revision::new(4_995)).limit(10)).await;
    assert_stored(&middle.events, &stored[4_995..5_005]);
    assert_eq!(middle.head, head);
}

pub(super) async fn a_leader_read_shows_what_was_just_appended(trial: Trial) {
    let aggregate = trial.aggregate("fresh");
    let mut head = Head::EMPTY;
    for turn in 0..30 {
        head = trial.append(&aggregate, &head, &events(&aggregate, 1 + turn % 2)).await;
        assert_eq!(trial.head(&aggregate).await, head);
        assert_eq!(trial.read(&aggregate, ReadOptions::after(head.revision())).await.head, head);
    }
}

pub(super) async fn a_fast_read_catches_up(trial: Trial) {
    let aggregate = trial.aggregate("fast");
    let stored = events(&aggregate, 3);
    let head = trial.append(&aggregate, &Head::EMPTY, &stored).await;
    let caught_up = wait_until(Duration::from_secs(30), "a fast read of the newest events", async || {
        let history = ok(trial.store().read(&aggregate, ReadOptions::all()).await);
        (history.head == head).then_some(history)
    });
    assert_stored(&caught_up.await.events, &stored);
    wait_until(Duration::from_secs(30), "a fast look at the newest head", async || {
        (ok(trial.store().head(&aggregate, Freshness::Fast).await) == head).then_some(())
    })
    .await;
}

pub(super) async fn a_read_up_to_a_known_head_shows_everything_up_to_it(trial: Trial) {
    let aggregate = trial.aggregate("known");
    let (mut head, mut stored, mut heads) = (Head::EMPTY, Vec::new(), vec![Head::EMPTY]);
    for size in [1, 40, 3, 50] {
        let more = events(&aggregate, size);
        head = trial.append(&aggregate, &head, &more).await;
        stored.extend(more);
        heads.push(head.clone());
    }
    for known in heads {
        let end = known.revision().get() as usize;
        for after in [0, end / 2, end] {
            let options = ReadOptions::after(Revision::ZERO.plus(after)).known_head(known.clone());
            let history = trial.read(&aggregate, options).await;
            assert!(history.head == known || history.head == head, "{known:?} was known, {:?} came", history.head);
            // What the answer shows has to reach the head that the answer names.
            let reached = history.head.revision().get() as usize;
            assert_stored(&history.events, &stored[after..reached]);
        }
    }
}

pub(super) async fn a_store_in_good_health_says_so(trial: Trial) {
    assert!(!trial.store().name().is_empty(), "the kind of store has a name");
    ok(super::trial::in_time("the check", trial.store().check()).await);
}
