//! Many messages under way at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use headwater_nats_messaging::codec::Codecs;
use headwater_nats_messaging::envelope::Received;
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::Publish;
use headwater_nats_messaging::publisher::{Outcome, Publisher, PublisherBuilder, PublisherError, RetryPolicy};
use tokio::time::{Instant, timeout};

use crate::support::scripted::{Answer, Scripted};

fn on(port: &Arc<Scripted>) -> PublisherBuilder {
    let port: Arc<dyn Publish> = Arc::clone(port) as _;
    Publisher::builder(port, "/shop")
}

fn numbers(messages: &[Message]) -> Vec<u64> {
    let read = |message: &Message| Received::read(message).unwrap().payload(&Codecs::default()).unwrap();
    messages.iter().map(read).collect()
}

async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future).await.expect("it took too long")
}

#[tokio::test]
async fn messages_are_stored_in_the_order_in_which_they_were_enqueued() {
    let broker = MemoryBroker::new();
    broker.stream("N", ["n"]).unwrap();
    let publisher = Publisher::builder(Arc::new(broker.clone()), "/n").window(16).build().unwrap();
    let mut receipts = Vec::new();
    for number in 0..2_000_u64 {
        receipts.push(publisher.enqueue("n", &number).await.unwrap());
    }
    in_time(publisher.flush()).await.unwrap();
    assert_eq!(publisher.in_flight(), 0);
    assert_eq!(numbers(&broker.messages("N")), (0..2_000).collect::<Vec<_>>());
    for (place, receipt) in (1..).zip(receipts) {
        let id = receipt.id().to_owned();
        assert_eq!(in_time(receipt).await.unwrap().sequence, place);
        let place = usize::try_from(place).unwrap();
        assert_eq!(broker.messages("N").get(place - 1).and_then(Message::message_id), Some(&*id));
        if place > 20 {
            break;
        }
    }
}

#[tokio::test]
async fn no_more_are_under_way_than_there_are_places() {
    let port = Scripted::new([Answer::Held; 10]);
    let publisher = on(&port).window(3).build().unwrap();
    for number in 0..3 {
        drop(publisher.enqueue("n", &number).await.unwrap());
    }
    assert_eq!(publisher.in_flight(), 3);
    let mut fourth = Box::pin(publisher.enqueue("n", &3));
    for _ in 0..100 {
        assert!((&mut fourth).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(port.sent().len(), 3);
    port.open_the_gate();
    let fourth = in_time(fourth).await.unwrap();
    assert_eq!(in_time(fourth).await.unwrap().sequence, 4);
    in_time(publisher.flush()).await.unwrap();
    assert_eq!(numbers(&port.sent()), [0, 1, 2, 3]);
    assert_eq!(port.stored().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_in_time_is_told_and_nothing_is_sent() {
    let port = Scripted::new([Answer::Held]);
    let told = Arc::new(AtomicU64::new(0));
    let hook = Arc::clone(&told);
    let builder = on(&port).window(1).on_publish(move |report| {
        assert_eq!((report.outcome, report.attempts), (Outcome::Failed, 0));
        hook.fetch_add(1, Ordering::Relaxed);
    });
    let publisher = builder.build().unwrap();
    drop(publisher.enqueue("n", &0).await.unwrap());
    let began = Instant::now();
    let late = publisher.publish("n", &1).timeout(Duration::from_secs(2)).enqueue().await;
    assert!(matches!(late, Err(PublisherError::NoPlace { .. })), "{late:?}");
    assert_eq!((began.elapsed().as_secs(), port.sent().len(), told.load(Ordering::Relaxed)), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn flushing_waits_for_all_and_tells_what_failed_once() {
    let port = Scripted::new([Answer::Stored, Answer::Refused, Answer::Unavailable, Answer::Held, Answer::NoStream]);
    let publisher = on(&port).build().unwrap();
    let receipts = [publisher.enqueue("n", &0).await.unwrap(), publisher.enqueue("n", &1).await.unwrap()];
    for number in 2..5 {
        drop(publisher.enqueue("n", &number).await.unwrap());
    }
    let mut flushing = Box::pin(publisher.flush());
    assert!((&mut flushing).now_or_never().is_none());
    port.open_the_gate();
    let failed = in_time(flushing).await.unwrap_err();
    assert_eq!((failed.count, failed.errors.len()), (2, 2));
    assert_eq!(failed.to_string(), "2 messages were not stored, as far as is known");
    // Number 2 was tried again, and came after 3.
    assert_eq!(numbers(&port.stored()), [0, 3, 2]);
    let [first, second] = receipts;
    assert!(first.await.is_ok());
    assert!(matches!(second.await, Err(PublisherError::NotStored { attempts: 1, .. })));
    in_time(publisher.flush()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn errors_that_nobody_asks_for_do_not_pile_up() {
    let port = Scripted::new([Answer::Refused; 500]);
    let publisher = on(&port).window(500).build().unwrap();
    for number in 0..500 {
        drop(publisher.enqueue("n", &number).await.unwrap());
    }
    let failed = in_time(publisher.flush()).await.unwrap_err();
    assert_eq!((failed.count, failed.errors.len()), (500, 32));
}

#[tokio::test(start_paused = true)]
async fn with_one_place_the_order_is_kept_whatever_is_tried_again() {
    let script = [Answer::Unavailable, Answer::Stored, Answer::Unsent, Answer::Unknown, Answer::Unavailable];
    let port = Scripted::new(script.into_iter().cycle().take(100));
    let publisher = on(&port).window(1).timeout(Duration::from_secs(60)).build().unwrap();
    for number in 0..30 {
        drop(publisher.enqueue("n", &number).await.unwrap());
    }
    in_time(publisher.flush()).await.unwrap();
    assert_eq!(numbers(&port.stored()), (0..30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_handed_over_keeps_its_place_before_those_after_it() {
    let port = Scripted::new([Answer::Stored, Answer::Unsent, Answer::Unsent]);
    let publisher = on(&port).build().unwrap();
    for number in 0..5 {
        drop(publisher.enqueue("n", &number).await.unwrap());
    }
    in_time(publisher.flush()).await.unwrap();
    assert_eq!(numbers(&port.stored()), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn one_whose_acknowledgement_stays_away_does_not_hold_up_those_behind_it() {
    let port = Scripted::new([Answer::Silence, Answer::Stored, Answer::Silence, Answer::Unavailable]);
    let publisher = on(&port).window(4).retry(RetryPolicy::never()).build().unwrap();
    let (mut receipts, began) = (Vec::new(), Instant::now());
    for number in 0..20 {
        receipts.push(in_time(publisher.enqueue("n", &number)).await.unwrap());
    }
    let silent = [receipts.remove(2), receipts.remove(0)];
    let mut failed = 0;
    for receipt in receipts {
        failed += u32::from(in_time(receipt).await.is_err());
    }
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!((failed, publisher.in_flight()), (1, 2));
    for receipt in silent {
        assert!(in_time(receipt).await.is_err());
    }
    assert!(in_time(publisher.flush()).await.is_err());
}

#[tokio::test]
async fn a_closed_publisher_takes_nothing_and_has_finished_what_it_had() {
    let port = Scripted::new([Answer::Held; 3]);
    let publisher = on(&port).window(3).build().unwrap();
    for number in 0..3 {
        drop(publisher.enqueue("n", &number).await.unwrap());
    }
    let (waits, closes) = (publisher.clone(), publisher.clone());
    let waiting = tokio::spawn(async move { waits.enqueue("n", &3).await.map(drop) });
    let closing = tokio::spawn(async move { closes.close().await });
    while !matches!(publisher.publish("n", &9).await, Err(PublisherError::Closed)) {
        tokio::task::yield_now().await;
    }
    assert!(!closing.is_finished());
    port.open_the_gate();
    in_time(closing).await.unwrap().unwrap();
    assert!(matches!(publisher.enqueue("n", &4).await, Err(PublisherError::Closed)));
    in_time(publisher.close()).await.unwrap();
    // The one that waited for a place had not been taken yet.
    assert!(matches!(in_time(waiting).await.unwrap(), Err(PublisherError::Closed)));
    let mut stored: Vec<u64> = numbers(&port.stored()).into_iter().filter(|number| *number != 9).collect();
    stored.sort_unstable();
    assert_eq!(stored, [0, 1, 2]);
}

#[tokio::test]
async fn messages_under_way_outlive_the_publisher() {
    let port = Scripted::new([Answer::Held; 2]);
    let publisher = on(&port).build().unwrap();
    let receipt = publisher.enqueue("n", &0).await.unwrap();
    drop(publisher.enqueue("n", &1).await.unwrap());
    drop(publisher);
    port.open_the_gate();
    assert!(in_time(receipt).await.is_ok());
    in_time(async {
        while port.stored().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn many_are_published_at_once_and_each_result_is_told_in_its_place() {
    let port = Scripted::new([Answer::Stored, Answer::Refused, Answer::Unavailable, Answer::Stored]);
    let publisher = on(&port).window(2).retry(RetryPolicy::never()).build().unwrap();
    let results = publisher.publish_all((0..4).map(|number| (format!("n.{number}"), number))).await;
    let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, false, true]);
    let subjects: Vec<_> = port.sent().into_iter().map(|message| message.subject).collect();
    assert_eq!(subjects, ["n.0", "n.1", "n.2", "n.3"]);
}
