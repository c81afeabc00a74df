//! What a processor does with messages, on the broker in memory with paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use headwater_nats_messaging::consume::{ConsumerConfig, Delivery};
use headwater_nats_messaging::processing::{AfterLast, Key, Processing, Processor, Retry};
use headwater_nats_messaging::router::handler::Outcome;
use tokio::time::{Instant, sleep};

use crate::support::working::{
    Function, Notes, body, broker, info, mailer, noting, poison, quick, retry, soon, start, store_all, until,
};

#[tokio::test(start_paused = true)]
async fn as_many_messages_are_handled_at_once_as_the_settings_say_and_all_are_acknowledged() {
    let broker = broker();
    store_all(&broker, (0..20).map(|_| ("a", "x"))).await;
    let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, highest) = (at_work.clone(), most.clone());
    let handler = Function(move |_| {
        let (now, highest) = (now.clone(), highest.clone());
        async move {
            highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(10)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Outcome::Done
        }
    });
    let running = start(&broker, quick().concurrency(4), handler).await;
    until("all are handled", || running.stats().handled == 20).await;
    let report = running.shutdown(Duration::from_secs(5)).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(most.load(Ordering::SeqCst), 4);
    let info = info(&broker).await;
    assert_eq!((info.pending, info.ack_pending, info.ack_floor), (0, 0, 20));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_purged_time_and_again_does_not_fill_a_processors_hands() {
    let broker = broker();
    let config = ConsumerConfig { max_ack_pending: 10, ..mailer() };
    let handler = Function(|_| std::future::pending());
    let processor = Processor::new(broker.clone(), config, handler).settings(quick().concurrency(1));
    let running = processor.start().await.unwrap();
    for round in 1..=4 {
        store_all(&broker, (0..10).map(|_| ("a", "x"))).await;
        let most = (10 * round).min(20);
        until("they are in hand", || running.stats().in_hand == most).await;
        // More would come by then.
        sleep(Duration::from_secs(1)).await;
        assert_eq!(running.stats().in_hand, most);
        assert!(broker.purge("ORDERS"));
    }
    running.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_panics_or_takes_too_long_is_tried_again_after_longer_and_longer_pauses() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = times.clone();
    let handler = Function(move |delivery: Arc<Delivery>| {
        noted.lock().unwrap().push(Instant::now());
        async move {
            match delivery.context.deliveries {
                1 => retry("not now"),
                2 => panic!("a handler that panics"),
                3 => {
                    sleep(Duration::from_secs(3600)).await;
                    Outcome::Done
                }
                _ => Outcome::Done,
            }
        }
    });
    let policy = Retry::default().attempts(5).first(Duration::from_secs(10)).longest(Duration::from_secs(15));
    let settings = Processing::default().retry(policy).handler_timeout(Duration::from_secs(100));
    let running = start(&broker, settings, handler).await;
    until("it is handled", || running.stats().handled == 1).await;
    assert_eq!(running.stats().failures, 3);
    let times = times.lock().unwrap().clone();
    let pauses: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    for (pause, range) in pauses.iter().zip([5.0..11.0, 7.0..16.0, 107.0..116.0]) {
        assert!(range.contains(pause), "{pauses:?}");
    }
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_in_hand_is_not_delivered_again_however_long_it_is_handled_or_waits() {
    let broker = broker();
    store_all(&broker, [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]).await;
    let handler = Function(|_| async {
        sleep(Duration::from_secs(100)).await;
        Outcome::Done
    });
    let running = start(&broker, Processing::default().concurrency(1), handler).await;
    until("all are handled", || running.stats().handled == 4).await;
    assert_eq!(running.stats().deliveries, 4, "each once, with 30 s to acknowledge it");
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn later_messages_of_a_key_wait_while_an_earlier_one_is_tried_again_and_others_go_on() {
    let broker = broker();
    store_all(&broker, [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")]).await;
    let notes = Notes::default();
    let noted = notes.clone();
    let handler = Function(move |delivery: Arc<Delivery>| {
        let body = body(&delivery);
        noted.add(&format!("{body}.{}", delivery.context.deliveries));
        async move { if body == "a1" && delivery.context.deliveries < 3 { retry("not yet") } else { Outcome::Done } }
    });
    let settings = quick().retry(Retry::default().attempts(3).first(Duration::from_secs(40)));
    let running = start(&broker, settings.in_order_by(Key::token(1)), handler).await;
    until("all are handled", || running.stats().handled == 5).await;
    let of = |key: &str| notes.all().into_iter().filter(|note| note.starts_with(key)).collect::<Vec<_>>();
    assert_eq!(of("a"), ["a1.1", "a1.2", "a1.3", "a2.1", "a3.1"]);
    assert_eq!(notes.all().iter().position(|note| note == "b2.1"), Some(2), "{:?}", notes.all());
    assert_eq!(running.stats().deliveries, 5, "it stayed in these hands");
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_what_was_delivered_before_comes_before_what_is_new_where_order_is_kept() {
    let broker = broker();
    store_all(&broker, [("a", "1"), ("a", "2"), ("a", "3")]).await;
    let stuck = Function(|_| async {
        sleep(Duration::from_secs(3600)).await;
        Outcome::Done
    });
    let crashed = start(&broker, Processing::default().in_order_by(Key::token(1)), stuck).await;
    until("all were delivered", || crashed.stats().in_hand == 3).await;
    drop(crashed);
    store_all(&broker, [("a", "4"), ("a", "5")]).await;
    let notes = Notes::default();
    let running = start(&broker, Processing::default().in_order_by(Key::token(1)), noting(&notes)).await;
    until("all are handled", || running.stats().handled == 5).await;
    assert_eq!(notes.all(), ["1", "2", "3", "4", "5"]);
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn stopped_it_finishes_what_it_has_and_gives_back_what_it_cannot_finish_in_time() {
    let broker = broker();
    store_all(&broker, [("a", "quick"), ("a", "slow"), ("a", "again"), ("a", "quick")]).await;
    let handler = Function(|delivery: Arc<Delivery>| async move {
        match body(&delivery).as_str() {
            "slow" => sleep(Duration::from_secs(3600)).await,
            "again" => return Outcome::Retry { error: "no".into(), after: Some(Duration::from_secs(1000)) },
            _ => sleep(Duration::from_secs(1)).await,
        }
        Outcome::Done
    });
    let running = start(&broker, Processing::default().concurrency(3), handler).await;
    until("three are at work or were", || running.stats().failures == 1).await;
    let report = running.shutdown(Duration::from_secs(10)).await;
    assert_eq!((report.stats.handled, report.interrupted), (2, 1), "{report:?}");
    assert!(!report.is_clean() && report.took < Duration::from_secs(16), "{report:?}");
    let info = info(&broker).await;
    assert_eq!((info.ack_pending, info.ack_floor), (2, 1), "only what was handled is acknowledged");
}

#[tokio::test(start_paused = true)]
async fn while_it_stops_the_server_hears_of_what_is_still_handled() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let handler = Function(|_| async {
        sleep(Duration::from_secs(100)).await;
        Outcome::Done
    });
    let running = start(&broker, Processing::default(), handler).await;
    until("it is at work", || running.stats().in_hand == 1).await;
    let other = start(&broker, Processing::default(), Function(|_| async { Outcome::Done })).await;
    let report = running.shutdown(Duration::from_secs(300)).await;
    assert!(report.is_clean() && report.finished == 1, "{report:?}");
    assert_eq!(other.stats().deliveries, 0, "nobody else was given it");
    other.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_delivered_all_too_often_and_never_answered_for_is_given_up_untried() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let stuck = || {
        Function(|_| async {
            sleep(Duration::from_secs(3600)).await;
            Outcome::Done
        })
    };
    let settings = quick().retry(Retry::default().attempts(2).unanswered(1)).after_last(AfterLast::Discard);
    for delivery in 1..=3 {
        let crashed = start(&broker, settings.clone(), stuck()).await;
        until("it was delivered", || crashed.stats().deliveries == 1).await;
        assert_eq!(crashed.stats().discarded, 0, "after delivery {delivery}");
        drop(crashed);
    }
    let running = start(&broker, settings, stuck()).await;
    until("it is given up", || running.stats().discarded == 1).await;
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_processor_takes_nothing_new_and_another_one_goes_on() {
    let broker = broker();
    store_all(&broker, [("a", "1")]).await;
    let notes = Notes::default();
    let first = start(&broker, quick(), noting(&notes)).await;
    until("it is handled", || first.stats().handled == 1).await;
    assert!(first.shutdown(Duration::from_secs(5)).await.is_clean());
    store_all(&broker, [("a", "2")]).await;
    let second = start(&broker, quick(), noting(&notes)).await;
    until("the second is handled", || second.stats().handled == 1).await;
    assert_eq!(notes.all(), ["1", "2"]);
    second.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn without_dead_letters_what_cannot_be_handled_is_tried_for_ever_and_never_acknowledged() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let running = start(&broker, quick(), Function(|_| async { poison("unreadable") })).await;
    until("it came again", || running.stats().deliveries > 5).await;
    running.shutdown(Duration::from_secs(5)).await;
    let info = info(&broker).await;
    assert_eq!((info.ack_pending + info.pending, info.ack_floor), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_discarded_is_given_up_after_the_last_delivery_that_the_consumer_names() {
    let broker = broker();
    store_all(&broker, [("a", "x")]).await;
    let config = ConsumerConfig { max_deliver: 2.try_into().ok(), ..mailer() };
    let settings = quick().after_last(AfterLast::Discard);
    let handler = Function(|_| async { retry("no") });
    let running = Processor::new(broker.clone(), config, handler).settings(settings).start().await.unwrap();
    until("it is given up", || running.stats().discarded == 1).await;
    assert_eq!(running.stats().failures, 2);
    running.shutdown(Duration::from_secs(5)).await;
    assert_eq!(info(&broker).await.ack_floor, 1);
}

#[tokio::test(start_paused = true)]
async fn one_of_several_takes_no_more_than_its_share_into_its_hands() {
    let broker = broker();
    store_all(&broker, (0..10).map(|_| ("a", "x"))).await;
    let slow = || {
        Function(|_| async {
            sleep(Duration::from_secs(60)).await;
            Outcome::Done
        })
    };
    let settings = quick().concurrency(1).in_hand(2);
    let (one, other) = (start(&broker, settings.clone(), slow()).await, start(&broker, settings, slow()).await);
    until("all are handled", || one.stats().handled + other.stats().handled == 10).await;
    for running in [one, other] {
        assert!((3..=7).contains(&running.stats().handled), "{:?}", running.stats());
        running.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_hold_up_their_threads_keep_no_others_from_beginning() {
    let broker = broker();
    store_all(&broker, (0..4).map(|_| ("a", "x"))).await;
    // Nobody gets on before all four have begun.
    let (begun, all_begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, together) = (begun.clone(), all_begun.clone());
    let handler = Function(move |_| {
        let (count, together) = (count.clone(), together.clone());
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::task::block_in_place(|| {
                let limit = std::time::Instant::now() + Duration::from_secs(10);
                while count.load(Ordering::SeqCst) < 4 && std::time::Instant::now() < limit {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            together.fetch_add(usize::from(count.load(Ordering::SeqCst) == 4), Ordering::SeqCst);
            Outcome::Done
        }
    });
    let running = start(&broker, quick().concurrency(4), handler).await;
    soon("all were handled", || running.stats().handled == 4).await;
    assert_eq!(all_begun.load(Ordering::SeqCst), 4);
    assert!(running.shutdown(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_fast_they_are_handled_messages_of_a_key_stay_in_order_and_each_is_handled_once() {
    let broker = broker();
    let count = 3_000;
    let bodies: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let subjects: Vec<String> = (0..count).map(|number| (number % 7).to_string()).collect();
    store_all(&broker, subjects.iter().map(String::as_str).zip(bodies.iter().map(String::as_str))).await;
    let notes: Vec<Notes> = (0..7).map(|_| Notes::default()).collect();
    let noted = notes.clone();
    let handler = Function(move |delivery: Arc<Delivery>| {
        let number: usize = body(&delivery).parse().unwrap();
        noted[number % 7].note(&delivery);
        async move {
            // One in three waits, and the others do not.
            if number.is_multiple_of(3) {
                tokio::task::yield_now().await;
            }
            Outcome::Done
        }
    });
    let running = start(&broker, quick().concurrency(8).in_hand(50).in_order_by(Key::token(1)), handler).await;
    soon("all were handled", || running.stats().handled == count as u64).await;
    assert!(running.shutdown(Duration::from_secs(5)).await.is_clean());
    for (key, notes) in notes.iter().enumerate() {
        let expected: Vec<String> = (key..count).step_by(7).map(|number| number.to_string()).collect();
        assert_eq!(notes.all(), expected, "key {key}");
    }
    let info = info(&broker).await;
    assert_eq!((info.pending, info.ack_pending), (0, 0));
}
