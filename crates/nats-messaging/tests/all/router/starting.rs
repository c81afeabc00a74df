//! Routers that cannot start say all that is wrong; those that can read under stable names.

use std::time::Duration;

use headwater_nats_messaging::router::{Group, Route, Router, StartError, Stream};

use super::{Broker, memory, on_both};

async fn nothing() {}

async fn problems<B: Broker>(router: Router, broker: B) -> Vec<String> {
    match router.start(broker).await {
        Err(StartError::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("it cannot start: {other:?}"),
    }
}

on_both!(scenarios: a_pattern_without_one_stream_is_told, a_stream_that_is_not_there_is_told);

async fn a_pattern_without_one_stream_is_told<B: Broker>(broker: B) {
    // `*.started` is carried by several streams, `lost.>` by none.
    let router = Router::new().service("s").on_event("lost.>", nothing).on_event("*.started", nothing);
    let told = problems(router, broker).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("`lost.>`") && told[1].contains("`*.started`"), "{told:?}");
    assert!(told[0].contains("no stream"), "{told:?}");
}

async fn a_stream_that_is_not_there_is_told<B: Broker>(broker: B) {
    let router: Router =
        Router::new().service("s").stream(Stream::new("NOWHERE").carries("x.>")).on_event("x.y", nothing);
    let error = router.start(broker).await.unwrap_err();
    assert!(error.to_string().contains("`NOWHERE`"), "{error}");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let router = Router::new()
        .on_event("a..b", nothing)
        .on_message("a.>.b", nothing)
        .on_message("twice", nothing)
        .on_message("twice", nothing)
        .listen("x y")
        .route(Route::message("m", nothing).stream("S"));
    let told = problems(router, memory()).await.join("\n");
    for what in
        ["service ``", "pattern `a..b`", "pattern `a.>.b`", "on_message `twice`", "listen `x y`", "on_message `m`"]
    {
        assert!(told.contains(what), "{what}: {told}");
    }
}

#[tokio::test]
async fn two_streams_that_are_said_to_carry_a_pattern_are_told() {
    let router = Router::new()
        .service("s")
        .stream(Stream::new("A").carries("x.>"))
        .stream(Stream::new("B").carries("x.*"))
        .on_event("x.y", nothing);
    let told = problems(router, memory()).await;
    assert!(told[0].contains("`A` and `B`"), "{told:?}");
}

#[tokio::test]
async fn a_naming_of_ones_own_is_taken_and_checked() {
    let router = || Router::new().service("s").on_event("orders.a", nothing).on_event("agent.b", nothing);
    let running = router().naming(|of| format!("mine-{}", of.stream)).start(memory()).await.unwrap();
    let names: Vec<_> = running.consumers().map(|config| config.durable.clone()).collect();
    assert_eq!(names, ["mine-AGENT_EVENTS", "mine-ORDERS"]);
    running.shutdown(Duration::from_secs(5)).await;

    let dotted = problems(router().naming(|of| format!("my.{}", of.stream)), memory()).await;
    assert!(dotted[0].contains("`my.AGENT_EVENTS`"), "{dotted:?}");
    let router = Router::new().service("s").on_event("orders.a", nothing).on_event("orders.b", nothing);
    let same = problems(router.naming(|_| "mine".to_owned()), memory()).await;
    assert!(same[0].contains("`orders.a` and `orders.b`"), "{same:?}");
}

#[tokio::test]
async fn several_streams_have_settings_of_their_own() {
    let router: Router = Router::new()
        .service("s")
        .stream(Stream::new("ORDERS").consumer(|consumer| consumer.max_ack_pending = 5))
        .stream(Stream::new("AGENT_EVENTS").consumer(|consumer| consumer.max_ack_pending = 7))
        .on_event("orders.>", nothing)
        .on_event("workflow.>", nothing)
        .route(Route::event("agent.>", nothing).consumer(|consumer| consumer.max_ack_pending = 9));
    let running = router.start(memory()).await.unwrap();
    let settings: Vec<_> = running.consumers().map(|config| (&*config.durable, config.max_ack_pending)).collect();
    assert_eq!(settings, [("s_agent_all", 9), ("s_workflow_all", 7), ("s_orders_all", 5)]);
    running.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_is_nested_is_read_and_listened_to_under_its_prefix() {
    let tasks = Router::new().on_event("made", nothing).on_event("done", nothing);
    let inner = Router::new().group(Group::new("tasks").reads("*"), tasks).on_event("alone", nothing);
    let router: Router = Router::new().service("s").nest("orders.task", inner);
    let running = router.start(memory()).await.unwrap();
    let read: Vec<_> = running.consumers().map(|config| (&*config.durable, config.filter_subjects.join(" "))).collect();
    let expected = [("s_orders_task_alone", "orders.task.alone"), ("s__tasks", "orders.task.*")];
    assert_eq!(read, expected.map(|(name, subjects)| (name, subjects.to_owned())));
    running.shutdown(Duration::from_secs(5)).await;

    let router = Router::new().service("s").nest("a..b", Router::new().on_event("made", nothing));
    let told = problems(router, memory()).await;
    assert!(told[0].contains("nest `a..b`"), "{told:?}");
}
