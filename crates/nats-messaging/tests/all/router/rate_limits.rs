//! Handlers behind rate limits: events wait, requests are told.

use std::time::Duration;

use headwater_nats::rate_limit::Rate;
use headwater_nats_messaging::dead_letter::DeadLetters;
use headwater_nats_messaging::layer::RateLimit;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::{Processing, Retry};
use headwater_nats_messaging::router::{Headers, Reply, Route, Router, State, Subject};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Broker, Notes, memory, on_both};
use crate::support::working::{store, until};
use crate::support::{PATIENCE, publish};

on_both!(scenarios:
    events_over_the_limit_wait_and_none_is_lost_or_failed,
    requests_over_the_limit_are_told_when_to_come_again,
);

/// One attempt, so that nothing but the first try succeeds unseen.
fn one_attempt<B: Broker>(broker: &B) -> Processing {
    Processing::default().retry(Retry::default().attempts(1)).dead_letters(DeadLetters::new(broker.clone(), "DEAD"))
}

async fn events_over_the_limit_wait_and_none_is_lost_or_failed<B: Broker>(broker: B) {
    let notes = Notes::default();
    // Two at once, and then one in 50 ms.
    let limit = RateLimit::default().all(Rate::new(20, Duration::from_secs(1)).burst(2)).layer().unwrap();
    let handler = |State(notes): State<Notes>, Subject(subject): Subject| async move { notes.add(subject) };
    let running = Router::new()
        .service("limited")
        .processing(one_attempt(&broker))
        .on_event("orders.limited.*", handler)
        .layer(limit.clone())
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let began = Instant::now();
    for number in 0..8 {
        publish(&broker, Message::new(format!("orders.limited.{number}"), "")).await.unwrap();
    }
    let mut noted = notes.wait(8).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "six of them had to wait: {:?}", began.elapsed());
    noted.sort();
    noted.dedup();
    assert_eq!(noted.len(), 8, "each once");
    headwater_testkit::wait_until(PATIENCE, "all are acknowledged", async || {
        let (_, processor) = running.processors().next()?;
        (processor.stats().handled == 8).then_some(())
    })
    .await;
    let (_, processor) = running.processors().next().unwrap();
    let stats = processor.stats();
    assert_eq!((stats.deliveries, stats.failures, stats.dead_letters), (8, 0, 0), "{stats:?}");
    assert_eq!((limit.stats().allowed, limit.stats().refused.all), (8, 0));
    running.shutdown(Duration::from_secs(10)).await;
}

async fn requests_over_the_limit_are_told_when_to_come_again<B: Broker>(broker: B) {
    let limit = RateLimit::default().caller(Rate::per_minute(2)).caller_header("X-Client").layer().unwrap();
    let asked = Route::message("limited.ask", || async { Reply("here") }).layer(limit.clone());
    let router: Router = Router::new().service("asked").route(asked).on_message("limited.free", || async { Reply(1) });
    let running = router.start(broker.clone()).await.unwrap();
    let ask = async |subject: &str, client: &str| -> Value {
        let message = Message::new(subject, "").header("X-Client", client);
        let reply = broker.request(message, Instant::now() + PATIENCE).await.unwrap();
        serde_json::from_slice(&reply.body).unwrap()
    };
    assert_eq!((ask("limited.ask", "mia").await, ask("limited.ask", "mia").await), (json!("here"), json!("here")));
    let refused = ask("limited.ask", "mia").await;
    assert_eq!((&refused["error"]["code"], &refused["error"]["retryable"]), (&json!("rate-limited"), &json!(true)));
    let details = &refused["error"]["details"];
    let wait = details["retryAfterMs"].as_u64().unwrap();
    assert!((1..=30_000).contains(&wait) && details["limit"] == "caller", "{details}");
    assert_eq!(ask("limited.ask", "bo").await, json!("here"), "everybody has a budget");
    assert_eq!(ask("limited.free", "mia").await, json!(1), "it is around one route");
    assert_eq!((limit.stats().refused.caller, limit.stats().keys), (1, 2));
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn events_of_a_caller_over_its_limit_are_passed_by_those_of_others() {
    let broker = memory();
    let notes = Notes::default();
    let limit = RateLimit::default().caller(Rate::per_minute(1)).caller_header("X-Client").layer().unwrap();
    let handler = |State(notes): State<Notes>, Headers(headers): Headers| async move {
        notes.add(headers.get("x-client").unwrap_or_default());
    };
    let running = Router::new()
        .service("fair")
        .processing(one_attempt(&broker).concurrency(2))
        .on_event("orders.fair", handler)
        .layer(limit.clone())
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let began = Instant::now();
    for client in ["busy"; 20].into_iter().chain(["calm"]) {
        store(&broker, Message::new("orders.fair", "").header("X-Client", client)).await;
    }
    until("each has had its turn", || notes.all().len() == 2).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(notes.all(), ["busy", "calm"]);
    assert!(limit.stats().postponed >= 19 && limit.stats().waited == 0, "{:?}", limit.stats());
    until("the next of the busy one has its turn", || notes.all().len() == 3).await;
    assert!(began.elapsed() >= Duration::from_secs(60));
    running.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_would_wait_long_makes_room_comes_back_and_is_given_back_at_the_end() {
    let broker = memory();
    let notes = Notes::default();
    let limit = RateLimit::default().all(Rate::per_minute(1).burst(1)).wait(Duration::ZERO).layer().unwrap();
    let handler = |State(notes): State<Notes>| async move { notes.add("") };
    let running = Router::new()
        .service("patient")
        .processing(one_attempt(&broker).concurrency(1))
        .on_event("orders.patient", handler)
        .layer(limit.clone())
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let began = Instant::now();
    for _ in 0..3 {
        store(&broker, Message::new("orders.patient", "")).await;
    }
    until("two are handled", || notes.all().len() == 2).await;
    assert!(began.elapsed() >= Duration::from_secs(60));
    let (_, processor) = running.processors().next().unwrap();
    let stats = processor.stats();
    assert!(stats.postponed >= 2 && stats.failures == 0, "{stats:?}");
    assert_eq!((stats.deliveries, stats.in_hand), (3, 1), "longer than the consumer's time to acknowledge: {stats:?}");
    running.shutdown(Duration::from_secs(1)).await;
    assert!(broker.messages("DEAD").is_empty(), "what waits at the end comes again");

    let router = Router::new().service("patient").on_event("orders.patient", handler).with_state(notes.clone());
    let running = router.start(broker.clone()).await.unwrap();
    until("the third is handled", || notes.all().len() == 3).await;
    running.shutdown(Duration::from_secs(1)).await;
}
