//! What every transport must do, in memory and on NATS.

mod in_memory {
    use headwater_nats_messaging::conformance::UnderTest;
    use headwater_nats_messaging::memory::MemoryBroker;

    headwater_nats_messaging::transport_conformance!(|| async {
        let broker = MemoryBroker::new();
        UnderTest::new(broker.clone(), broker)
    });
}

mod on_nats {
    use headwater_nats_messaging::conformance::UnderTest;
    use headwater_testkit::TestServer;

    use crate::support::{Raw, jetstream};

    headwater_nats_messaging::transport_conformance!(|| async {
        let server = TestServer::start().await;
        let streams = Raw::connect(&server.url()).await;
        UnderTest::new(jetstream(&server).await, streams).keeping(server)
    });
}
