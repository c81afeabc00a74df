//! What every event store must do, on JetStream.

use crate::common;

use headwater_testkit::TestServer;
use headwater_testkit::conformance::UnderTest;

headwater_testkit::event_store_conformance!(|| async {
    let server = TestServer::start().await;
    let store = common::store(&server).await;
    UnderTest::new(store).keeping(server)
});

/// What every snapshot store must do, on key-value.
mod snapshots {
    use headwater_nats_store::{JetStreamSnapshots, SnapshotConfig};
    use headwater_testkit::TestServer;
    use headwater_testkit::conformance::SnapshotsUnderTest;

    use super::common;

    headwater_testkit::snapshot_store_conformance!(|| async {
        let server = TestServer::start().await;
        let connection = common::connect(&server.url()).await;
        let snapshots = JetStreamSnapshots::open(connection, SnapshotConfig::beside(&common::config())).await;
        SnapshotsUnderTest::new(snapshots.expect("a server to keep snapshots")).keeping(server)
    });
}
