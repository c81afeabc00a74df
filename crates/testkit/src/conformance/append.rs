//! Appends and their guard.

use headwater_core::Revision;
use headwater_core::store::{Head, MAX_PREVIOUS};

use super::trial::{Trial, events, one};

pub(super) async fn an_aggregate_without_events_has_an_empty_history(trial: Trial) {
    let nobody = trial.aggregate("nobody");
    let history = trial.history(&nobody).await;
    assert!(history.events.is_empty(), "{:?}", history.events);
    assert_eq!(history.head, Head::EMPTY);
    assert_eq!(trial.head(&nobody).await, Head::EMPTY);
}

pub(super) async fn the_first_append_creates_the_aggregate(trial: Trial) {
    let aggregate = trial.aggregate("first");
    let created = events(&aggregate, 1);
    let head = trial.append(&aggregate, &Head::EMPTY, &created).await;
    assert_eq!(head.revision(), Revision::new(1));
    assert!(head.sequence().get() > 0, "sequences count from 1");
    assert_eq!(trial.expect_history(&aggregate, &created).await, head);
}

pub(super) async fn the_first_append_may_hold_several_events(trial: Trial) {
    let aggregate = trial.aggregate("first-of-many");
    let created = events(&aggregate, 5);
    let head = trial.append(&aggregate, &Head::EMPTY, &created).await;
    assert_eq!(head.revision(), Revision::new(5));
    assert_eq!(trial.expect_history(&aggregate, &created).await, head);
}

pub(super) async fn a_second_creator_meets_a_conflict(trial: Trial) {
    let aggregate = trial.aggregate("created-once");
    let created = events(&aggregate, 1);
    trial.append(&aggregate, &Head::EMPTY, &created).await;
    trial.expect_conflict(&aggregate, &Head::EMPTY, &events(&aggregate, 1)).await;
    trial.expect_conflict(&aggregate, &Head::EMPTY, &events(&aggregate, 3)).await;
    trial.expect_history(&aggregate, &created).await;
}

pub(super) async fn a_stale_head_is_a_conflict_and_stores_nothing(trial: Trial) {
    let aggregate = trial.aggregate("stale");
    let mut stored = events(&aggregate, 2);
    let stale = trial.append(&aggregate, &Head::EMPTY, &stored).await;
    let later = events(&aggregate, 1);
    let head = trial.append(&aggregate, &stale, &later).await;
    stored.extend(later);
    trial.expect_conflict(&aggregate, &stale, &events(&aggregate, 1)).await;
    trial.expect_conflict(&aggregate, &stale, &events(&aggregate, 4)).await;
    assert_eq!(trial.expect_history(&aggregate, &stored).await, head);
}

pub(super) async fn a_head_of_the_future_is_a_conflict(trial: Trial) {
    let aggregate = trial.aggregate("future");
    let ahead = trial.append(&trial.aggregate("another"), &Head::EMPTY, &events(&trial.aggregate("another"), 2)).await;
    trial.expect_conflict(&aggregate, &ahead, &events(&aggregate, 1)).await;
    let stored = events(&aggregate, 1);
    trial.append(&aggregate, &Head::EMPTY, &stored).await;
    trial.expect_conflict(&aggregate, &ahead, &events(&aggregate, 2)).await;
    trial.expect_history(&aggregate, &stored).await;
}

pub(super) async fn an_append_after_a_conflict_holds_with_the_new_head(trial: Trial) {
    let aggregate = trial.aggregate("tries-again");
    let mut stored = events(&aggregate, 1);
    trial.append(&aggregate, &Head::EMPTY, &stored).await;
    // The same events that were refused: a refusal must not burn their ids.
    let refused = events(&aggregate, 2);
    trial.expect_conflict(&aggregate, &Head::EMPTY, &refused).await;
    let head = trial.head(&aggregate).await;
    trial.append(&aggregate, &head, &refused).await;
    stored.extend(refused);
    trial.expect_history(&aggregate, &stored).await;
}

pub(super) async fn revisions_have_no_gaps_whatever_the_size_of_the_appends(trial: Trial) {
    let (aggregate, beside) = (trial.aggregate("grows"), trial.aggregate("beside"));
    let (mut head, mut head_beside) = (Head::EMPTY, Head::EMPTY);
    let (mut stored, mut stored_beside) = (Vec::new(), Vec::new());
    for size in [1, 3, 1, 1, 7, 2, 1, 20, 1] {
        let more = events(&aggregate, size);
        head = trial.append(&aggregate, &head, &more).await;
        stored.extend(more);
        // Another aggregate's events stand in between, so the sequences have gaps and the revisions must not.
        let event = one(&beside);
        head_beside = trial.append(&beside, &head_beside, std::slice::from_ref(&event)).await;
        stored_beside.push(event);
        assert_eq!(trial.head(&aggregate).await, head);
    }
    assert_eq!(trial.expect_history(&aggregate, &stored).await, head);
    assert_eq!(trial.expect_history(&beside, &stored_beside).await, head_beside);
}

pub(super) async fn a_head_remembers_the_last_32_events(trial: Trial) {
    let aggregate = trial.aggregate("remembers");
    let mut head = Head::EMPTY;
    for count in 1..=40 {
        head = trial.append(&aggregate, &head, &[one(&aggregate)]).await;
        assert_eq!(head.recent().len(), count.min(MAX_PREVIOUS));
        if count % 13 == 0 {
            assert_eq!(trial.head(&aggregate).await, head, "after {count} events");
        }
    }
    let head = trial.append(&aggregate, &head, &events(&aggregate, 50)).await;
    assert_eq!(head.recent().len(), MAX_PREVIOUS);
    assert_eq!(trial.history(&aggregate).await.head, head);
}
