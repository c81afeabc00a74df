//! What every transport must do, in memory and on NATS, and what the suite says of one that does not.

/// A transport that passes everything on to the broker in memory, and forgets the ids of messages on the way.
mod forgetful {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use headwater_nats_messaging::conformance::{self, UnderTest, cases};
    use headwater_nats_messaging::consume::{Consume, ConsumeError, ConsumerConfig, Subscription};
    use headwater_nats_messaging::exchange::{Exchange, ListenError, RequestError, Requests};
    use headwater_nats_messaging::memory::MemoryBroker;
    use headwater_nats_messaging::message::{MESSAGE_ID, Message};
    use headwater_nats_messaging::publish::{Acknowledgement, Publish, PublishError};
    use tokio::time::Instant;

    #[derive(Debug)]
    struct Forgetful(MemoryBroker);

    impl Publish for Forgetful {
        fn send(&self, mut message: Message, until: Instant) -> BoxFuture<'_, Result<Acknowledgement, PublishError>> {
            message.headers.remove(MESSAGE_ID);
            self.0.send(message, until)
        }
    }

    impl Consume for Forgetful {
        fn open(&self, config: ConsumerConfig) -> BoxFuture<'_, Result<Subscription, ConsumeError>> {
            self.0.open(config)
        }

        fn stream_of(&self, subject: String) -> BoxFuture<'_, Result<Option<String>, ConsumeError>> {
            self.0.stream_of(subject)
        }
    }

    impl Exchange for Forgetful {
        fn request(&self, message: Message, until: Instant) -> BoxFuture<'_, Result<Message, RequestError>> {
            self.0.request(message, until)
        }

        fn tell(&self, message: Message) -> BoxFuture<'_, Result<(), RequestError>> {
            self.0.tell(message)
        }

        fn listen(&self, subject: String, group: Option<String>) -> BoxFuture<'_, Result<Requests, ListenError>> {
            self.0.listen(subject, group)
        }
    }

    #[tokio::test]
    async fn every_case_that_fails_is_named_and_no_other() {
        let broker = MemoryBroker::new();
        let under_test = UnderTest::new(Forgetful(broker.clone()), broker);
        let told = AssertUnwindSafe(conformance::run(under_test)).catch_unwind().await.unwrap_err();
        let told = told.downcast_ref::<String>().unwrap();
        let failed = [
            "a_message_with_a_known_id_is_not_stored_again",
            "a_message_comes_as_it_was_published",
            "the_time_at_which_a_stream_was_made_is_known",
        ];
        assert_eq!(*told, format!("3 of {} cases failed: {}", cases().len(), failed.join(", ")));
    }
}

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
