//! The list of cases, and the ways to run them.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::trial::Trial;
use super::{UnderTest, append, fidelity, limits, race, read, repeat, subscribe};

/// How long one case may take. Most take milliseconds; this is for a busy machine with slow disks.
pub(super) const LONGEST: Duration = Duration::from_secs(120);

/// One thing that every store must do.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: fn(Trial) -> BoxFuture<'static, ()>,
}

impl Case {
    /// What it shows, as a sentence in snake case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it on a store. Needs a tokio runtime with time and, where the store needs them, sockets.
    ///
    /// # Panics
    /// When the store does not do it, or not within two minutes.
    pub async fn run(&self, store: impl Into<UnderTest>) {
        let UnderTest { store, kept } = store.into();
        let run = (self.run)(Trial::new(store));
        let in_time = tokio::time::timeout(LONGEST, run).await;
        drop(kept);
        assert!(in_time.is_ok(), "`{}` was not done within {LONGEST:?}", self.name);
    }
}

/// Lists the cases once, for the table and for the macro that makes a test of each.
macro_rules! suite {
    ($dollar:tt $( $group:ident { $( $case:ident, )+ } )+) => {
        const CASES: &[Case] = &[$($(
            Case { name: stringify!($case), run: |trial| Box::pin($group::$case(trial)) },
        )+)+];

        /// Makes a test of each case, named as a sentence, for a store that the factory gives: an
        /// `|| async { … }` that returns an [`EventStore`](headwater_core::store::EventStore) or an
        /// [`UnderTest`](crate::conformance::UnderTest).
        ///
        /// The tests run on a runtime of their own with several threads. Each calls the factory once.
        #[macro_export]
        macro_rules! event_store_conformance {
            ($dollar factory:expr) => {
                $($(
                    #[test]
                    fn $case() {
                        $dollar crate::conformance::run_blocking(stringify!($case), $dollar factory);
                    }
                )+)+
            };
        }
    };
}

suite! { $
    append {
        an_aggregate_without_events_has_an_empty_history,
        the_first_append_creates_the_aggregate,
        the_first_append_may_hold_several_events,
        a_second_creator_meets_a_conflict,
        a_stale_head_is_a_conflict_and_stores_nothing,
        a_head_of_the_future_is_a_conflict,
        an_append_after_a_conflict_holds_with_the_new_head,
        revisions_have_no_gaps_whatever_the_size_of_the_appends,
        a_head_remembers_the_last_32_events,
    }
    repeat {
        a_repeated_append_is_answered_with_the_original_head,
        a_repeated_append_is_recognised_after_later_events,
        a_repeated_append_is_recognised_with_a_newer_head,
        a_command_decided_anew_with_other_events_is_still_a_repeated_append,
        an_event_id_of_another_aggregate_is_not_taken_for_stored,
        the_same_append_sent_by_many_at_once_is_stored_once,
    }
    race {
        of_many_creators_exactly_one_wins,
        of_many_appenders_behind_one_head_exactly_one_wins,
        appends_to_many_aggregates_at_once_do_not_disturb_each_other,
        every_appender_that_tries_again_gets_its_turn,
        a_read_beside_appends_shows_a_whole_beginning,
        a_dropped_append_stores_all_of_its_events_or_none,
    }
    read {
        a_read_shows_the_part_that_was_asked_for,
        a_history_of_ten_thousand_events_is_read_whole,
        a_leader_read_shows_what_was_just_appended,
        a_fast_read_catches_up,
        a_read_up_to_a_known_head_shows_everything_up_to_it,
        a_store_in_good_health_says_so,
    }
    fidelity {
        ids_of_any_characters_name_aggregates_of_their_own,
        an_id_that_begins_like_another_is_another_aggregate,
        the_same_id_in_two_tenants_is_two_aggregates,
        the_same_id_in_two_aggregate_types_is_two_aggregates,
        event_names_and_schema_versions_come_back_as_written,
        metadata_comes_back_as_written,
        times_come_back_to_the_microsecond_and_in_any_order,
        json_data_comes_back_as_written,
        data_of_another_content_type_comes_back_as_written,
    }
    limits {
        an_append_of_the_largest_allowed_number_of_events_is_stored_whole,
        an_append_of_too_many_events_is_too_large_or_stored_whole,
        an_event_of_two_hundred_kibibytes_comes_back,
        an_event_that_is_too_large_is_refused_or_stored_whole,
        one_event_that_is_too_large_takes_its_whole_append_with_it,
    }
    subscribe {
        a_subscription_from_the_beginning_shows_what_is_stored_and_what_follows,
        a_subscription_after_a_sequence_goes_on_right_behind_it,
        a_subscription_from_now_shows_only_what_follows,
        a_subscription_from_a_time_goes_by_the_time_of_storing,
        a_subscription_from_a_time_to_come_shows_what_follows,
        a_subscription_can_be_limited_to_an_aggregate_type,
        a_subscription_can_be_limited_to_one_aggregate,
        a_subscription_can_be_limited_to_event_names,
        a_subscription_of_everything_shows_every_aggregate_type,
        nothing_is_lost_or_doubled_where_the_past_meets_the_present,
        a_reader_that_comes_late_still_gets_everything,
        refused_appends_never_show_in_a_subscription,
        repeated_appends_show_once_in_a_subscription,
        subscriptions_that_are_dropped_leave_the_store_in_good_health,
    }
}

/// Every case, in reading order.
#[must_use]
pub fn cases() -> &'static [Case] {
    CASES
}

/// Runs every case, each on a store that the factory gives, one after the other. For places where
/// [`event_store_conformance!`](crate::event_store_conformance) does not fit.
///
/// ```
/// # #[tokio::main]
/// # async fn main() {
/// use headwater_core::store::MemoryStore;
///
/// headwater_testkit::conformance::run_all(|| async { MemoryStore::new() }).await;
/// # }
/// ```
///
/// # Panics
/// After the last case, when some failed; the message names each of them with its reason.
pub async fn run_all<F, S>(factory: impl Fn() -> F)
where
    F: Future<Output = S>,
    S: Into<UnderTest>,
{
    let mut failures = Vec::new();
    for case in cases() {
        let run = async { case.run(factory().await).await };
        if let Err(panic) = AssertUnwindSafe(run).catch_unwind().await {
            failures.push(format!("{}: {}", case.name, reason(&*panic)));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), CASES.len(), failures.join("\n"));
}

/// What the macro's tests call: one case on a runtime of its own.
#[doc(hidden)]
pub fn run_blocking<F, S>(name: &str, factory: impl FnOnce() -> F)
where
    F: Future<Output = S>,
    S: Into<UnderTest>,
{
    let case = CASES.iter().find(|case| case.name == name).expect("the macro and the table are made from one list");
    on_a_runtime(async { case.run(factory().await).await });
}

/// Runs a test's future on a runtime of its own with several threads.
pub(super) fn on_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs nothing that a test process lacks")
        .block_on(test);
}

/// The message of a panic.
pub(super) fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
