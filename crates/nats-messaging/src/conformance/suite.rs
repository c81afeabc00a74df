//! The list of cases, and the way to run them.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::trial::Trial;
use super::{UnderTest, acknowledge, consume, exchange, publish, settings};

/// How long one case may take. Most take milliseconds; this is for a busy machine with slow disks.
const LONGEST: Duration = Duration::from_secs(60);

/// One thing that every transport must do.
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

    /// Runs it on a transport. Needs a tokio runtime with time and, where the transport needs them, sockets.
    ///
    /// # Panics
    ///
    /// When the transport does not do it, or not within a minute.
    pub async fn run(&self, under_test: UnderTest) {
        let UnderTest { transport, streams, kept } = under_test;
        let in_time = tokio::time::timeout(LONGEST, (self.run)(Trial::new(transport, streams))).await;
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

        /// Makes a test of each case, named as a sentence, for a transport that the factory gives: an `|| async { … }` that
        /// returns an [`UnderTest`](crate::conformance::UnderTest).
        ///
        /// The tests run on a runtime of their own with several threads. Each calls the factory once.
        #[macro_export]
        macro_rules! transport_conformance {
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
    publish {
        a_message_is_stored_in_the_stream_that_takes_its_subject,
        messages_are_stored_in_the_order_in_which_they_were_handed_over,
        a_message_with_a_known_id_is_not_stored_again,
        an_id_is_forgotten_after_the_duplicate_window,
        a_subject_that_no_stream_takes_is_told,
        a_line_break_in_a_header_is_refused_and_the_next_message_is_stored,
        a_subject_that_is_none_is_refused,
        a_message_that_is_too_large_is_refused,
        the_stream_that_takes_a_pattern_whole_is_found,
    }
    consume {
        a_message_comes_as_it_was_published,
        filters_with_wildcards_choose_what_comes,
        messages_come_in_order_however_many_there_are,
        readers_of_one_consumer_share_its_messages,
        every_consumer_of_a_stream_gets_every_message,
        a_consumer_that_is_opened_again_goes_on_where_it_stopped,
        no_more_messages_are_unacknowledged_than_allowed,
        a_stopped_subscription_ends_after_what_was_fetched,
        a_deleted_consumer_is_told_as_gone,
        what_is_known_of_a_consumer_can_be_asked,
    }
    acknowledge {
        an_acknowledged_message_does_not_come_again,
        a_message_that_nobody_acknowledges_comes_again_after_its_time,
        a_nak_brings_a_message_back_at_once,
        a_nak_with_a_delay_brings_a_message_back_after_it,
        a_terminated_message_does_not_come_again,
        a_message_in_progress_keeps_its_reader,
        a_double_ack_is_confirmed,
        an_acknowledgement_of_an_earlier_delivery_counts,
        the_waits_between_deliveries_follow_the_backoff,
        a_message_is_delivered_no_more_often_than_allowed,
    }
    settings {
        a_new_consumer_begins_where_it_is_told,
        where_a_consumer_once_began_makes_no_difference_later,
        settings_that_may_change_are_taken_over,
        settings_that_cannot_be_had_are_refused_by_name,
        a_consumer_of_a_stream_that_is_not_there_is_told,
        a_consumer_that_nobody_reads_goes_after_its_time,
        the_time_at_which_a_stream_was_made_is_known,
    }
    exchange {
        a_request_is_answered,
        a_request_that_nobody_listens_to_is_told,
        a_request_that_nobody_answers_ends_at_its_deadline,
        listeners_of_one_group_share_the_messages,
        listeners_without_a_group_get_every_message,
        a_message_that_is_told_reaches_those_who_listen,
        a_message_that_cannot_travel_is_refused,
        who_leaves_gets_what_was_on_its_way_and_then_the_end,
        who_stops_listening_is_gone,
    }
}

/// Every case, in reading order.
#[must_use]
pub fn cases() -> &'static [Case] {
    CASES
}

/// How many cases [`run`] runs at once: most of them wait most of their time.
const AT_ONCE: usize = 8;

/// Runs every case on one transport.
///
/// Needs a tokio runtime with time and, where the transport needs them, sockets.
///
/// # Panics
///
/// When all cases have run and some of them failed: with their names. What failed in each is what it panicked with.
pub async fn run(under_test: UnderTest) {
    let UnderTest { transport, streams, kept } = under_test;
    let running = cases().iter().map(|case| {
        let under_test = UnderTest { transport: transport.clone(), streams: streams.clone(), kept: Vec::new() };
        AssertUnwindSafe(case.run(under_test)).catch_unwind().map(|done| done.err().map(|_| case.name()))
    });
    let failed: Vec<_> = stream::iter(running).buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
    drop((transport, streams, kept));
    assert!(failed.is_empty(), "{} of {} cases failed: {}", failed.len(), cases().len(), failed.join(", "));
}

/// What the macro's tests call: one case on a runtime of its own.
#[doc(hidden)]
pub fn run_blocking<F>(name: &str, factory: impl FnOnce() -> F)
where
    F: Future<Output = UnderTest>,
{
    let case = CASES.iter().find(|case| case.name == name).expect("the macro and the table are made from one list");
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs nothing that a test process lacks")
        .block_on(async { case.run(factory().await).await });
}
