//! The snapshot store that is put to the test, and what it stands on.

use std::any::Any;
use std::sync::Arc;

use headwater_core::store::SnapshotStore;

/// A snapshot store to run the suite on, with what must live as long as it does.
///
/// Every [`SnapshotStore`] becomes one with `into()`.
///
/// ```
/// use headwater_core::store::MemorySnapshots;
/// use headwater_testkit::conformance::SnapshotsUnderTest;
///
/// let folder = tempfile::tempdir()?;
/// let snapshots = SnapshotsUnderTest::new(MemorySnapshots::new()).keeping(folder);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub struct SnapshotsUnderTest {
    // Dropped in this order: the store says goodbye before its server goes.
    pub(super) store: Arc<dyn SnapshotStore>,
    pub(super) kept: Vec<Box<dyn Any + Send>>,
}

impl SnapshotsUnderTest {
    /// This store, standing on nothing else.
    pub fn new(store: impl SnapshotStore) -> Self {
        Self { store: Arc::new(store), kept: Vec::new() }
    }

    /// The same, with something that is dropped after the store.
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }
}

impl<S: SnapshotStore> From<S> for SnapshotsUnderTest {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl std::fmt::Debug for SnapshotsUnderTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotsUnderTest").field("store", &self.store).field("kept", &self.kept.len()).finish()
    }
}
