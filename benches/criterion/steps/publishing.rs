//! From a value to the bytes of a message and back, and what a publisher adds to its port.

use std::hint::black_box;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use headwater_nats_messaging::codec::{Codecs, Json};
use headwater_nats_messaging::envelope::{Attributes, Envelope, Received};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::{Acknowledgement, Publish, PublishError, Published};
use headwater_nats_messaging::publisher::Publisher;
use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::time::Instant;

use super::Step;

/// About 200 bytes of JSON.
#[derive(Serialize, Deserialize)]
struct Order {
    order: String,
    customer: String,
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    price: String,
    quantity: u32,
}

fn order() -> Order {
    let line = |name: &str| Line { name: name.to_owned(), price: "5.99".to_owned(), quantity: 2 };
    let lines = vec![line("Espresso beans 250 g"), line("Filter paper, 100 sheets")];
    Order { order: "order-12345".to_owned(), customer: "customer-4711".to_owned(), lines }
}

/// A port that stores nothing and says so at once.
#[derive(Debug)]
struct Nowhere;

impl Publish for Nowhere {
    fn send(&self, message: Message, _: Instant) -> BoxFuture<'_, Result<Acknowledgement, PublishError>> {
        black_box(message);
        let published = Published { stream: "BENCH".to_owned(), sequence: 1, duplicate: false };
        ready(Ok(ready(Ok(published)).boxed())).boxed()
    }
}

pub(super) fn steps() -> Vec<Step> {
    let mut attributes = Attributes::new("0197c2b4-7d2e-7c31-9c5e-0d2f6a1b3c4d", "/shop/till", "order-placed");
    attributes.time = Some(chrono::Utc::now());
    attributes.correlation_id = Some(attributes.id.clone());
    let named = [
        (Envelope::CloudEvents, "envelope: write, structured", "envelope: read, structured"),
        (Envelope::CloudEventsBinary, "envelope: write, binary", "envelope: read, binary"),
        (Envelope::Flat, "envelope: write, flat", "envelope: read, flat"),
    ];
    let mut steps = Vec::new();
    for (envelope, write, read) in named {
        let (attributes, value, codecs) = (attributes.clone(), order(), Codecs::default());
        let message = envelope.write("orders.placed", &attributes, &value, &Json).expect("a good event");
        steps.push(super::step(write, move || {
            let written = envelope.write("orders.placed", black_box(&attributes), black_box(&value), &Json);
            black_box(written).expect("a good event");
        }));
        steps.push(super::step(read, move || {
            let received = Received::read(black_box(&message)).expect("a good event");
            black_box(received.payload::<Order>(&codecs)).expect("an order");
        }));
    }
    steps.push(super::step("publisher: 100 messages enqueued and flushed, over a port that stores nothing", enqueue()));
    steps
}

fn enqueue() -> impl FnMut() + 'static {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let publisher = Publisher::builder(Arc::new(Nowhere), "/shop/till").build().expect("good settings");
    let value = order();
    move || {
        runtime.block_on(async {
            for _ in 0..100 {
                drop(publisher.enqueue("orders.placed", black_box(&value)).await.expect("a place"));
            }
            publisher.flush().await.expect("nothing fails");
        });
    }
}
