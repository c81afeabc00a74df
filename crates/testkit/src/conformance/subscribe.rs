//! Subscriptions: which events, from where, in which order.

use std::collections::HashMap;
use std::time::Duration;

use chrono::Utc;
use headwater_core::store::{EventFilter, EventStream, Head, StartFrom};
use headwater_core::{AggregateId, NewEvent, RecordedEvent, Revision};

use super::trial::{
    Trial, assert_stored, event_called, events, in_time, next, ok, one, side_by_side, take, unique_name,
};

impl Trial {
    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> EventStream {
        ok(in_time("a subscription to begin", self.store().subscribe(filter, from)).await)
    }

    /// What only this run's aggregates have.
    fn mine(&self) -> EventFilter {
        EventFilter::all().kind(self.kind())
    }

    /// Appends to a new aggregate and returns what a subscription has to show of it.
    async fn store_new(&self, id: &str, size: usize) -> Vec<RecordedEvent> {
        let aggregate = self.aggregate(id);
        self.append(&aggregate, &Head::EMPTY, &events(&aggregate, size)).await;
        self.history(&aggregate).await.events
    }
}

fn assert_shown(shown: &[RecordedEvent], expected: &[RecordedEvent]) {
    let places = |events: &[RecordedEvent]| {
        events.iter().map(|event| (event.sequence, event.aggregate.clone(), event.revision)).collect::<Vec<_>>()
    };
    assert_eq!(places(shown), places(expected), "the events a subscription shows");
    assert_stored(shown, &expected.iter().map(|event| event.event.clone()).collect::<Vec<_>>());
}

pub(super) async fn a_subscription_from_the_beginning_shows_what_is_stored_and_what_follows(trial: Trial) {
    let mut expected = trial.store_new("one", 2).await;
    expected.extend(trial.store_new("two", 1).await);
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Beginning).await;
    assert_shown(&take(&mut stream, 3).await, &expected);
    let later = [trial.store_new("three", 1).await, trial.store_new("four", 4).await].concat();
    assert_shown(&take(&mut stream, 5).await, &later);
}

pub(super) async fn a_subscription_after_a_sequence_goes_on_right_behind_it(trial: Trial) {
    let stored = [trial.store_new("one", 3).await, trial.store_new("two", 3).await].concat();
    for place in 0..stored.len() {
        let from = StartFrom::After(stored[place].sequence);
        let mut stream = trial.subscribe(trial.mine(), from).await;
        let rest = &stored[place + 1..];
        assert_shown(&take(&mut stream, rest.len()).await, rest);
        let later = trial.store_new(&format!("later-{place}"), 1).await;
        // Later ones of earlier turns stand before it.
        let shown = take(&mut stream, place + 1).await;
        assert_shown(&shown[place..], &later);
    }
}

pub(super) async fn a_subscription_from_now_shows_only_what_follows(trial: Trial) {
    trial.store_new("before", 3).await;
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Now).await;
    let later = [trial.store_new("one", 1).await, trial.store_new("two", 2).await].concat();
    assert_shown(&take(&mut stream, 3).await, &later);
}

pub(super) async fn a_subscription_from_a_time_goes_by_the_time_of_storing(trial: Trial) {
    // Longer than the clocks of a store and a test on one machine may differ.
    let pause = || tokio::time::sleep(Duration::from_millis(50));
    trial.store_new("before", 3).await;
    pause().await;
    let time = Utc::now();
    pause().await;
    // Decided long ago, stored now.
    let aggregate = trial.aggregate("after");
    let old = NewEvent { time: ok("2001-01-01T00:00:00Z".parse()), ..one(&aggregate) };
    let head = trial.append(&aggregate, &Head::EMPTY, &[old]).await;
    trial.append(&aggregate, &head, &events(&aggregate, 2)).await;
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Time(time)).await;
    let later = [trial.history(&aggregate).await.events, trial.store_new("later", 1).await].concat();
    assert_shown(&take(&mut stream, 4).await, &later);
}

pub(super) async fn a_subscription_from_a_time_to_come_shows_what_follows(trial: Trial) {
    trial.store_new("before", 2).await;
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Time(Utc::now() + Duration::from_millis(300))).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let later = trial.store_new("after", 2).await;
    assert_shown(&take(&mut stream, 2).await, &later);
}

pub(super) async fn a_subscription_can_be_limited_to_an_aggregate_type(trial: Trial) {
    let other = ok(AggregateId::of(unique_name("o"), "one"));
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Beginning).await;
    let mut expected = trial.store_new("one", 1).await;
    let head = trial.append(&other, &Head::EMPTY, &events(&other, 2)).await;
    expected.extend(trial.store_new("two", 2).await);
    trial.append(&other, &head, &events(&other, 1)).await;
    expected.extend(trial.store_new("three", 1).await);
    assert_shown(&take(&mut stream, 4).await, &expected);
}

pub(super) async fn a_subscription_can_be_limited_to_one_aggregate(trial: Trial) {
    let in_tenant = ok(trial.aggregate("one").in_tenant("acme"));
    let ids = [trial.aggregate("one"), trial.aggregate("one.1"), trial.aggregate("*"), trial.aggregate(">"), in_tenant];
    let mut streams = Vec::new();
    for id in &ids {
        streams.push(trial.subscribe(EventFilter::all().aggregate(id.clone()), StartFrom::Beginning).await);
    }
    for size in [1, 3, 1] {
        for id in &ids {
            let head = trial.head(id).await;
            trial.append(id, &head, &events(id, size)).await;
        }
    }
    for (id, stream) in ids.iter().zip(&mut streams) {
        assert_shown(&take(stream, 5).await, &trial.history(id).await.events);
    }
}

pub(super) async fn a_subscription_can_be_limited_to_event_names(trial: Trial) {
    let [wanted, also_wanted, unwanted] = ["w", "v", "u"].map(unique_name);
    let (one, two) = (trial.aggregate("one"), trial.aggregate("two"));
    // Across all aggregate types; in one type; of one aggregate.
    let across = EventFilter::all().event(wanted.clone()).event(also_wanted.clone());
    let in_type = trial.mine().event(wanted.clone());
    let of_one = EventFilter::all().aggregate(one.clone()).event(also_wanted.clone()).event(wanted.clone());
    let mut across = trial.subscribe(across, StartFrom::Beginning).await;
    for aggregate in [&one, &two] {
        let batch: Vec<_> = [&wanted, &unwanted, &also_wanted, &wanted, &unwanted]
            .into_iter()
            .map(|name| event_called(name, aggregate))
            .collect();
        trial.append(aggregate, &Head::EMPTY, &batch).await;
    }
    let all = [trial.history(&one).await.events, trial.history(&two).await.events].concat();
    let only = |matches: &dyn Fn(&RecordedEvent) -> bool| {
        all.iter().filter(|event| matches(event)).cloned().collect::<Vec<_>>()
    };
    let expected = only(&|event| event.event.name != unwanted);
    assert_shown(&take(&mut across, expected.len()).await, &expected);
    let mut in_type = trial.subscribe(in_type, StartFrom::Beginning).await;
    assert_shown(&take(&mut in_type, 4).await, &only(&|event| event.event.name == wanted));
    let mut of_one = trial.subscribe(of_one, StartFrom::Beginning).await;
    let expected = only(&|event| event.aggregate == one && event.event.name != unwanted);
    assert_shown(&take(&mut of_one, expected.len()).await, &expected);
    // Nothing else was on its way: the next one that matches is the next one shown.
    let head = trial.head(&one).await;
    let more = [&unwanted, &also_wanted].map(|name| event_called(name, &one));
    trial.append(&one, &head, &more).await;
    for stream in [&mut across, &mut of_one] {
        assert_eq!(next(stream).await.event.id, more[1].id);
    }
}

pub(super) async fn a_subscription_of_everything_shows_every_aggregate_type(trial: Trial) {
    let other = ok(AggregateId::of(unique_name("o"), "one"));
    let mut stream = trial.subscribe(EventFilter::all(), StartFrom::Now).await;
    let mut expected = trial.store_new("one", 2).await;
    trial.append(&other, &Head::EMPTY, &events(&other, 1)).await;
    expected.extend(trial.history(&other).await.events);
    let mut shown = Vec::new();
    // Others may be using the same journal.
    while shown.len() < expected.len() {
        let event = next(&mut stream).await;
        if event.aggregate.kind() == &trial.kind() || event.aggregate == other {
            shown.push(event);
        }
    }
    assert_shown(&shown, &expected);
}

pub(super) async fn nothing_is_lost_or_doubled_where_the_past_meets_the_present(trial: Trial) {
    const WRITERS: usize = 6;
    const TURNS: usize = 40;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let trial = trial.clone();
            async move {
                let aggregate = trial.aggregate(&format!("writer-{writer}"));
                let (mut head, mut count) = (Head::EMPTY, 0);
                for turn in 0..TURNS {
                    let size = if turn % 7 == writer { 3 } else { 1 };
                    head = trial.append(&aggregate, &head, &events(&aggregate, size)).await;
                    count += size;
                }
                count
            }
        })
        .collect();
    let writing = tokio::spawn(side_by_side(writers));
    // Subscriptions begin while the writers write, some of them behind an event that was just stored.
    let mut streams = Vec::new();
    let mut after = None;
    for _ in 0..5 {
        let mut stream = trial.subscribe(trial.mine(), StartFrom::Beginning).await;
        let first = take(&mut stream, 20).await;
        if let Some(sequence) = after {
            streams.push((Vec::new(), trial.subscribe(trial.mine(), StartFrom::After(sequence)).await));
        }
        after = first.last().map(|event| event.sequence);
        streams.push((first, stream));
    }
    let total: usize = ok(writing.await).into_iter().sum();
    let mut whole: Vec<RecordedEvent> = Vec::new();
    for (mut shown, mut stream) in streams {
        let skipped = if shown.is_empty() { 20 } else { 0 };
        shown.extend(take(&mut stream, total - skipped - shown.len()).await);
        if whole.is_empty() {
            assert_journal(&shown);
            whole = shown;
        } else {
            assert_shown(&shown, &whole[skipped..]);
        }
    }
}

/// Checks that events of many aggregates stand in journal order, and each aggregate's without gaps.
fn assert_journal(events: &[RecordedEvent]) {
    assert!(events.is_sorted_by(|a, b| a.sequence < b.sequence), "journal order");
    let mut revisions: HashMap<&AggregateId, Revision> = HashMap::new();
    for event in events {
        let revision = revisions.entry(&event.aggregate).or_default();
        assert_eq!(event.revision, revision.next(), "the revisions of {} in a subscription", event.aggregate);
        *revision = event.revision;
    }
}

pub(super) async fn a_reader_that_comes_late_still_gets_everything(trial: Trial) {
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Now).await;
    let mut expected = Vec::new();
    for batch in 0..3 {
        expected.extend(trial.store_new(&format!("batch-{batch}"), 1000).await);
    }
    assert_shown(&take(&mut stream, 3000).await, &expected);
}

pub(super) async fn refused_appends_never_show_in_a_subscription(trial: Trial) {
    let aggregate = trial.aggregate("refused");
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Now).await;
    let mut head = Head::EMPTY;
    for _ in 0..10 {
        let stale = head.clone();
        head = trial.append(&aggregate, &head, &[one(&aggregate)]).await;
        trial.expect_conflict(&aggregate, &stale, &events(&aggregate, 1)).await;
        trial.expect_conflict(&aggregate, &stale, &events(&aggregate, 3)).await;
    }
    let expected = trial.history(&aggregate).await.events;
    assert_eq!(expected.len(), 10);
    assert_shown(&take(&mut stream, 10).await, &expected);
    let mut again = trial.subscribe(trial.mine(), StartFrom::Beginning).await;
    assert_shown(&take(&mut again, 10).await, &expected);
    // What comes next is the next event, so nothing refused was still on its way.
    let last = one(&aggregate);
    trial.append(&aggregate, &head, std::slice::from_ref(&last)).await;
    for stream in [&mut stream, &mut again] {
        assert_eq!(next(stream).await.event.id, last.id);
    }
}

pub(super) async fn repeated_appends_show_once_in_a_subscription(trial: Trial) {
    let aggregate = trial.aggregate("repeated");
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Now).await;
    let repeated = events(&aggregate, 2);
    let head = trial.append(&aggregate, &Head::EMPTY, &repeated).await;
    trial.append_again(&aggregate, &Head::EMPTY, &repeated, &head).await;
    trial.append(&aggregate, &head, &[one(&aggregate)]).await;
    assert_shown(&take(&mut stream, 3).await, &trial.history(&aggregate).await.events);
}

pub(super) async fn subscriptions_that_are_dropped_leave_the_store_in_good_health(trial: Trial) {
    let stored = trial.store_new("one", 2).await;
    for turn in 0..60 {
        let mut stream = trial.subscribe(trial.mine(), StartFrom::Beginning).await;
        // Dropped before the first event, between two, and while waiting for one that never comes.
        assert_shown(&take(&mut stream, turn % 3).await, &stored[..turn % 3]);
        if turn % 3 == 2 {
            let waiting = tokio::time::timeout(Duration::from_millis(5), next(&mut stream)).await;
            assert!(waiting.is_err(), "{waiting:?} was never stored");
        }
    }
    ok(trial.store().check().await);
    let mut stream = trial.subscribe(trial.mine(), StartFrom::Beginning).await;
    assert_shown(&take(&mut stream, 2).await, &stored);
}
