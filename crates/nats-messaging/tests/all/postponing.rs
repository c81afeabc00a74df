//! Messages that are put off: in hand, in their order, and no attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use headwater_nats_messaging::consume::Delivery;
use headwater_nats_messaging::processing::{AfterLast, Key, Processing, Retry};
use headwater_nats_messaging::router::handler::Outcome;

use crate::support::working::{Function, Notes, body, broker, quick, start, store_all, until};

fn postpone(after: Duration, tried: bool) -> Outcome {
    Outcome::Postpone { error: "not now".into(), after, tried }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_put_off_stays_in_hand_and_that_is_no_attempt() {
    let (broker, notes, tries) = (broker(), Notes::default(), Arc::new(AtomicU32::new(0)));
    store_all(&broker, [("a", "x")]).await;
    let noted = notes.clone();
    let handler = Function(move |delivery: Arc<Delivery>| {
        noted.add(&format!("attempt {}", delivery.context.deliveries));
        let is_early = tries.fetch_add(1, Ordering::SeqCst) < 5;
        // Longer than the consumer waits for an acknowledgement.
        async move { if is_early { postpone(Duration::from_secs(100), false) } else { Outcome::Done } }
    });
    let running = start(&broker, quick().retry(Retry::default().attempts(1)), handler).await;
    until("it is handled", || running.stats().handled == 1).await;
    let stats = running.stats();
    assert_eq!((stats.postponed, stats.failures, stats.deliveries), (5, 0, 1), "{stats:?}");
    assert_eq!(notes.counts().into_iter().collect::<Vec<_>>(), [("attempt 1".to_owned(), 6)]);
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_tried_is_excused_only_so_long() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let handler = Function(|_| async { postpone(Duration::from_secs(1), true) });
    let retry = Retry::default().attempts(3).excused_for(Duration::ZERO);
    let settings = Processing::default().retry(retry).after_last(AfterLast::Discard);
    let running = start(&broker, settings, handler).await;
    until("it is given up", || running.stats().discarded == 1).await;
    assert_eq!((running.stats().failures, running.stats().postponed), (3, 0));
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn later_messages_of_a_key_wait_behind_one_that_is_put_off_and_others_pass() {
    let (broker, notes, tries) = (broker(), Notes::default(), Arc::new(AtomicU32::new(0)));
    store_all(&broker, [("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    let noted = notes.clone();
    let handler = Function(move |delivery: Arc<Delivery>| {
        let is_early = body(&delivery) == "a1" && tries.fetch_add(1, Ordering::SeqCst) < 2;
        if !is_early {
            noted.note(&delivery);
        }
        async move { if is_early { postpone(Duration::from_secs(60), false) } else { Outcome::Done } }
    });
    let running = start(&broker, quick().in_order_by(Key::token(1)), handler).await;
    until("all are handled", || running.stats().handled == 3).await;
    assert_eq!(notes.all(), ["b1", "a1", "a2"]);
    running.shutdown(Duration::from_secs(5)).await;
}
