//! Repeated appends: what a retry hears when the first attempt was stored.

use headwater_core::store::Head;
use headwater_core::{CommandId, NewEvent};

use super::trial::{Trial, events, events_of, ok, side_by_side};

pub(super) async fn a_repeated_append_is_answered_with_the_original_head(trial: Trial) {
    for size in [1, 2, 9] {
        let aggregate = trial.aggregate(&format!("repeated-{size}"));
        let stored = events(&aggregate, size);
        let original = trial.append(&aggregate, &Head::EMPTY, &stored).await;
        trial.append_again(&aggregate, &Head::EMPTY, &stored, &original).await;
        trial.append_again(&aggregate, &Head::EMPTY, &stored, &original).await;
        trial.expect_history(&aggregate, &stored).await;
    }
}

pub(super) async fn a_repeated_append_is_recognised_after_later_events(trial: Trial) {
    for size in [1, 4] {
        let aggregate = trial.aggregate(&format!("repeated-later-{size}"));
        let mut stored = events(&aggregate, 2);
        let before = trial.append(&aggregate, &Head::EMPTY, &stored).await;
        let repeated = events(&aggregate, size);
        let original = trial.append(&aggregate, &before, &repeated).await;
        stored.extend(repeated.clone());
        let mut head = original.clone();
        for later in [1, 3, 1] {
            let more = events(&aggregate, later);
            head = trial.append(&aggregate, &head, &more).await;
            stored.extend(more);
            trial.append_again(&aggregate, &before, &repeated, &original).await;
        }
        trial.expect_history(&aggregate, &stored).await;
    }
}

pub(super) async fn a_repeated_append_is_recognised_with_a_newer_head(trial: Trial) {
    for size in [1, 3] {
        let aggregate = trial.aggregate(&format!("repeated-newer-{size}"));
        let repeated = events(&aggregate, size);
        let original = trial.append(&aggregate, &Head::EMPTY, &repeated).await;
        // A caller that read the history before it tries again brings the head it read.
        trial.append_again(&aggregate, &original, &repeated, &original).await;
        let later = events(&aggregate, 2);
        let newest = trial.append(&aggregate, &original, &later).await;
        trial.append_again(&aggregate, &newest, &repeated, &original).await;
        trial.expect_history(&aggregate, &[repeated, later].concat()).await;
    }
}

pub(super) async fn a_command_decided_anew_with_other_events_is_still_a_repeated_append(trial: Trial) {
    // Event ids come from the command, so a command that was decided once more, on another state, shares the ids of
    // its first events with what is stored, and may have fewer or more of them.
    for (stored_size, again_size) in [(3, 1), (3, 2), (1, 2), (2, 5)] {
        let aggregate = trial.aggregate(&format!("decided-{stored_size}-{again_size}"));
        let first = events(&aggregate, 1);
        let before = trial.append(&aggregate, &Head::EMPTY, &first).await;
        let command = CommandId::generate();
        let stored = events_of(&command, &aggregate, stored_size);
        let original = trial.append(&aggregate, &before, &stored).await;
        let again = events_of(&command, &aggregate, again_size);
        trial.append_again(&aggregate, &before, &again, &original).await;
        trial.append_again(&aggregate, &original, &again, &original).await;
        let later = events(&aggregate, 1);
        let newest = trial.append(&aggregate, &original, &later).await;
        trial.append_again(&aggregate, &newest, &again, &original).await;
        trial.expect_history(&aggregate, &[first, stored, later].concat()).await;
    }
}

pub(super) async fn an_event_id_of_another_aggregate_is_not_taken_for_stored(trial: Trial) {
    for size in [1, 3] {
        let owner = trial.aggregate(&format!("owner-{size}"));
        let other = trial.aggregate(&format!("other-{size}"));
        let stored = events(&owner, size);
        let original = trial.append(&owner, &Head::EMPTY, &stored).await;
        let before = events(&other, 1);
        let head = trial.append(&other, &Head::EMPTY, &before).await;
        // Either answer is honest: it is stored, or it is not. It never was before.
        let expected: Vec<NewEvent> = match trial.try_append(&other, &head, &stored).await {
            Ok(appended) => {
                assert!(!appended.duplicate, "the ids were stored for {owner}, and never for {other}");
                [before, stored.clone()].concat()
            }
            Err(_) => before,
        };
        trial.expect_history(&other, &expected).await;
        trial.append_again(&owner, &Head::EMPTY, &stored, &original).await;
        trial.expect_history(&owner, &stored).await;
    }
}

pub(super) async fn the_same_append_sent_by_many_at_once_is_stored_once(trial: Trial) {
    for size in [1, 3] {
        let aggregate = trial.aggregate(&format!("many-at-once-{size}"));
        let stored = events(&aggregate, size);
        let attempts = (0..8).map(|_| {
            let (trial, aggregate, events) = (trial.clone(), aggregate.clone(), stored.clone());
            async move { ok(trial.try_append(&aggregate, &Head::EMPTY, &events).await) }
        });
        let outcomes = side_by_side(attempts).await;
        let head = trial.expect_history(&aggregate, &stored).await;
        assert!(outcomes.iter().all(|appended| appended.head == head), "{head:?} in all of {outcomes:?}");
        let first = outcomes.iter().filter(|appended| !appended.duplicate).count();
        assert!(first <= 1, "{first} attempts were told that they stored the events");
    }
}
