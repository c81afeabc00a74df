//! The store that is put to the test, and what it stands on.

use std::any::Any;
use std::sync::Arc;

use headwater_core::store::EventStore;

/// A store to run the suite on, with what must live as long as it does.
///
/// Every [`EventStore`] becomes one with `into()`.
///
/// ```
/// use headwater_core::store::MemoryStore;
/// use headwater_testkit::conformance::UnderTest;
///
/// let folder = tempfile::tempdir()?;
/// let store = UnderTest::new(MemoryStore::new()).keeping(folder);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub struct UnderTest {
    // Dropped in this order: the store says goodbye before its server goes.
    pub(super) store: Arc<dyn EventStore>,
    pub(super) kept: Vec<Box<dyn Any + Send>>,
}

impl UnderTest {
    /// This store, standing on nothing else.
    pub fn new(store: impl EventStore) -> Self {
        Self { store: Arc::new(store), kept: Vec::new() }
    }

    /// The same, with something that is dropped after the store.
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }
}

impl<S: EventStore> From<S> for UnderTest {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl std::fmt::Debug for UnderTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnderTest").field("store", &self.store).field("kept", &self.kept.len()).finish()
    }
}
