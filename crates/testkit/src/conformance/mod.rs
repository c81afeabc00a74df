//! What every event store must do, as tests: run them on yours. What a store of snapshots must do is in
//! [`snapshots`].
//!
//! Each case is a test of its own, named as a sentence. In the tests of a store:
//!
//! ```
//! # use headwater_core::store::MemoryStore;
//! headwater_testkit::event_store_conformance!(|| async { MemoryStore::new() });
//! # fn main() {}
//! ```
//!
//! The factory is called once for each case and gives a store. Cases use aggregate types and ids of their own, so the
//! stores may all stand on one journal. What has to live as long as the store, such as a server, goes along with
//! [`UnderTest::keeping`].
//!
//! The suite needs a store in good health: a case fails on `Unavailable` and `OutcomeUnknown`. What a store does when
//! its server dies is a matter for its own tests.

mod append;
mod fidelity;
mod limits;
mod race;
mod read;
mod repeat;
pub mod snapshots;
mod subscribe;
mod suite;
mod trial;
mod under_test;

#[doc(hidden)]
pub use snapshots::run_snapshots_blocking;
pub use snapshots::{SnapshotCase, SnapshotsUnderTest, run_snapshot_cases, snapshot_cases};
#[doc(hidden)]
pub use suite::run_blocking;
pub use suite::{Case, cases, run_all};
pub use under_test::UnderTest;
