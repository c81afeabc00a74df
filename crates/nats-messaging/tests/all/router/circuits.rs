//! Handlers behind circuit breakers: what depends on what is down waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_core::{Failure, FailureCode};
use headwater_nats::circuit_breaker::{CircuitBreaker, CircuitState, Window};
use headwater_nats_messaging::BoxError;
use headwater_nats_messaging::dead_letter::DeadLetters;
use headwater_nats_messaging::layer::{CircuitBreakerLayer, Judgement};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::{Processing, Retry};
use headwater_nats_messaging::router::{Payload, Poison, Reply, Route, Router, State};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Broker, Notes, memory, on_both};
use crate::support::{PATIENCE, publish};

on_both!(scenarios:
    events_wait_while_the_circuit_is_open_and_use_up_no_attempts,
    requests_are_refused_while_the_circuit_is_open,
);

fn circuit(name: &'static str) -> CircuitBreakerLayer {
    let settings = CircuitBreaker::default().window(Window::Calls(10)).min_calls(3).trial_calls(1);
    CircuitBreakerLayer::new(name, settings.open(Duration::from_millis(100))).unwrap()
}

/// Whether what the handler needs is up, and what was done.
#[derive(Debug, Clone, Default)]
struct Mails {
    up: Arc<AtomicBool>,
    sent: Notes,
}

async fn mail(State(mails): State<Mails>, Payload(to): Payload<String>) -> Result<(), BoxError> {
    if to.is_empty() {
        return Err(Poison::new("nobody to send it to").into());
    }
    if !mails.up.load(Ordering::SeqCst) {
        return Err("no route to host".into());
    }
    mails.sent.add(to);
    Ok(())
}

async fn events_wait_while_the_circuit_is_open_and_use_up_no_attempts<B: Broker>(broker: B) {
    let (mails, circuit) = (Mails::default(), circuit("mail-server"));
    let twice = Retry::default().attempts(2).first(Duration::from_millis(10));
    let letters = DeadLetters::new(broker.clone(), "DEAD");
    let running = Router::new()
        .service("mailer")
        .processing(Processing::default().retry(twice).dead_letters(letters))
        .on_event("orders.mailed", mail)
        .layer(circuit.clone())
        .with_state(mails.clone())
        .start(broker.clone())
        .await
        .unwrap();
    for to in ["a", "b", "c", "d", "e", "f"] {
        publish(&broker, Message::new("orders.mailed", format!("{to:?}"))).await.unwrap();
    }
    // More trials than all the messages have attempts.
    headwater_testkit::wait_until(PATIENCE, "the circuit has opened often", async || {
        (circuit.stats().opened >= 8).then_some(())
    })
    .await;
    let (_, processor) = running.processors().next().unwrap();
    let stats = processor.stats();
    assert!(stats.dead_letters == 0 && stats.handled == 0 && stats.failures <= 3, "{stats:?}");
    assert!(stats.postponed > 6, "{stats:?}");

    mails.up.store(true, Ordering::SeqCst);
    let mut sent = mails.sent.wait(6).await;
    sent.sort();
    assert_eq!(sent, ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(circuit.stats().state, CircuitState::Closed);
    for _ in 0..10 {
        publish(&broker, Message::new("orders.mailed", r#""""#)).await.unwrap();
    }
    headwater_testkit::wait_until(PATIENCE, "what is poison is dead", async || {
        (processor.stats().dead_letters == 10).then_some(())
    })
    .await;
    assert_eq!(circuit.stats().state, CircuitState::Closed, "what a handler refuses says nothing of what it needs");
    running.shutdown(Duration::from_secs(10)).await;
}

async fn requests_are_refused_while_the_circuit_is_open<B: Broker>(broker: B) {
    let circuit = circuit("price-list");
    let handler = |Payload(code): Payload<String>| async move {
        if code == "ok" {
            return Ok(Reply("7.00"));
        }
        Err(Failure::new(FailureCode::from(code.as_str()), "no"))
    };
    let router: Router = Router::new().service("prices").on_message("breaking.ask", handler).layer(circuit.clone());
    let running = router.start(broker.clone()).await.unwrap();
    let ask = async |code: &str| -> Value {
        let message = Message::new("breaking.ask", format!("{code:?}"));
        let reply = broker.request(message, Instant::now() + PATIENCE).await.unwrap();
        serde_json::from_slice(&reply.body).unwrap()
    };
    for _ in 0..10 {
        assert_eq!(ask("not-found").await["error"]["code"], "not-found");
    }
    assert_eq!(circuit.stats().state, CircuitState::Closed, "an answer is an answer");
    let refused = async {
        loop {
            let told = ask("unavailable").await;
            if told["error"]["details"]["reason"] == "circuit-open" {
                return told;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    let error = &refused["error"];
    assert_eq!((&error["code"], &error["details"]["circuit"]), (&json!("unavailable"), &json!("price-list")));
    let wait = error["details"]["retryAfterMs"].as_u64().unwrap();
    assert!((1..=100).contains(&wait), "{error}");
    headwater_testkit::wait_until(PATIENCE, "it is tried again and answers", async || {
        (ask("ok").await == json!("7.00")).then_some(())
    })
    .await;
    assert_eq!(circuit.stats().state, CircuitState::Closed);
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_message_that_is_itself_what_fails_is_not_excused_for_ever() {
    let (broker, mails, circuit) = (memory(), Mails::default(), circuit("mail-server"));
    let retry = Retry::default().attempts(4).first(Duration::from_millis(10)).excused_for(Duration::from_millis(300));
    let letters = DeadLetters::new(broker.clone(), "DEAD");
    let running = Router::new()
        .service("mailer")
        .processing(Processing::default().retry(retry).dead_letters(letters))
        .on_event("orders.mailed", mail)
        .layer(circuit.clone())
        .with_state(mails)
        .start(broker.clone())
        .await
        .unwrap();
    publish(&broker, Message::new("orders.mailed", r#""a""#)).await.unwrap();
    headwater_testkit::wait_until(PATIENCE, "it is dead", async || broker.messages("DEAD").pop()).await;
    assert!(circuit.stats().opened >= 2, "{:?}", circuit.stats());
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_program_judges_by_itself_what_a_failure_is() {
    let circuit = circuit("stock").judged_by(|answer| match answer.is_success() {
        true => Judgement::Works,
        false => Judgement::Fails,
    });
    let broker = memory();
    let handler = || async { Err::<(), _>(Failure::not_found("no such item")) };
    let router: Router = Router::new().service("stock").on_message("stock.ask", handler).layer(circuit.clone());
    let running = router.start(broker.clone()).await.unwrap();
    for _ in 0..3 {
        use headwater_nats_messaging::exchange::Exchange as _;
        broker.request(Message::new("stock.ask", ""), Instant::now() + PATIENCE).await.unwrap();
    }
    assert_eq!(circuit.stats().opened, 1);
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn events_that_wait_outlive_a_server_that_is_killed() {
    let (server, jetstream) = super::server().await;
    let (mails, circuit) = (Mails::default(), circuit("mail-server"));
    let letters = DeadLetters::new(jetstream.clone(), "DEAD");
    let route = Route::event("orders.mailed", mail).consumer(|consumer| consumer.ack_wait = Duration::from_secs(2));
    let running = Router::new()
        .service("mailer")
        .processing(Processing::default().retry(Retry::default().attempts(3)).dead_letters(letters))
        .route(route.layer(circuit.clone()))
        .with_state(mails.clone())
        .start(jetstream.clone())
        .await
        .unwrap();
    for to in ["a", "b", "c", "d", "e", "f"] {
        publish(&jetstream, Message::new("orders.mailed", format!("{to:?}"))).await.unwrap();
    }
    let opened = async |times| {
        let what = "the circuit has opened again";
        headwater_testkit::wait_until(PATIENCE, what, async || (circuit.stats().opened >= times).then_some(())).await;
    };
    opened(3).await;
    server.kill();
    opened(circuit.stats().opened + 3).await;
    server.restart().await.unwrap();
    mails.up.store(true, Ordering::SeqCst);
    let sent = headwater_testkit::wait_until(PATIENCE, "all are handled", async || {
        let sent: BTreeSet<_> = mails.sent.all().into_iter().collect();
        (sent.len() == 6).then_some(sent)
    })
    .await;
    assert_eq!(sent.into_iter().collect::<String>(), "abcdef");
    let (_, processor) = running.processors().next().unwrap();
    assert_eq!(processor.stats().dead_letters, 0, "{:?}", processor.stats());
    running.shutdown(Duration::from_secs(10)).await;
}
