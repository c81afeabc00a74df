//! Layers of the user's at the edge: where they stand, what they see, and what becomes of their errors.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use headwater_core::store::MemoryStore;
use headwater_core::{Failure, FailureCode};
use headwater_nats_service::Limits;
use headwater_nats_service::edge::{Answer, At, Caller, Next, Request, Stage};
use headwater_testkit::{TestServer, wait_until};
use serde_json::{Value, json};
use support::{Reply, World, body, connection, gate, headers, tallies};
use tokio::time::timeout;
use tower::limit::ConcurrencyLimitLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};

const SOON: Duration = Duration::from_secs(10);

type Seen = Arc<Mutex<Vec<String>>>;

/// A layer that notes each request on its way in, and its answer on the way out.
fn noting(
    seen: Seen,
    word: &'static str,
) -> impl Layer<
    Next,
    Service = impl Service<Request, Response = Answer, Error = BoxError, Future: Send> + Clone + Send + Sync,
> + Send {
    tower::layer::layer_fn(move |next: Next| {
        let seen = Arc::clone(&seen);
        tower::service_fn(move |request: Request| {
            let (seen, next) = (Arc::clone(&seen), next.clone());
            async move {
                seen.lock().unwrap().push(format!("{word} {}.{}", request.aggregate(), request.name()));
                let answer = next.oneshot(request).await?;
                let end = answer.failure().map_or("ok", |failure| failure.code.as_str()).to_owned();
                seen.lock().unwrap().push(format!("{word} {end}"));
                Ok(answer)
            }
        })
    })
}

fn drained(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut seen.lock().unwrap())
}

fn code(reply: &Reply) -> Value {
    reply.body["error"]["code"].clone()
}

#[tokio::test]
async fn layers_stand_where_they_were_put_and_the_first_added_is_the_outermost() {
    let seen = Seen::default();
    let world = World::with(|service| {
        service
            .layer(At::after(Stage::Admission), noting(Arc::clone(&seen), "innermost"))
            .layer(At::before(Stage::Limits), noting(Arc::clone(&seen), "outermost"))
            .layer(At::before(Stage::Limits), noting(Arc::clone(&seen), "second"))
            .layer(At::after(Stage::Limits).command("tally", "add"), noting(Arc::clone(&seen), "add only"))
            .limits(Limits::default().max_body(200))
    })
    .await;
    assert_eq!(world.caller.command("a", "add", json!({ "amount": 2 })).await.result()["state"]["total"], 2);
    let of_add = ["outermost tally.add", "second tally.add", "add only tally.add", "innermost tally.add"];
    assert_eq!(drained(&seen)[..4], of_add);

    world.caller.get("a").await.result();
    let of_get = ["outermost tally.get", "second tally.get", "innermost tally.get"];
    assert_eq!(drained(&seen), [&of_get[..], &["innermost ok", "second ok", "outermost ok"]].concat());

    // A stage refuses what comes to it, and the layers before it see that.
    let large = world.caller.command("a", "add", json!({ "amount": 1, "more": "x".repeat(300) })).await;
    assert_eq!(code(&large), "payload-too-large");
    let of_large =
        ["outermost tally.add", "second tally.add", "second payload-too-large", "outermost payload-too-large"];
    assert_eq!(drained(&seen), of_large);
    let features = &world.service.info().identity.metadata["features"];
    assert!(features.split(',').any(|feature| feature == "layers"), "{features}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_keep_their_order_through_layers_that_do_not_wait() {
    const COMMANDS: usize = 300;
    let seen = Seen::default();
    let world =
        World::with(|service| service.layer(At::before(Stage::Auth), noting(Arc::clone(&seen), "passes"))).await;
    let client = &world.caller.client;
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(format!("{inbox}.*")).await.unwrap();
    for place in 0..COMMANDS {
        let body = body("a", &json!({ "amount": 1 }));
        client.publish_with_reply("tallies.command.tally.add", format!("{inbox}.{place}"), body.into()).await.unwrap();
    }
    let mut revisions = HashMap::new();
    while revisions.len() < COMMANDS {
        let message = timeout(SOON, replies.next()).await.expect("a reply in time").unwrap();
        let place: usize = message.subject.rsplit('.').next().unwrap().parse().unwrap();
        revisions.insert(place, Reply::of(message).result()["revision"].as_u64().unwrap());
    }
    for place in 0..COMMANDS {
        assert_eq!(revisions[&place], place as u64 + 1, "the command sent as number {place}");
    }
}

#[tokio::test]
async fn a_layer_refuses_for_one_command_and_says_who_is_calling() {
    let seen = Seen::default();
    let door = tower::layer::layer_fn(|next: Next| {
        tower::service_fn(move |mut request: Request| {
            let next = next.clone();
            async move {
                match request.header("who").map(str::to_owned) {
                    None => Ok(Failure::new(FailureCode::Unauthenticated, "nobody is calling").into()),
                    Some(who) => {
                        request.set_caller(Caller::new(who).role("adder"));
                        next.oneshot(request).await
                    }
                }
            }
        })
    });
    let who = {
        let seen = Arc::clone(&seen);
        tower::layer::layer_fn(move |next: Next| {
            let seen = Arc::clone(&seen);
            tower::service_fn(move |request: Request| {
                let caller = request.caller().map(|caller| format!("{} {}", caller.user(), caller.has_role("adder")));
                seen.lock().unwrap().push(caller.unwrap_or_else(|| "nobody".to_owned()));
                next.clone().oneshot(request)
            })
        })
    };
    let world = World::with(|service| {
        service.layer(At::after(Stage::Auth).command("tally", "add"), door).layer(At::before(Stage::RateLimit), who)
    })
    .await;
    assert_eq!(code(&world.caller.command("a", "add", json!({ "amount": 1 })).await), "unauthenticated");
    assert_eq!(drained(&seen), Vec::<String>::new());
    world.caller.command("a", "add-many", json!({ "amounts": [1] })).await.result();
    assert_eq!(drained(&seen), ["nobody"]);
    let add = body("a", &json!({ "amount": 1 }));
    let reply = world.caller.ask_with("tallies.command.tally.add", headers([("Who", "till-7")]), add).await;
    assert_eq!(reply.result()["revision"], 2);
    assert_eq!(drained(&seen), ["till-7 true"]);
}

#[tokio::test]
async fn a_timeout_of_towers_is_a_504_that_names_the_command_and_its_retry_gets_the_outcome() {
    let gate = gate();
    let layer = ServiceBuilder::new().timeout(Duration::from_millis(100)).into_inner();
    let world = World::gated(&gate, |service| service.layer(At::after(Stage::Deadline), layer)).await;
    let slow = world.caller.command("a", "add-later", json!({})).await;
    assert_eq!(code(&slow), "deadline-exceeded");
    assert!(slow.body["error"]["retryable"].as_bool().unwrap(), "{:?}", slow.body);
    assert!(slow.body["metadata"]["commandId"].is_string(), "{:?}", slow.body);
    // Others are not held up.
    gate.0.add_permits(10);
    assert_eq!(world.caller.command("b", "add", json!({ "amount": 1 })).await.result()["revision"], 1);
}

#[tokio::test]
async fn towers_concurrency_limit_and_load_shed_hold_for_one_command() {
    let gate = gate();
    let layer = ServiceBuilder::new().load_shed().layer(ConcurrencyLimitLayer::new(2)).into_inner();
    let world =
        World::gated(&gate, |service| service.layer(At::before(Stage::Admission).command("tally", "add-later"), layer))
            .await;
    let slow: Vec<_> = ["a", "b"]
        .map(|id| {
            let caller = world.caller.clone();
            tokio::spawn(async move { caller.command(id, "add-later", json!({})).await })
        })
        .into();
    wait_until(SOON, "two under way", async || (world.service.stats().in_flight == 2).then_some(())).await;
    let third = world.caller.command("c", "add-later", json!({})).await;
    assert_eq!((code(&third), &third.body["error"]["details"]["reason"]), (json!("unavailable"), &json!("overloaded")));
    world.caller.command("c", "add", json!({ "amount": 1 })).await.result();
    gate.0.add_permits(10);
    for reply in join_all(slow).await {
        assert_eq!(reply.unwrap().result()["revision"], 1);
    }
    assert_eq!(world.caller.command("c", "add-later", json!({})).await.result()["revision"], 2);
}

#[tokio::test]
async fn a_layer_that_fails_or_panics_is_an_internal_error_and_the_next_request_is_served() {
    let unwell = tower::layer::layer_fn(|next: Next| {
        tower::service_fn(move |request: Request| {
            let next = next.clone();
            async move {
                match request.header("how") {
                    Some("fails") => Err(BoxError::from("the secret of the layer")),
                    Some("panics") => panic!("as the test wants it"),
                    Some("full") => Err(BoxError::from(Failure::unavailable("maintenance", "come back later"))),
                    _ => next.oneshot(request).await,
                }
            }
        })
    });
    let world = World::with(|service| service.layer(At::before(Stage::Deadline), unwell)).await;
    for (how, expected) in [("fails", "internal"), ("panics", "internal"), ("full", "unavailable")] {
        let add = body("a", &json!({ "amount": 1 }));
        let reply = world.caller.ask_with("tallies.command.tally.add", headers([("how", how)]), add).await;
        assert_eq!(code(&reply), expected, "{how}");
        assert!(!reply.body.to_string().contains("secret"), "{:?}", reply.body);
    }
    assert_eq!(world.caller.command("a", "add", json!({ "amount": 1 })).await.result()["revision"], 1);
}

#[tokio::test]
async fn a_request_that_a_layer_keeps_for_ever_is_given_up_when_the_instance_leaves() {
    let never = tower::layer::layer_fn(|_: Next| {
        tower::service_fn(|_: Request| std::future::pending::<Result<Answer, BoxError>>())
    });
    let world = World::with(|service| {
        service
            .layer(At::after(Stage::Auth).command("tally", "add"), never)
            .drain_timeout(Duration::from_millis(100))
            .limits(Limits::default().in_flight(1))
    })
    .await;
    let kept: Vec<_> = (0..4)
        .map(|_| {
            let caller = world.caller.clone();
            tokio::spawn(async move { caller.command("a", "add", json!({ "amount": 1 })).await })
        })
        .collect();
    wait_until(SOON, "four to be kept", async || (world.service.stats().in_flight == 4).then_some(())).await;
    // There is a bound to what may be kept, for whatever it is.
    let fifth = world.caller.command("a", "add-many", json!({ "amounts": [1] })).await;
    assert_eq!((code(&fifth), &fifth.body["error"]["details"]["reason"]), (json!("unavailable"), &json!("overloaded")));
    world.service.drain().await;
    for reply in join_all(kept).await {
        let reply = reply.unwrap();
        // It has not reached its aggregate.
        assert_eq!(
            (code(&reply), &reply.body["error"]["details"]["reason"]),
            (json!("unavailable"), &json!("draining"))
        );
    }
}

#[tokio::test]
async fn a_layer_for_a_command_that_does_not_exist_stops_the_start() {
    let nothing = || tower::layer::layer_fn(|next: Next| next);
    let server = TestServer::start().await;
    let service = tallies(&MemoryStore::new())
        .layer(At::after(Stage::Auth).command("tally", "subtract"), nothing())
        .layer(At::before(Stage::Auth).query("receipt", "get"), nothing())
        .layer(At::before(Stage::Auth).query("tally", "get"), nothing());
    let error = service.start(connection(&server).await).await.unwrap_err();
    let texts: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "layer `after auth, command tally.subtract`: there is no command `subtract` of an aggregate type `tally`",
            "layer `before auth, query receipt.get`: there is no query `get` of an aggregate type `receipt`",
        ]
    );
}
