//! Events to the handlers of their subjects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use headwater_nats_messaging::BoxError;
use headwater_nats_messaging::consume::Deliver;
use headwater_nats_messaging::dead_letter::DeadLetters;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::processing::Key;
use headwater_nats_messaging::publisher::Publisher;
use headwater_nats_messaging::router::{
    Context, Extension, Group, Headers, MessageId, Payload, Poison, Route, Router, Shutdown, State, Stream, Subject,
};
use serde::{Deserialize, Serialize};

use super::{Broker, Notes, memory, on_both, quick};
use crate::support::publish;

#[derive(Debug, Serialize, Deserialize)]
struct Price {
    amount: u64,
}

on_both!(scenarios:
    each_pattern_that_takes_an_event_has_it,
    handlers_take_what_their_parameters_say,
    a_payload_is_read_in_whatever_envelope,
    a_router_goes_on_where_it_stopped,
    patterns_of_a_group_share_one_consumer_and_its_order,
    what_fails_is_tried_again_and_what_is_poison_is_not,
);

async fn each_pattern_that_takes_an_event_has_it<B: Broker>(broker: B) {
    let notes = Notes::default();
    let noting = |name: &'static str| {
        move |State(notes): State<Notes>, Subject(subject): Subject| async move { notes.add(format!("{name} {subject}")) }
    };
    let running = Router::new()
        .service("each")
        .on_event("orders.each.>", noting("all"))
        .on_event("orders.each.*.placed", noting("placed"))
        .on_event("orders.each.*.placed", noting("placed too"))
        .on_event("orders.each.7.paid", noting("paid"))
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let names: Vec<_> = running.consumers().map(|config| config.durable.clone()).collect();
    assert_eq!(names, ["each_orders_each_7_paid", "each_orders_each_any_placed", "each_orders_each_all"]);

    publish(&broker, Message::new("orders.each.7.placed", "")).await.unwrap();
    publish(&broker, Message::new("orders.each.7.paid", "")).await.unwrap();
    let mut noted = notes.wait(5).await;
    noted.sort();
    assert_eq!(
        noted,
        [
            "all orders.each.7.paid",
            "all orders.each.7.placed",
            "paid orders.each.7.paid",
            "placed orders.each.7.placed",
            "placed too orders.each.7.placed",
        ]
    );
    assert_eq!(running.shutdown(Duration::from_secs(10)).await, Shutdown::Finished);
}

async fn handlers_take_what_their_parameters_say<B: Broker>(broker: B) {
    async fn handler(
        Payload(price): Payload<Price>,
        context: Context,
        State(notes): State<Notes>,
        Headers(headers): Headers,
        id: Option<MessageId>,
        body: bytes::Bytes,
    ) -> Result<(), BoxError> {
        let trader = headers.get("trader").unwrap_or_default();
        let (wildcards, id) = (context.wildcards().join(" "), id.map(|MessageId(id)| id).unwrap_or_default());
        notes.add(format!("{} {trader} {wildcards} {id} {}", price.amount, body.len()));
        assert!(context.sequence().unwrap() > 0 && context.timestamp().is_some() && context.pending().is_some());
        assert_eq!((context.deliveries(), context.pattern().unwrap().as_str()), (1, "orders.price.*.>"));
        Ok(())
    }
    let notes = Notes::default();
    let router = Router::new().service("taking").on_event("orders.price.*.>", handler).with_state(notes.clone());
    let running = router.start(broker.clone()).await.unwrap();
    let message = Message::new("orders.price.tea.green.leaf", r#"{"amount":7}"#).header("Trader", "ann").id("m-1");
    publish(&broker, message).await.unwrap();
    assert_eq!(notes.wait(1).await, ["7 ann tea green.leaf m-1 12"]);
    assert_eq!(running.shutdown(Duration::from_secs(10)).await, Shutdown::Finished);
}

async fn a_payload_is_read_in_whatever_envelope<B: Broker>(broker: B) {
    let notes = Notes::default();
    let handler = |Payload(price): Payload<Price>, State(notes): State<Notes>| async move {
        notes.add(price.amount.to_string());
    };
    let router = Router::new().service("opening").on_event("orders.opened", handler).with_state(notes.clone());
    let running = router.start(broker.clone()).await.unwrap();
    let publisher = Publisher::builder(Arc::new(broker.clone()), "/till").build().unwrap();
    publisher.publish("orders.opened", &Price { amount: 1 }).event_type("priced").await.unwrap();
    publish(&broker, Message::new("orders.opened", r#"{"amount":2}"#)).await.unwrap();
    let mut noted = notes.wait(2).await;
    noted.sort();
    assert_eq!(noted, ["1", "2"]);
    running.shutdown(Duration::from_secs(10)).await;
}

async fn a_router_goes_on_where_it_stopped<B: Broker>(broker: B) {
    let notes = Notes::default();
    let router = |notes: &Notes| {
        let handler = |State(notes): State<Notes>, body: bytes::Bytes| async move {
            notes.add(String::from_utf8_lossy(&body));
        };
        Router::new().service("going").on_event("orders.again.*", handler).with_state::<()>(notes.clone())
    };
    for number in 1..=2 {
        let running = router(&notes).start(broker.clone()).await.unwrap();
        publish(&broker, Message::new("orders.again.x", number.to_string())).await.unwrap();
        notes.wait(number).await;
        assert_eq!(running.shutdown(Duration::from_secs(10)).await, Shutdown::Finished);
    }
    publish(&broker, Message::new("orders.again.x", "3")).await.unwrap();
    let running = router(&notes).start(broker.clone()).await.unwrap();
    assert_eq!(notes.wait(3).await, ["1", "2", "3"]);
    running.shutdown(Duration::from_secs(10)).await;
}

async fn patterns_of_a_group_share_one_consumer_and_its_order<B: Broker>(broker: B) {
    let notes = Notes::default();
    let noting = |State(notes): State<Notes>, Subject(subject): Subject| async move {
        notes.add(subject.rsplit('.').next().unwrap());
    };
    let unknown = |State(notes): State<Notes>, Subject(subject): Subject| async move {
        notes.add(format!("unknown {}", subject.rsplit('.').next().unwrap()));
    };
    let group = Group::new("tasks")
        .reads("orders.task.>")
        .processing(quick().in_order_by(Key::token(2)).settle_within(Duration::ZERO))
        .consumer(|consumer| consumer.ack_wait = Duration::from_secs(7));
    let tasks = Router::new().on_event("orders.task.*.made", noting).on_event("orders.task.*.done", noting);
    let running = Router::new()
        .service("grouping")
        .stream(Stream::new("ORDERS").consumer(|consumer| {
            consumer.ack_wait = Duration::from_secs(5);
            consumer.deliver = Deliver::New;
        }))
        .group(group, tasks)
        .event_fallback(unknown)
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let [config] = &running.consumers().collect::<Vec<_>>()[..] else { panic!("one consumer: {running:?}") };
    assert_eq!((config.durable.as_str(), config.ack_wait.as_secs()), ("grouping__tasks", 7));
    assert_eq!((config.deliver, &config.filter_subjects[..]), (Deliver::New, &["orders.task.>".to_owned()][..]));
    for last in ["made", "done", "lost"] {
        publish(&broker, Message::new(format!("orders.task.7.{last}"), "")).await.unwrap();
    }
    assert_eq!(notes.wait(3).await, ["made", "done", "unknown lost"]);
    running.shutdown(Duration::from_secs(10)).await;
}

async fn what_fails_is_tried_again_and_what_is_poison_is_not<B: Broker>(broker: B) {
    async fn flaky(State(tries): State<Arc<AtomicU32>>, Payload(price): Payload<Price>) -> Result<(), BoxError> {
        match price.amount {
            0 => Err(Poison::new("nothing is for nothing").into()),
            1 if tries.fetch_add(1, Ordering::SeqCst) < 2 => Err("not yet".into()),
            2 => panic!("two is too much"),
            _ => Ok(()),
        }
    }
    let tries = Arc::new(AtomicU32::new(0));
    let letters = DeadLetters::new(broker.clone(), "DEAD");
    let running = Router::new()
        .service("failing")
        .processing(quick().dead_letters(letters))
        .on_event("orders.flaky", flaky)
        .with_state(Arc::clone(&tries))
        .start(broker.clone())
        .await
        .unwrap();
    for body in [r#"{"amount":1}"#, r#"{"amount":0}"#, r#"{"amount":"secret"}"#, r#"{"amount":2}"#] {
        publish(&broker, Message::new("orders.flaky", body)).await.unwrap();
    }
    let (_, processor) = running.processors().next().unwrap();
    headwater_testkit::wait_until(crate::support::PATIENCE, "all are handled or dead", async || {
        let stats = processor.stats();
        (stats.handled == 1 && stats.dead_letters == 3).then_some(())
    })
    .await;
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_dead_letter_names_the_field_that_cannot_be_read_and_shows_no_value() {
    let broker = memory();
    let letters = DeadLetters::new(broker.clone(), "DEAD");
    let running = Router::<()>::new()
        .service("reading")
        .processing(quick().dead_letters(letters))
        .on_event("orders.read", |Payload(_): Payload<Price>| async {})
        .start(broker.clone())
        .await
        .unwrap();
    publish(&broker, Message::new("orders.read", r#"{"amount":"secret"}"#)).await.unwrap();
    headwater_testkit::wait_until(crate::support::PATIENCE, "a dead letter", async || broker.messages("DEAD").pop())
        .await;
    let letter = broker.messages("DEAD").pop().unwrap();
    let headers: Vec<_> = letter.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let headers = headers.join("\n");
    assert!(headers.contains("`amount`") && !headers.contains("secret"), "{headers}");
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_layer_is_around_the_handlers_that_were_there_before_it() {
    let (broker, notes) = (memory(), Notes::default());
    let counting = |name: &'static str| {
        let notes = notes.clone();
        tower::util::MapRequestLayer::new(move |mut context: Context| {
            notes.add(format!("{name} {}", context.subject()));
            context.insert(name.to_owned());
            context
        })
    };
    async fn handler(Extension(text): Extension<String>, State(notes): State<Notes>) {
        notes.add(format!("handler after {text}"));
    }
    let late = |State(notes): State<Notes>| async move { notes.add("late") };
    let running = Router::new()
        .service("layering")
        .route(Route::event("orders.layered", handler).layer(counting("inner")))
        .layer(counting("outer"))
        .on_event("orders.late", late)
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    publish(&broker, Message::new("orders.layered", "")).await.unwrap();
    assert_eq!(notes.wait(3).await, ["outer orders.layered", "inner orders.layered", "handler after inner"]);
    publish(&broker, Message::new("orders.late", "")).await.unwrap();
    assert_eq!(notes.wait(4).await[3], "late");
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_what_takes_too_long_is_given_up() {
    let broker = memory();
    let (begun, finished) = (Notes::default(), Notes::default());
    let slow = |State((begun, finished)): State<(Notes, Notes)>, body: bytes::Bytes| async move {
        begun.add("");
        let time = if body == "short" { Duration::from_millis(100) } else { Duration::from_secs(600) };
        tokio::time::sleep(time).await;
        finished.add(String::from_utf8_lossy(&body));
    };
    for (body, ends) in [("short", Shutdown::Finished), ("long", Shutdown::GaveUp)] {
        let router = Router::new().service("closing").on_event("orders.slow", slow);
        let router = router.with_state((begun.clone(), finished.clone()));
        let running = router.start(broker.clone()).await.unwrap();
        let before = begun.all().len();
        publish(&broker, Message::new("orders.slow", body)).await.unwrap();
        begun.wait(before + 1).await;
        let within = if body == "short" { Duration::from_secs(20) } else { Duration::from_millis(100) };
        assert_eq!(running.shutdown(within).await, ends, "{body}");
    }
    assert_eq!(finished.all(), ["short"]);
}
