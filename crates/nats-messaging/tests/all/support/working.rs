//! Handlers, brokers and waiting for the tests of processing, dead letters, inbox and health.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_nats_messaging::consume::{ConsumerConfig, ConsumerInfo, Delivery};
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::{Processing, Processor, Retry, RunningProcessor};
use headwater_nats_messaging::publish::{Publish, Published};
use headwater_nats_messaging::router::handler::{EventHandler, Outcome};
use tokio::time::{Instant, sleep, timeout};

/// A handler that is a function.
pub struct Function<F>(pub(crate) F);

impl<F, X> EventHandler for Function<F>
where
    F: Fn(Arc<Delivery>) -> X + Send + Sync + 'static,
    X: Future<Output = Outcome> + Send + 'static,
{
    fn handle(&self, delivery: Arc<Delivery>) -> BoxFuture<'static, Outcome> {
        (self.0)(delivery).boxed()
    }
}

pub fn retry(why: &str) -> Outcome {
    Outcome::Retry { error: why.into(), after: None }
}

pub fn poison(why: &str) -> Outcome {
    Outcome::Poison { reason: why.to_owned() }
}

/// Notes what is handled, by the body, in order.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn note(&self, delivery: &Delivery) -> String {
        let body = body(delivery);
        self.add(&body);
        body
    }

    pub fn add(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for text in self.all() {
            *counts.entry(text).or_default() += 1;
        }
        counts
    }
}

pub fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.message.body).into_owned()
}

/// A handler that notes what it is given and is done with it.
pub fn noting(notes: &Notes) -> impl EventHandler + use<> {
    let notes = notes.clone();
    Function(move |delivery: Arc<Delivery>| {
        notes.note(&delivery);
        async { Outcome::Done }
    })
}

/// A broker with the streams ORDERS and DEAD.
pub fn broker() -> MemoryBroker {
    let broker = MemoryBroker::new();
    broker.stream("ORDERS", ["orders.>"]).unwrap();
    broker.stream("DEAD", ["dead.>"]).unwrap();
    broker
}

pub fn mailer() -> ConsumerConfig {
    ConsumerConfig::new("ORDERS", "mailer")
}

/// Quick retries.
pub fn quick() -> Processing {
    Processing::default().retry(Retry::default().attempts(3).first(Duration::from_millis(10)))
}

pub async fn store(publish: &impl Publish, message: Message) -> Published {
    publish.send(message, Instant::now() + Duration::from_secs(5)).await.unwrap().await.unwrap()
}

/// Stores a message at `orders.{key}` for each body.
pub async fn store_all<'a>(publish: &impl Publish, messages: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (key, body) in messages {
        store(publish, Message::new(format!("orders.{key}"), body.to_owned())).await;
    }
}

pub async fn start(broker: &MemoryBroker, settings: Processing, handler: impl EventHandler) -> RunningProcessor {
    Processor::new(broker.clone(), mailer(), handler).settings(settings).start().await.unwrap()
}

/// Waits until it holds; a minute at most, of whatever clock there is.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(3600), waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// The same by the clock of the wall.
pub async fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    headwater_testkit::wait_until(Duration::from_secs(30), what, || std::future::ready(holds().then_some(()))).await;
}

/// How the mailer's consumer stands.
pub async fn info(broker: &MemoryBroker) -> ConsumerInfo {
    use headwater_nats_messaging::consume::Consume;
    let asking = ConsumerConfig { buffer: std::num::NonZeroU32::MIN, ..mailer() };
    let subscription = broker.open(asking).await.unwrap();
    subscription.control.stop();
    subscription.control.info().await.unwrap()
}
