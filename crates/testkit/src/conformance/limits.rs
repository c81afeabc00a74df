//! What is too much for one append.

use bytes::Bytes;
use headwater_core::NewEvent;
use headwater_core::store::{AppendError, Head, MAX_EVENTS_PER_APPEND};

use super::trial::{Trial, events, one};

/// An event of this size has to fit in every store.
const FITS: usize = 200 * 1024;
/// An event of this size is too large for many.
const TOO_MUCH: usize = 9 * 1024 * 1024;

pub(super) async fn an_append_of_the_largest_allowed_number_of_events_is_stored_whole(trial: Trial) {
    let aggregate = trial.aggregate("full");
    let first = events(&aggregate, 1);
    let head = trial.append(&aggregate, &Head::EMPTY, &first).await;
    let most = events(&aggregate, MAX_EVENTS_PER_APPEND);
    let original = trial.append(&aggregate, &head, &most).await;
    trial.append_again(&aggregate, &head, &most, &original).await;
    trial.expect_history(&aggregate, &[first, most].concat()).await;
}

pub(super) async fn an_append_of_too_many_events_is_too_large_or_stored_whole(trial: Trial) {
    let aggregate = trial.aggregate("overfull");
    let many = events(&aggregate, MAX_EVENTS_PER_APPEND + 1);
    whole_or_too_large(&trial, &many, "overfull").await;
}

pub(super) async fn an_event_of_two_hundred_kibibytes_comes_back(trial: Trial) {
    let aggregate = trial.aggregate("big");
    let stored: Vec<_> = (0..3).map(|_| sized(one(&aggregate), FITS)).collect();
    let mut head = trial.append(&aggregate, &Head::EMPTY, &stored[..1]).await;
    head = trial.append(&aggregate, &head, &stored[1..]).await;
    assert_eq!(trial.expect_history(&aggregate, &stored).await, head);
}

pub(super) async fn an_event_that_is_too_large_is_refused_or_stored_whole(trial: Trial) {
    let aggregate = trial.aggregate("too-big");
    whole_or_too_large(&trial, &[sized(one(&aggregate), TOO_MUCH)], "too-big").await;
}

pub(super) async fn one_event_that_is_too_large_takes_its_whole_append_with_it(trial: Trial) {
    for place in 0..3 {
        let id = format!("too-big-at-{place}");
        let mut three = events(&trial.aggregate(&id), 3);
        three[place] = sized(three[place].clone(), TOO_MUCH);
        whole_or_too_large(&trial, &three, &id).await;
    }
}

/// Appends to a new aggregate: all of it must be stored, or none and the store must say why. Either way it goes on.
async fn whole_or_too_large(trial: &Trial, events: &[NewEvent], id: &str) {
    let aggregate = trial.aggregate(id);
    let (head, mut stored) = match trial.try_append(&aggregate, &Head::EMPTY, events).await {
        Ok(appended) => (appended.head, events.to_vec()),
        Err(AppendError::TooLarge { aggregate: of, what }) => {
            assert_eq!(of, aggregate, "whose append was too large");
            assert!(!what.is_empty(), "the refusal names what is too large");
            (Head::EMPTY, Vec::new())
        }
        Err(other) => panic!("an append that is too large is TooLarge, not {other:?}"),
    };
    assert_eq!(trial.expect_history(&aggregate, &stored).await, head);
    let next = one(&aggregate);
    trial.append(&aggregate, &head, std::slice::from_ref(&next)).await;
    stored.push(next);
    trial.expect_history(&aggregate, &stored).await;
}

/// The event with JSON data of about `size` bytes.
fn sized(event: NewEvent, size: usize) -> NewEvent {
    NewEvent { data: Bytes::from(format!(r#"{{"filler":"{}"}}"#, "x".repeat(size))), ..event }
}
