//! Many appenders at once.

use headwater_core::store::{AppendError, Freshness, Head, ReadOptions};
use headwater_core::{CommandId, NewEvent};
use rand::Rng;
use std::time::Duration;

use super::trial::{Trial, assert_whole, events, events_of, ok, one, random, side_by_side};

const RACERS: usize = 32;

pub(super) async fn of_many_creators_exactly_one_wins(trial: Trial) {
    exactly_one_wins(&trial, "created", Head::EMPTY, &[]).await;
}

pub(super) async fn of_many_appenders_behind_one_head_exactly_one_wins(trial: Trial) {
    let aggregate = trial.aggregate("raced");
    let before = events(&aggregate, 3);
    let head = trial.append(&aggregate, &Head::EMPTY, &before).await;
    exactly_one_wins(&trial, "raced", head, &before).await;
}

/// Lets appends of one to three events race behind `head`, the end of `before`.
async fn exactly_one_wins(trial: &Trial, id: &str, head: Head, before: &[NewEvent]) {
    let aggregate = trial.aggregate(id);
    let racers = (0..RACERS).map(|racer| {
        let (trial, aggregate, head) = (trial.clone(), aggregate.clone(), head.clone());
        async move {
            let events = events(&aggregate, 1 + racer % 3);
            let outcome = trial.try_append(&aggregate, &head, &events).await;
            (outcome, events)
        }
    });
    let mut winners = Vec::new();
    for (outcome, events) in side_by_side(racers).await {
        match outcome {
            Ok(appended) => winners.push((appended.head, events)),
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("losing a race for {aggregate} is a conflict, not {other:?}"),
        }
    }
    let [(head, events)] = &winners[..] else { panic!("{} of {RACERS} appends won", winners.len()) };
    assert_eq!(trial.expect_history(&aggregate, &[before, events].concat()).await, *head);
}

pub(super) async fn appends_to_many_aggregates_at_once_do_not_disturb_each_other(trial: Trial) {
    let writers = (0..48).map(|writer: usize| {
        let trial = trial.clone();
        async move {
            let aggregate = trial.aggregate(&format!("side-by-side-{writer}"));
            let (mut head, mut stored) = (Head::EMPTY, Vec::new());
            for turn in 0..6 {
                let stale = head.clone();
                // Appends of one event and of several, and now and then one that is refused, all at the same time.
                let more = events(&aggregate, if (writer + turn).is_multiple_of(3) { 3 } else { 1 });
                head = trial.append(&aggregate, &head, &more).await;
                stored.extend(more);
                if (writer + turn).is_multiple_of(5) {
                    trial.expect_conflict(&aggregate, &stale, &events(&aggregate, 1 + turn % 2)).await;
                }
            }
            assert_eq!(trial.expect_history(&aggregate, &stored).await, head);
        }
    });
    side_by_side(writers).await;
}

pub(super) async fn every_appender_that_tries_again_gets_its_turn(trial: Trial) {
    let aggregate = trial.aggregate("contended");
    let writers = (0..8).map(|_| {
        let (trial, aggregate) = (trial.clone(), aggregate.clone());
        async move {
            let event = one(&aggregate);
            let mut pause = Duration::from_millis(1);
            loop {
                let head = trial.head(&aggregate).await;
                match trial.try_append(&aggregate, &head, std::slice::from_ref(&event)).await {
                    Ok(appended) => break assert!(!appended.duplicate, "a conflict stored nothing"),
                    Err(AppendError::Conflict { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
                let jitter = rand::random_range(0.5..1.5);
                tokio::time::sleep(pause.mul_f64(jitter)).await;
                pause = (pause * 2).min(Duration::from_millis(50));
            }
        }
    });
    side_by_side(writers).await;
    assert_eq!(trial.history(&aggregate).await.events.len(), 8);
}

pub(super) async fn a_read_beside_appends_shows_a_whole_beginning(trial: Trial) {
    let aggregate = trial.aggregate("read-beside");
    let writing = {
        let (trial, aggregate) = (trial.clone(), aggregate.clone());
        tokio::spawn(async move {
            let mut head = Head::EMPTY;
            for turn in 0..60 {
                head = trial.append(&aggregate, &head, &events(&aggregate, 1 + turn % 4)).await;
            }
            head
        })
    };
    for freshness in [Freshness::Leader, Freshness::Fast].into_iter().cycle() {
        let finished = writing.is_finished();
        let history = ok(trial.store().read(&aggregate, ReadOptions::all().freshness(freshness)).await);
        assert_whole(&aggregate, &history);
        if finished {
            break;
        }
    }
    let head = ok(writing.await);
    assert_eq!(trial.history(&aggregate).await.head, head);
}

pub(super) async fn a_dropped_append_stores_all_of_its_events_or_none(trial: Trial) {
    const SIZE: usize = 3;
    let aggregate = trial.aggregate("dropped");
    let (mut random, seed) = random();
    for _ in 0..20 {
        let command = CommandId::generate();
        let events = events_of(&command, &aggregate, SIZE);
        let head = trial.head(&aggregate).await;
        let patience = Duration::from_micros(random.random_range(0..3000));
        // Whether it was in time does not matter: either way the events are there in full, or not at all.
        let _ = tokio::time::timeout(patience, trial.try_append(&aggregate, &head, &events)).await;
    }
    // Once another append got through behind it, a dropped one can no longer be stored.
    let marker = one(&aggregate);
    loop {
        let head = trial.head(&aggregate).await;
        match trial.try_append(&aggregate, &head, std::slice::from_ref(&marker)).await {
            Ok(_) => break,
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}; seed {seed}"),
        }
    }
    let history = trial.history(&aggregate).await;
    let (last, commands) = history.events.split_last().expect("the marker is stored");
    assert_eq!(last.event.id, marker.id);
    for events in commands.chunks(SIZE) {
        let command = &events[0].event.metadata.command_id;
        let whole = events_of(command, &aggregate, SIZE);
        let stored: Vec<_> = events.iter().map(|event| event.event.id).collect();
        assert_eq!(stored, whole.iter().map(|event| event.id).collect::<Vec<_>>(), "seed {seed}");
    }
}
