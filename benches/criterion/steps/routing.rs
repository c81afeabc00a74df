//! From a message to its handler, among a thousand patterns.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_nats_messaging::consume::{AckError, Acknowledge, Delivery, DeliveryContext, Verdict};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::router::{EventHandler as _, Outcome, Pattern, Router, Tree};

use super::Step;

const PATTERNS: usize = 1_000;

/// Names in the shape that services use, a tenth of them with a wildcard in the middle and a tenth with an open end.
fn pattern(number: usize) -> String {
    let (area, thing) = (number % 25, number / 25);
    match number % 10 {
        0 => format!("area{area}.*.thing{thing}"),
        1 => format!("area{area}.thing{thing}.>"),
        _ => format!("area{area}.thing{thing}.happened"),
    }
}

/// Nobody listens to what becomes of the message.
struct Nobody;

impl Acknowledge for Nobody {
    fn tell(&self, _: &str, _: &Verdict) -> BoxFuture<'_, Result<(), AckError>> {
        async { Ok(()) }.boxed()
    }

    fn tell_and_wait(&self, _: &str, _: &Verdict, _: Duration) -> BoxFuture<'_, Result<(), AckError>> {
        async { Ok(()) }.boxed()
    }
}

pub(super) fn steps() -> Vec<Step> {
    let subjects: Vec<_> = (0..PATTERNS).map(|number| pattern(number).replace(['*', '>'], "7")).collect();
    let mut tree = Tree::default();
    for number in 0..PATTERNS {
        tree.insert(&Pattern::new(pattern(number)).expect("a pattern"), number);
    }
    let (mut next, found_in) = (0, subjects.clone());
    let find = move || {
        next = (next + 1) % PATTERNS;
        let mut found = 0;
        tree.each(black_box(&found_in[next]), &mut |_| found += 1);
        assert!(found > 0);
    };

    let router = (0..PATTERNS)
        .fold(Router::<()>::new().service("bench"), |router, number| router.on_event(pattern(number), || async {}));
    let handler = router.into_event_handler().expect("a good router");
    let deliveries: Vec<_> = subjects.iter().map(|subject| delivery(subject)).collect();
    let mut next = 0;
    let dispatch = move || {
        next = (next + 1) % PATTERNS;
        let outcome = handler.handle(Arc::clone(black_box(&deliveries[next]))).now_or_never();
        assert!(matches!(outcome, Some(Outcome::Done)));
    };
    vec![
        super::step("router: find the handlers among 1 000 patterns", find),
        super::step("router: dispatch among 1 000 patterns", dispatch),
    ]
}

fn delivery(subject: &str) -> Arc<Delivery> {
    let context = DeliveryContext {
        stream: "BENCH".into(),
        consumer: "bench".into(),
        sequence: 1,
        deliveries: 1,
        timestamp: Utc::now(),
        pending: 0,
    };
    Arc::new(Delivery::new(Message::new(subject, r#"{"amount":7}"#), context, Arc::new(Nobody), String::new()))
}
