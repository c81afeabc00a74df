//! What every event store must do, on JetStream.

mod common;

use headwater_testkit::TestServer;
use headwater_testkit::conformance::UnderTest;

headwater_testkit::event_store_conformance!(|| async {
    let server = TestServer::start().await;
    let store = common::store(&server).await;
    UnderTest::new(store).keeping(server)
});
