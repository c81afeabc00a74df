//! What every snapshot store must do, as tests: run them on yours.
//!
//! Each case is a test of its own, named as a sentence. In the tests of a snapshot store:
//!
//! ```
//! # use headwater_core::store::MemorySnapshots;
//! headwater_testkit::snapshot_store_conformance!(|| async { MemorySnapshots::new() });
//! # fn main() {}
//! ```
//!
//! The factory is called once for each case and gives a store. Cases use aggregate types of their own, so the stores may
//! all keep their snapshots in one place. What has to live as long as the store, such as a server, goes along with
//! [`SnapshotsUnderTest::keeping`].
//!
//! Snapshots are a cache: a store may show the one before for a while, as a replica that is behind does. What the suite
//! insists on is that nothing comes back that was never saved for the aggregate, whole and byte for byte.

mod cases;
mod suite;
mod trial;
mod under_test;

#[doc(hidden)]
pub use suite::run_snapshots_blocking;
pub use suite::{SnapshotCase, run_snapshot_cases, snapshot_cases};
pub use under_test::SnapshotsUnderTest;
