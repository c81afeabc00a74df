//! The conformance suite on the store in memory.

use headwater_core::store::MemoryStore;

headwater_testkit::event_store_conformance!(|| async { MemoryStore::new() });

/// Nothing a case does may depend on being alone: stores of other programs stand on journals that are in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_cases_can_share_one_journal() {
    let shared = MemoryStore::new();
    headwater_testkit::conformance::run_all(|| async { shared.clone() }).await;
    assert!(shared.len() > 10_000, "{} events", shared.len());
}
