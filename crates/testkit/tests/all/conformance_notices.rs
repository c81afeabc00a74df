//! Whether the suite is worth running: stores that do one thing wrong, and the case that notices.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::SubsecRound;
use futures_util::{FutureExt, StreamExt, stream};
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History,
    MAX_EVENTS_PER_APPEND, MemoryStore, ReadError, ReadOptions, StartFrom, StoreError,
};
use headwater_core::{AggregateId, EventId, JSON, Metadata, NewEvent, Revision, Sequence};
use headwater_testkit::conformance;
use serde_json::Value;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    TakesStaleHeads,
    TakesSecondCreators,
    TellsAWrongRevision,
    StoresTheFirstEventOnly,
    StoresRepeatedEventsAgain,
    TellsOfNoRepeats,
    TellsTheNewestHeadOfARepeat,
    StoresAHalfOfTooMuch,
    ReadsOneTooFar,
    IgnoresLimits,
    CutsTheHeadWithTheLimit,
    RemembersOneEventInTheHead,
    RoundsTimes,
    ForgetsUsers,
    TakesEverythingForJson,
    WritesJsonAnew,
    ForgetsSchemaVersions,
    IgnoresTheCaseOfIds,
    IgnoresTenants,
    CutsIdsAtDots,
    IgnoresTypesInSubscriptions,
    IgnoresNamesInSubscriptions,
    BeginsAtTheEventItself,
    BeginsNowWithThePast,
    GoesByTheTimeOfDeciding,
    DoublesTheFirstLiveEvent,
    LosesEverySeventhEvent,
    SwapsNeighbours,
    ShowsRefusedAppends,
    IsIll,
}

use Fault::*;

/// Each fault with a case that has to notice it. Others may notice it too.
const NOTICED: [(Fault, &str); 30] = [
    (TakesStaleHeads, "a_stale_head_is_a_conflict_and_stores_nothing"),
    (TakesSecondCreators, "a_second_creator_meets_a_conflict"),
    (TellsAWrongRevision, "a_stale_head_is_a_conflict_and_stores_nothing"),
    (StoresTheFirstEventOnly, "the_first_append_may_hold_several_events"),
    (StoresRepeatedEventsAgain, "a_repeated_append_is_answered_with_the_original_head"),
    (TellsOfNoRepeats, "the_same_append_sent_by_many_at_once_is_stored_once"),
    (TellsTheNewestHeadOfARepeat, "a_repeated_append_is_recognised_after_later_events"),
    (StoresAHalfOfTooMuch, "an_append_of_too_many_events_is_too_large_or_stored_whole"),
    (ReadsOneTooFar, "a_read_shows_the_part_that_was_asked_for"),
    (IgnoresLimits, "a_read_shows_the_part_that_was_asked_for"),
    (CutsTheHeadWithTheLimit, "a_read_shows_the_part_that_was_asked_for"),
    (RemembersOneEventInTheHead, "a_head_remembers_the_last_32_events"),
    (RoundsTimes, "times_come_back_to_the_microsecond_and_in_any_order"),
    (ForgetsUsers, "metadata_comes_back_as_written"),
    (TakesEverythingForJson, "data_of_another_content_type_comes_back_as_written"),
    (WritesJsonAnew, "json_data_comes_back_as_written"),
    (ForgetsSchemaVersions, "event_names_and_schema_versions_come_back_as_written"),
    (IgnoresTheCaseOfIds, "ids_of_any_characters_name_aggregates_of_their_own"),
    (IgnoresTenants, "the_same_id_in_two_tenants_is_two_aggregates"),
    (CutsIdsAtDots, "an_id_that_begins_like_another_is_another_aggregate"),
    (IgnoresTypesInSubscriptions, "a_subscription_can_be_limited_to_an_aggregate_type"),
    (IgnoresNamesInSubscriptions, "a_subscription_can_be_limited_to_event_names"),
    (BeginsAtTheEventItself, "a_subscription_after_a_sequence_goes_on_right_behind_it"),
    (BeginsNowWithThePast, "a_subscription_from_now_shows_only_what_follows"),
    (GoesByTheTimeOfDeciding, "a_subscription_from_a_time_goes_by_the_time_of_storing"),
    (DoublesTheFirstLiveEvent, "a_subscription_from_the_beginning_shows_what_is_stored_and_what_follows"),
    (LosesEverySeventhEvent, "nothing_is_lost_or_doubled_where_the_past_meets_the_present"),
    (SwapsNeighbours, "a_subscription_from_the_beginning_shows_what_is_stored_and_what_follows"),
    (ShowsRefusedAppends, "refused_appends_never_show_in_a_subscription"),
    (IsIll, "a_store_in_good_health_says_so"),
];

/// Time is paused, so that a case that waits for an event that never comes gives up at once.
#[tokio::test(start_paused = true)]
async fn the_suite_notices_a_store_that_does_one_thing_wrong() {
    let mut missed = Vec::new();
    for (fault, name) in NOTICED {
        let case = conformance::cases().iter().find(|case| case.name() == name).unwrap();
        let run = case.run(Faulty { fault, inner: MemoryStore::new() });
        if AssertUnwindSafe(run).catch_unwind().await.is_ok() {
            missed.push((fault, name));
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_store_without_its_fault_passes() {
    conformance::run_all(|| async { Faulty { fault: Nothing, inner: MemoryStore::new() } }).await;
}

/// A store in memory with a fault between it and its users.
#[derive(Debug)]
struct Faulty {
    fault: Fault,
    inner: MemoryStore,
}

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// The aggregate that an id ends up as.
    fn aggregate(&self, given: &AggregateId) -> AggregateId {
        let id = match self.fault {
            IgnoresTheCaseOfIds => given.id().to_lowercase(),
            CutsIdsAtDots => given.id().split('.').find(|part| !part.is_empty()).unwrap_or(".").to_owned(),
            _ => given.id().to_owned(),
        };
        let aggregate = AggregateId::of(given.kind().clone(), id).unwrap();
        match given.tenant() {
            Some(tenant) if !self.has(IgnoresTenants) => aggregate.in_tenant(tenant).unwrap(),
            _ => aggregate,
        }
    }

    /// The event that is stored in the place of `event`.
    fn event(&self, mut event: NewEvent) -> NewEvent {
        match self.fault {
            RoundsTimes => event.time = event.time.trunc_subsecs(3),
            ForgetsUsers => event.metadata = Arc::new(Metadata { user_id: None, ..(*event.metadata).clone() }),
            TakesEverythingForJson => event.content_type = JSON.into(),
            WritesJsonAnew => {
                if let Ok(value) = serde_json::from_slice::<Value>(&event.data) {
                    event.data = Bytes::from(value.to_string());
                }
            }
            ForgetsSchemaVersions => event.schema_version = 1,
            _ => {}
        }
        event
    }

    fn head_told(&self, head: Head) -> Head {
        match self.fault {
            RemembersOneEventInTheHead => Head::new(head.revision(), head.recent().iter().take(1).copied().collect()),
            _ => head,
        }
    }

    async fn newest(&self, aggregate: &AggregateId) -> Head {
        self.inner.head(aggregate, Freshness::Leader).await.unwrap()
    }

    /// What becomes of an append that was stored before.
    async fn repeated(&self, append: Append, appended: Appended) -> Appended {
        let newest = self.newest(&append.aggregate).await;
        match self.fault {
            TellsOfNoRepeats => Appended { duplicate: false, ..appended },
            TellsTheNewestHeadOfARepeat => Appended { head: newest, ..appended },
            StoresRepeatedEventsAgain => {
                let anew = |event: NewEvent| NewEvent { id: EventId::from_uuid(uuid::Uuid::new_v4()), ..event };
                let events = append.events.into_iter().map(anew).collect();
                self.inner.append(Append { events, head: newest, ..append }).await.unwrap();
                appended
            }
            _ => appended,
        }
    }

    /// What becomes of an append behind a head that does not hold.
    async fn refused(&self, append: Append, conflict: AppendError) -> Result<Appended, AppendError> {
        let head = self.newest(&append.aggregate).await;
        match self.fault {
            TakesStaleHeads if append.head != Head::EMPTY => self.inner.append(Append { head, ..append }).await,
            TakesSecondCreators if append.head == Head::EMPTY => self.inner.append(Append { head, ..append }).await,
            TellsAWrongRevision => Err(AppendError::Conflict {
                aggregate: append.aggregate,
                expected: append.head.revision(),
                actual: Some(head.revision().next()),
            }),
            ShowsRefusedAppends => {
                let ghost = AggregateId::of(append.aggregate.kind().clone(), "ghost").unwrap();
                let head = self.newest(&ghost).await;
                self.inner.append(Append { aggregate: ghost, head, ..append }).await.unwrap();
                Err(conflict)
            }
            _ => Err(conflict),
        }
    }
}

#[async_trait]
impl EventStore for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut append = Append {
            aggregate: self.aggregate(&append.aggregate),
            events: append.events.into_iter().map(|event| self.event(event)).collect(),
            ..append
        };
        if self.has(StoresTheFirstEventOnly) {
            append.events.truncate(1);
        }
        if self.has(StoresAHalfOfTooMuch) && append.events.len() > MAX_EVENTS_PER_APPEND {
            let too_large = AppendError::TooLarge { aggregate: append.aggregate.clone(), what: "too much".to_owned() };
            append.events.truncate(MAX_EVENTS_PER_APPEND);
            self.inner.append(append).await?;
            return Err(too_large);
        }
        let appended = match self.inner.append(append.clone()).await {
            Ok(appended) if appended.duplicate => self.repeated(append, appended).await,
            Err(conflict @ AppendError::Conflict { .. }) => self.refused(append, conflict).await?,
            other => other?,
        };
        Ok(Appended { head: self.head_told(appended.head), ..appended })
    }

    async fn read(&self, aggregate: &AggregateId, mut read: ReadOptions) -> Result<History, ReadError> {
        let limited = read.limit.is_some();
        match self.fault {
            IgnoresLimits => read.limit = None,
            ReadsOneTooFar if read.after > Revision::ZERO => read.after = Revision::new(read.after.get() - 1),
            _ => {}
        }
        let mut history = self.inner.read(&self.aggregate(aggregate), read).await?;
        if let (CutsTheHeadWithTheLimit, true, Some(last)) = (self.fault, limited, history.events.last()) {
            history.head = Head::new(last.revision, vec![last.sequence]);
        }
        Ok(History { head: self.head_told(history.head), ..history })
    }

    async fn head(&self, aggregate: &AggregateId, _: Freshness) -> Result<Head, ReadError> {
        Ok(self.head_told(self.newest(&self.aggregate(aggregate)).await))
    }

    async fn subscribe(&self, mut filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        let mut begin = from;
        match (self.fault, from) {
            (IgnoresTypesInSubscriptions, _) => filter.kind = None,
            (IgnoresNamesInSubscriptions, _) => filter.events.clear(),
            (BeginsAtTheEventItself, StartFrom::After(place)) => {
                begin = StartFrom::After(Sequence::new(place.get() - 1));
            }
            (BeginsNowWithThePast, StartFrom::Now) | (GoesByTheTimeOfDeciding, StartFrom::Time(_)) => {
                begin = StartFrom::Beginning;
            }
            _ => {}
        }
        let events = self.inner.subscribe(filter, begin).await?;
        Ok(match (self.fault, from) {
            (GoesByTheTimeOfDeciding, StartFrom::Time(time)) => events
                .filter(move |event| std::future::ready(event.as_ref().is_ok_and(|event| event.event.time >= time)))
                .boxed(),
            (DoublesTheFirstLiveEvent, _) => events
                .enumerate()
                .flat_map(|(place, event)| stream::iter(vec![event.unwrap(); if place == 3 { 2 } else { 1 }]).map(Ok))
                .boxed(),
            (LosesEverySeventhEvent, _) => events
                .enumerate()
                .filter_map(|(place, event)| std::future::ready((place % 7 != 6).then_some(event)))
                .boxed(),
            (SwapsNeighbours, _) => events.chunks(2).flat_map(|pair| stream::iter(pair.into_iter().rev())).boxed(),
            _ => events,
        })
    }

    async fn check(&self) -> Result<(), StoreError> {
        if self.has(IsIll) { Err(StoreError::new("not today")) } else { Ok(()) }
    }
}
