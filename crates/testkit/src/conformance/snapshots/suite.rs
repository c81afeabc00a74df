//! The list of cases, and the ways to run them.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::trial::Trial;
use super::{SnapshotsUnderTest, cases};
use crate::conformance::suite::{LONGEST, on_a_runtime, reason};

/// One thing that every snapshot store must do.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotCase {
    name: &'static str,
    run: fn(Trial) -> BoxFuture<'static, ()>,
}

impl SnapshotCase {
    /// What it shows, as a sentence in snake case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it on a snapshot store. Needs a tokio runtime with time and, where the store needs them, sockets.
    ///
    /// # Panics
    /// When the store does not do it, or not within two minutes.
    pub async fn run(&self, store: impl Into<SnapshotsUnderTest>) {
        let SnapshotsUnderTest { store, kept } = store.into();
        let in_time = tokio::time::timeout(LONGEST, (self.run)(Trial::new(store))).await;
        drop(kept);
        assert!(in_time.is_ok(), "`{}` was not done within {LONGEST:?}", self.name);
    }
}

/// Lists the cases once, for the table and for the macro that makes a test of each.
macro_rules! suite {
    ($dollar:tt $( $case:ident, )+) => {
        const CASES: &[SnapshotCase] = &[$(
            SnapshotCase { name: stringify!($case), run: |trial| Box::pin(cases::$case(trial)) },
        )+];

        /// Makes a test of each case, named as a sentence, for a snapshot store that the factory gives: an
        /// `|| async { … }` that returns a [`SnapshotStore`](headwater_core::store::SnapshotStore) or a
        /// [`SnapshotsUnderTest`](crate::conformance::SnapshotsUnderTest).
        ///
        /// The tests run on a runtime of their own with several threads. Each calls the factory once.
        #[macro_export]
        macro_rules! snapshot_store_conformance {
            ($dollar factory:expr) => {
                $(
                    #[test]
                    fn $case() {
                        $dollar crate::conformance::run_snapshots_blocking(stringify!($case), $dollar factory);
                    }
                )+
            };
        }
    };
}

suite! { $
    an_aggregate_without_a_snapshot_has_none,
    a_snapshot_comes_back_byte_for_byte,
    a_snapshot_of_two_hundred_kibibytes_comes_back,
    a_newer_snapshot_takes_the_place_of_the_one_before,
    the_same_snapshot_may_be_saved_again,
    ids_of_any_characters_have_snapshots_of_their_own,
    the_same_id_in_two_tenants_and_types_has_snapshots_of_its_own,
    of_many_saves_at_once_one_is_left_and_it_is_whole,
    snapshots_of_many_aggregates_are_saved_and_loaded_at_once,
    a_snapshot_that_is_too_large_is_refused_or_comes_back_whole,
    a_dropped_save_leaves_the_one_before_or_the_newer_one_whole,
}

/// Every case, in reading order.
#[must_use]
pub fn snapshot_cases() -> &'static [SnapshotCase] {
    CASES
}

/// Runs every case, each on a snapshot store that the factory gives, one after the other. For places where
/// [`snapshot_store_conformance!`](crate::snapshot_store_conformance) does not fit.
///
/// # Panics
/// After the last case, when some failed; the message names each of them with its reason.
pub async fn run_snapshot_cases<F, S>(factory: impl Fn() -> F)
where
    F: Future<Output = S>,
    S: Into<SnapshotsUnderTest>,
{
    let mut failures = Vec::new();
    for case in CASES {
        let run = async { case.run(factory().await).await };
        if let Err(panic) = AssertUnwindSafe(run).catch_unwind().await {
            failures.push(format!("{}: {}", case.name, reason(&*panic)));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), CASES.len(), failures.join("\n"));
}

/// What the macro's tests call: one case on a runtime of its own.
#[doc(hidden)]
pub fn run_snapshots_blocking<F, S>(name: &str, factory: impl FnOnce() -> F)
where
    F: Future<Output = S>,
    S: Into<SnapshotsUnderTest>,
{
    let case = CASES.iter().find(|case| case.name == name).expect("the macro and the table are made from one list");
    on_a_runtime(async { case.run(factory().await).await });
}
