//! Messages that come twice are handled once, as far as an inbox knows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use headwater_nats_messaging::bucket::{Bucket, BucketError, BucketLimits, Entry, MemoryBucket};
use headwater_nats_messaging::consume::ConsumerConfig;
use headwater_nats_messaging::inbox::Inbox;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::Processor;

use crate::support::working::{Notes, broker, info, noting, quick, start, store, until};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_message_that_is_stored_twice_is_handled_once_by_each_consumer_and_acknowledged_twice() {
    let broker = broker();
    let inbox = Inbox::new(MemoryBucket::new(BucketLimits::default().max_age(Duration::from_secs(3600))));
    let (mailed, billed) = (Notes::default(), Notes::default());
    let mailer = start(&broker, quick().inbox(inbox.clone()), noting(&mailed)).await;
    let config = ConsumerConfig::new("ORDERS", "billing");
    let billing = Processor::new(broker.clone(), config, noting(&billed)).settings(quick().inbox(inbox));
    let billing = billing.start().await.unwrap();
    for wait in [121, 121, 3601] {
        store(&broker, Message::new("orders.a", "x").id("order-1")).await;
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
    until("all came", || mailer.stats().deliveries == 3 && billing.stats().deliveries == 3).await;
    assert_eq!((mailed.len(), billed.len(), mailer.stats().duplicates), (1, 1, 2));
    store(&broker, Message::new("orders.a", "x").id("order-1")).await;
    until("it is forgotten after its time", || mailer.stats().handled == 2).await;
    mailer.shutdown(SOON).await;
    billing.shutdown(SOON).await;
    assert_eq!(info(&broker).await.ack_floor, 4);
}

/// A bucket that can be out of reach.
#[derive(Debug, Clone, Default)]
struct Shaky {
    bucket: MemoryBucket,
    is_away: Arc<AtomicBool>,
}

impl Shaky {
    fn reach(&self) -> Result<&MemoryBucket, BucketError> {
        let is_away = self.is_away.load(Ordering::SeqCst);
        if is_away { Err(BucketError::Unavailable("away".into())) } else { Ok(&self.bucket) }
    }
}

impl Bucket for Shaky {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Entry>, BucketError>> {
        async move { self.reach()?.get(key).await }.boxed()
    }

    fn create(&self, key: String, value: Bytes) -> BoxFuture<'_, Result<u64, BucketError>> {
        async move { self.reach()?.create(key, value).await }.boxed()
    }

    fn update(&self, key: String, value: Bytes, revision: u64) -> BoxFuture<'_, Result<u64, BucketError>> {
        async move { self.reach()?.update(key, value, revision).await }.boxed()
    }

    fn delete(&self, key: String, revision: u64) -> BoxFuture<'_, Result<(), BucketError>> {
        async move { self.reach()?.delete(key, revision).await }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_inbox_out_of_reach_holds_messages_up_and_that_is_no_attempt() {
    let broker = broker();
    let bucket = Shaky::default();
    bucket.is_away.store(true, Ordering::SeqCst);
    let notes = Notes::default();
    let running = start(&broker, quick().inbox(Inbox::new(bucket.clone())), noting(&notes)).await;
    store(&broker, Message::new("orders.a", "x").id("order-1")).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let stats = running.stats();
    assert_eq!((stats.handled, stats.failures, stats.deliveries, stats.in_hand), (0, 0, 1, 1));
    bucket.is_away.store(false, Ordering::SeqCst);
    until("it is handled", || running.stats().handled == 1).await;
    running.shutdown(SOON).await;
    assert_eq!(info(&broker).await.ack_floor, 1);
}
